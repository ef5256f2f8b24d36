import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import { ConfigurationError } from '../../config/configuration-error.js';
import type { Clock } from '../../task/clock.js';
import { WatchedFiles, type OptionFile } from '../auth/watched-files.js';

/** How the port is encrypted. The files are read again when they change. */
export interface TlsOptions {
  /** A PEM file: the certificate of the service first, then those between it and its authority. */
  certFile: string;
  /** A PEM file: the key of the certificate, without a passphrase. */
  keyFile: string;
  /** A PEM file: authorities. A client must show a certificate of one of them. Default: none need. */
  clientCaFile?: string | undefined;
}

/** What the files hold, proved to fit together. */
interface TlsContents {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  /** `null` when clients need no certificate. */
  readonly clientCa: Buffer | null;
}

/** The credentials of a port, which follow the files that they come from. */
export interface WatchedCredentials {
  readonly credentials: ServerCredentials;
  stop(): void;
}

const CERTIFICATE = 'GRPC_TLS_CERT';
const KEY = 'GRPC_TLS_KEY';
const CLIENT_CA = 'GRPC_TLS_CLIENT_CA';

/** One certificate of a PEM file; `X509Certificate` reads the first only. */
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

type Provider = experimental.CertificateProvider;
type IdentityListener = experimental.IdentityCertificateUpdateListener;
type CaListener = experimental.CaCertificateUpdateListener;

/**
 * Makes TLS credentials from files. A connection that is open keeps what it was opened with.
 *
 * grpc-js has a provider of its own for that, which drops every connection while a file is missing
 * or wrong; this one hands on only what works.
 *
 * @throws {ConfigurationError} with one sentence that names the option
 */
export function createServerCredentials(tls: TlsOptions, clock: Clock): WatchedCredentials {
  const files: OptionFile[] = [
    { option: CERTIFICATE, path: tls.certFile },
    { option: KEY, path: tls.keyFile },
    ...(tls.clientCaFile === undefined ? [] : [{ option: CLIENT_CA, path: tls.clientCaFile }]),
  ];
  const watched = new WatchedFiles({ files, parse: parseTlsContents, clock });
  const provider = new WatchedCertificates(watched);
  const verifiesClients = tls.clientCaFile !== undefined;
  return {
    // The own certificate first, though the first parameter is named after the authorities.
    credentials: experimental.createCertificateProviderServerCredentials(
      provider,
      verifiesClients ? provider : null,
      verifiesClients,
    ),
    stop: () => watched.stop(),
  };
}

class WatchedCertificates implements Provider {
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #caListeners = new Set<CaListener>();

  constructor(private readonly files: WatchedFiles<TlsContents>) {
    files.onChange(() => {
      this.#caListeners.forEach((listener) => this.#tellCa(listener));
      this.#identityListeners.forEach((listener) => this.#tellIdentity(listener));
    });
  }

  // The listener is told when its server is ready to be: a moment after it has asked.
  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    process.nextTick(() => this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  #tellIdentity(listener: IdentityListener): void {
    const { certificate, privateKey } = this.files.value;
    listener({ certificate, privateKey });
  }

  #tellCa(listener: CaListener): void {
    const { clientCa } = this.files.value;
    listener(clientCa === null ? null : { caCertificate: clientCa });
  }
}

function parseTlsContents(contents: readonly Buffer[]): TlsContents {
  const [certificate = Buffer.alloc(0), privateKey = Buffer.alloc(0), clientCa = null] = contents;
  const own = parseCertificates(CERTIFICATE, certificate)[0];
  const key = parsePrivateKey(privateKey);
  if (own?.checkPrivateKey(key) !== true) {
    throw new ConfigurationError(
      `${KEY} does not belong to the certificate of ${CERTIFICATE}; write the files of one pair, the service's own certificate first`,
    );
  }
  if (clientCa !== null) {
    parseCertificates(CLIENT_CA, clientCa);
  }
  assertUsable({ certificate, privateKey, clientCa });
  return { certificate, privateKey, clientCa };
}

function parseCertificates(option: string, pem: Buffer): X509Certificate[] {
  try {
    const certificates = (pem.toString('latin1').match(PEM_CERTIFICATE) ?? []).map(
      (text) => new X509Certificate(text),
    );
    if (certificates.length > 0) {
      return certificates;
    }
  } catch {
    // Said below.
  }
  throw new ConfigurationError(
    `${option} names a file that holds no certificate in PEM form; write one that begins with -----BEGIN CERTIFICATE-----`,
  );
}

function parsePrivateKey(pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new ConfigurationError(
      `${KEY} names a file that holds no private key in PEM form without a passphrase; write one that begins with -----BEGIN PRIVATE KEY-----`,
      { cause },
    );
  }
}

/** What OpenSSL itself refuses, such as a key that is too short. */
function assertUsable({ certificate, privateKey, clientCa }: TlsContents): void {
  try {
    createSecureContext({ cert: certificate, key: privateKey, ...(clientCa && { ca: clientCa }) });
  } catch (cause) {
    throw new ConfigurationError(
      `${CERTIFICATE} and ${KEY} cannot be used; make them anew: ${String(cause)}`,
      { cause },
    );
  }
}
