import {
  Client,
  credentials,
  Metadata,
  status,
  type CallOptions,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Method } from './wire-fields.js';

/** How a call was answered. */
export interface RawAnswer {
  /** The status; `OK` too. */
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
  /** Decoded messages; one at the most of a unary call. */
  readonly messages: readonly object[];
  /** For what reads the trailers. */
  readonly error: ServiceError | null;
}

const CALL_LIMIT_MS = 20_000;

/** A client that sends the bytes it is given. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_send_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Never rejects: a failure is an answer. */
  async call(method: Method, request: Buffer, metadata = new Metadata()): Promise<RawAnswer> {
    const messages: object[] = [];
    const options: CallOptions = { deadline: Date.now() + CALL_LIMIT_MS };
    const decode = (bytes: Buffer) => method.responseDeserialize(bytes);
    const same = (bytes: Buffer) => bytes;
    return new Promise((resolve) => {
      const finish = (error: ServiceError | null) =>
        resolve({
          code: error?.code ?? status.OK,
          details: error?.details ?? '',
          metadata: error?.metadata ?? new Metadata(),
          messages,
          error,
        });
      if (method.responseStream) {
        this.#client
          .makeServerStreamRequest(method.path, same, decode, request, metadata, options)
          .on('data', (message: object) => messages.push(message))
          .on('error', finish)
          .on('end', () => finish(null));
      } else {
        this.#client.makeUnaryRequest(
          method.path,
          same,
          decode,
          request,
          metadata,
          options,
          (error, message) => {
            messages.push(...(message === undefined ? [] : [message]));
            finish(error);
          },
        );
      }
    });
  }

  close(): void {
    this.#client.close();
  }
}
