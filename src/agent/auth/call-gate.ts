import {
  ServerInterceptingCall,
  type Metadata,
  type ServerInterceptor,
  type ServerListener,
} from '@grpc/grpc-js';
import { AgentError, RateLimitedError } from '../agent-errors.js';
import { ErrorDetails } from '../grpc/error-details.js';
import { toCallFailure } from '../grpc/grpc-status.js';
import type { AccessTokens, TokenHolder } from './access-tokens.js';
import { rememberCaller, requireCallers } from './callers.js';
import type { RateLimiter } from './rate-limiter.js';
import { includesRole, RPC_ACCESS, type RpcAccess } from './rpc-access.js';
import type { WatchedFiles } from './watched-files.js';

const BEARER = /^Bearer +(\S+)$/i;

/** What is needed of a call to end it. */
interface EndableCall {
  sendStatus(status: { code: number; details: string; metadata: Metadata }): void;
}

/** A call whose handler can be told that it has ended. */
class GatedCall extends ServerInterceptingCall {
  #handler: Parameters<ServerInterceptingCall['start']>[0] | null = null;

  override start(listener: Parameters<ServerInterceptingCall['start']>[0]): void {
    this.#handler = listener;
    super.start(listener);
  }

  /**
   * grpc-js tells the handler only when the client has taken what was sent before the status, so one
   * that reads nothing would keep its task. Being told twice does a handler nothing.
   */
  tellHandler(): void {
    this.#handler?.onCancel();
  }
}

/** A stream that is open, and the token that opened it. */
interface OpenStream {
  readonly holder: TokenHolder;
  readonly end: () => void;
}

/**
 * Lets a call in, or ends it before any of its message is read. It stands before every service of
 * the port, health and reflection too, which Nest's guards never see.
 */
export class CallGate {
  readonly #details = new ErrorDetails();
  readonly #streams = new Set<OpenStream>();
  /** To be called once, when the port answers no more calls. */
  readonly close = requireCallers();

  constructor(
    private readonly tokens: Pick<WatchedFiles<AccessTokens>, 'value' | 'onChange'>,
    /** `null` when a token may make as many calls as it likes. */
    private readonly rateLimiter: RateLimiter | null,
  ) {
    tokens.onChange((changed) => this.#endStreamsOfOthers(changed));
  }

  /** To be given to a server of grpc-js. */
  readonly intercept: ServerInterceptor = ({ path, responseStream }, call) => {
    const access = RPC_ACCESS.get(path);
    if (access?.kind === 'open') {
      return new ServerInterceptingCall(call);
    }
    let stream: OpenStream | null = null;
    const listener: ServerListener = {
      onReceiveMetadata: (metadata, next) => {
        try {
          const holder = this.#admit(access, metadata);
          rememberCaller(metadata, holder);
          if (responseStream) {
            stream = {
              holder,
              end: () => {
                this.#refuse(call, unauthenticated());
                gated.tellHandler();
              },
            };
            this.#streams.add(stream);
          }
        } catch (error) {
          this.#refuse(call, error);
          return;
        }
        next(metadata);
      },
      onCancel: () => {
        if (stream !== null) {
          this.#streams.delete(stream);
        }
      },
    };
    const gated = new GatedCall(call, {
      start: (next) => next(listener),
      // Once the gate has ended a stream, what its handler still writes would break it.
      sendMessage: (message, next) => {
        if (stream === null || this.#streams.has(stream)) {
          next(message);
        }
      },
    });
    return gated;
  };

  /** @throws {AgentError} when the call is refused */
  #admit(access: Exclude<RpcAccess, { kind: 'open' }> | undefined, metadata: Metadata) {
    const holder = this.#holderOf(metadata);
    if (holder === null) {
      throw unauthenticated();
    }
    const retryAfterMs = this.rateLimiter?.admit(holder.tokenHash) ?? 0;
    if (retryAfterMs > 0) {
      throw new RateLimitedError(retryAfterMs);
    }
    if (access === undefined || !includesRole(holder.role, access.role)) {
      const needed =
        access === undefined ? 'is served to no token' : `needs the role ${access.role}`;
      throw new AgentError(
        'PERMISSION_DENIED',
        `The call ${needed}, and the token has the role ${holder.role}`,
      );
    }
    if (access.allTenants && holder.tenantId !== null) {
      throw new AgentError(
        'PERMISSION_DENIED',
        'The call reaches all tenants, and the token is good for one only',
      );
    }
    return holder;
  }

  #holderOf(metadata: Metadata): TokenHolder | null {
    const [value, ...others] = metadata.get('authorization');
    const token = typeof value === 'string' ? BEARER.exec(value)?.[1] : undefined;
    return token === undefined || others.length > 0 ? null : this.tokens.value.holderOf(token);
  }

  #refuse(call: EndableCall, error: unknown): void {
    const failure = toCallFailure(error);
    const { code, message: details } = failure;
    call.sendStatus({ code, details, metadata: this.#details.toTrailers(failure) });
  }

  /** A stream may last for hours: one of a token that was taken back ends with it. */
  #endStreamsOfOthers(tokens: AccessTokens): void {
    this.rateLimiter?.keepOnly((tokenHash) => tokens.knows(tokenHash));
    for (const stream of this.#streams) {
      if (!tokens.stillHolds(stream.holder)) {
        this.#streams.delete(stream);
        stream.end();
      }
    }
  }
}

/** The same for no token and for a wrong one: which of both it was helps a stranger only. */
function unauthenticated(): AgentError {
  return new AgentError(
    'UNAUTHENTICATED',
    'The call needs a valid token, in the metadata "authorization: Bearer <token>"',
  );
}
