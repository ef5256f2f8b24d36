import type { ServerCredentials, ServerInterceptor } from '@grpc/grpc-js';
import { z } from 'zod';
import { ConfigurationError } from '../../config/configuration-error.js';
import { integer, readEnvironment } from '../../config/environment.js';
import { systemClock, type Clock } from '../../task/clock.js';
import { createServerCredentials, type TlsOptions } from '../grpc/server-credentials.js';
import { parseAccessTokens, TOKENS_OPTION } from './access-tokens.js';
import { CallGate } from './call-gate.js';
import { assertProtected } from './listen-policy.js';
import { RateLimiter } from './rate-limiter.js';
import { WatchedFiles } from './watched-files.js';

const MOST_CALLS_PER_SECOND = 1_000_000;

/** What `callsPerSecond` may be, written in the environment or given in code. */
export const callsPerSecondParser = integer({ minimum: 1, maximum: MOST_CALLS_PER_SECOND });

/** Who may call, and how he says who he is. */
export interface AuthOptions {
  /**
   * A JSON file with the hashes of tokens: `[{ "tokenHash": "...", "tenant": "acme", "role": "run" }]`.
   * The tenant `*` is all tenants. It is read again when it changes.
   */
  tokensFile: string;
  /** How many calls a token may make in a second, 1 to 1000000. Default: as many as it likes. */
  callsPerSecond?: number | undefined;
}

/** Who reaches the port, and how. */
export interface PortSecurityOptions {
  /** Default: nothing is encrypted. */
  tls?: TlsOptions | undefined;
  /** Default: everybody who reaches the port may do everything. */
  auth?: AuthOptions | undefined;
  /** Listens beyond this machine even where everybody would be let in. Default `false`. */
  allowInsecure?: boolean | undefined;
  /** Where time comes from. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** {@link PortSecurityOptions}, made into what a server of grpc-js takes. */
export interface PortSecurity {
  /** `null`: nothing is encrypted. */
  readonly credentials: ServerCredentials | null;
  readonly interceptors: readonly ServerInterceptor[];
  /** To be called once, when the port is closed: files are read, and callers are needed, no more. */
  stop(): void;
}

/**
 * @param url address and port to listen on
 * @param ownCredentials what the application brings; `null` when it leaves that to `tls`
 * @throws {ConfigurationError} when a file cannot be used, or strangers would be let in
 */
export function createPortSecurity(
  url: string,
  ownCredentials: ServerCredentials | null,
  { tls, auth, allowInsecure = false, clock = systemClock }: PortSecurityOptions,
): PortSecurity {
  if (ownCredentials !== null && tls !== undefined) {
    throw new ConfigurationError(
      'The options tls and server.credentials are both set; leave one of them out',
    );
  }
  if (!allowInsecure) {
    assertProtected({
      url,
      isEncrypted: tls !== undefined || ownCredentials?._isSecure() === true,
      hasOwnCredentials: ownCredentials !== null,
      verifiesClients: tls?.clientCaFile !== undefined,
      requiresTokens: auth !== undefined,
    });
  }
  const encryption = tls === undefined ? null : createServerCredentials(tls, clock);
  let authentication: ReturnType<typeof createAuthentication> | null;
  try {
    authentication = auth === undefined ? null : createAuthentication(auth, clock);
  } catch (error) {
    encryption?.stop();
    throw error;
  }
  return {
    credentials: encryption?.credentials ?? null,
    interceptors: authentication === null ? [] : [authentication.gate.intercept],
    stop: () => {
      encryption?.stop();
      authentication?.tokens.stop();
      authentication?.gate.close();
    },
  };
}

function createAuthentication({ tokensFile, ...options }: AuthOptions, clock: Clock) {
  const { callsPerSecond } = readEnvironment(
    z.object({ callsPerSecond: callsPerSecondParser }),
    new Map<string, unknown>(Object.entries(options)),
  );
  const tokens = new WatchedFiles({
    files: [{ option: TOKENS_OPTION, path: tokensFile }],
    parse: ([content = Buffer.alloc(0)]) => parseAccessTokens(content),
    clock,
  });
  const rateLimiter = callsPerSecond === undefined ? null : new RateLimiter(callsPerSecond, clock);
  return { tokens, gate: new CallGate(tokens, rateLimiter) };
}
