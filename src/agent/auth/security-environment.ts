import { z } from 'zod';
import { ConfigurationError } from '../../config/configuration-error.js';
import { flag, readEnvironment, text, type EnvironmentSource } from '../../config/environment.js';
import type { TlsOptions } from '../grpc/server-credentials.js';
import {
  callsPerSecondParser,
  type AuthOptions,
  type PortSecurityOptions,
} from './port-security.js';

/** The variables of who reaches the gRPC port. */
export const securityEnvironment = z.object({
  /** The PEM file of the service's certificate. Not set: nothing is encrypted. */
  GRPC_TLS_CERT: text(),
  /** The PEM file of the certificate's key. */
  GRPC_TLS_KEY: text(),
  /** The PEM file of the authorities of clients. Not set: clients need no certificate. */
  GRPC_TLS_CLIENT_CA: text(),
  /** The JSON file of the tokens. Not set: everybody who reaches the port may do everything. */
  GRPC_AUTH_TOKENS_FILE: text(),
  /** How many calls a token may make in a second. Not set: as many as it likes. */
  GRPC_RATE_LIMIT_PER_SECOND: callsPerSecondParser,
  /** `1`: listen beyond this machine even where everybody would be let in. */
  GRPC_ALLOW_INSECURE: flag(false),
});

type SecurityEnvironment = z.output<typeof securityEnvironment>;

/** @throws {ConfigurationError} with one sentence for each variable that is wrong */
export function readPortSecurity(source: EnvironmentSource): PortSecurityOptions {
  const variables = readEnvironment(securityEnvironment, source);
  return {
    tls: toTls(variables),
    auth: toAuth(variables),
    allowInsecure: variables.GRPC_ALLOW_INSECURE,
  };
}

function toTls(variables: SecurityEnvironment): TlsOptions | undefined {
  const { GRPC_TLS_CERT: certFile, GRPC_TLS_KEY: keyFile } = variables;
  const { GRPC_TLS_CLIENT_CA: clientCaFile } = variables;
  if (certFile !== undefined && keyFile !== undefined) {
    return { certFile, keyFile, clientCaFile };
  }
  if (certFile === undefined && keyFile === undefined && clientCaFile === undefined) {
    return undefined;
  }
  const missing = certFile === undefined ? 'GRPC_TLS_CERT' : 'GRPC_TLS_KEY';
  throw new ConfigurationError(
    `${missing} is not set, and TLS needs it; write the path of a PEM file, or leave out all of GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CLIENT_CA`,
  );
}

function toAuth(variables: SecurityEnvironment): AuthOptions | undefined {
  const { GRPC_AUTH_TOKENS_FILE: tokensFile } = variables;
  const { GRPC_RATE_LIMIT_PER_SECOND: callsPerSecond } = variables;
  if (tokensFile !== undefined) {
    return { tokensFile, callsPerSecond };
  }
  if (callsPerSecond === undefined) {
    return undefined;
  }
  throw new ConfigurationError(
    `GRPC_RATE_LIMIT_PER_SECOND is ${callsPerSecond}, and limits the calls of tokens; set GRPC_AUTH_TOKENS_FILE, or leave it out`,
  );
}
