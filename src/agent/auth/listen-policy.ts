import { BlockList, isIP } from 'node:net';
import { ConfigurationError } from '../../config/configuration-error.js';

/** What protects a port. */
export interface PortProtection {
  /** Address and port, such as `127.0.0.1:50051`. */
  readonly url: string;
  readonly isEncrypted: boolean;
  /** Whether the application brings `server.credentials`: what these ask of clients they do not say. */
  readonly hasOwnCredentials: boolean;
  /** Whether callers show a certificate that the service verifies. */
  readonly verifiesClients: boolean;
  readonly requiresTokens: boolean;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

const OR_INSECURE =
  'or GRPC_ALLOW_INSECURE=1 (allowInsecure) when something else protects the port';

/** @returns whether only this machine reaches what listens there */
function isLocal(url: string): boolean {
  if (url.startsWith('unix:')) {
    return true;
  }
  const host = url.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  const version = isIP(host);
  return version === 0
    ? host.toLowerCase() === 'localhost'
    : LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Strangers must not reach a port that lets everybody in, nor read the tokens of others.
 *
 * @throws {ConfigurationError} when others than this machine reach the port, and it is not protected
 */
export function assertProtected(port: PortProtection): void {
  if (isLocal(port.url)) {
    return;
  }
  if (port.hasOwnCredentials && (!port.requiresTokens || !port.isEncrypted)) {
    throw new ConfigurationError(
      `The service would listen on ${port.url} with server.credentials that are not known to keep strangers out; write tls and auth instead, or allowInsecure: true when they verify the certificates of clients or something else protects the port`,
    );
  }
  if (!port.requiresTokens && !port.verifiesClients) {
    throw new ConfigurationError(
      `The service would listen on ${port.url} (GRPC_HOST) and let everybody in; write 127.0.0.1, or set GRPC_AUTH_TOKENS_FILE with GRPC_TLS_CERT and GRPC_TLS_KEY, or GRPC_TLS_CLIENT_CA, ${OR_INSECURE}`,
    );
  }
  if (!port.isEncrypted) {
    throw new ConfigurationError(
      `The service would listen on ${port.url} (GRPC_HOST), where tokens would travel unencrypted; set GRPC_TLS_CERT and GRPC_TLS_KEY, ${OR_INSECURE}`,
    );
  }
}
