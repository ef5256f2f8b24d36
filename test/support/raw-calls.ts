import { Client, credentials, type StatusObject } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { definitions, metadataOf, type Headers } from './agent-clients.js';

/** What came back first of a call: its first message, or the status that it ended with. */
export interface RawOutcome {
  /** 0 with a message. */
  readonly code: number;
  readonly details: string;
  /** In hexadecimal digits; `null` when the call ended without one. */
  readonly message: string | null;
  /** As they came, but for the date. */
  readonly trailers: Readonly<Record<string, unknown>>;
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

/** The bytes of a request; of a service that is not ours an empty one. */
export function requestBytes(path: string, request: object): Buffer {
  const [, service = '', method = ''] = path.split('/');
  const definition = definitions[service] as ServiceDefinition | undefined;
  return definition?.[method]?.requestSerialize(request) ?? Buffer.alloc(0);
}

/** Calls any RPC, whatever kind it is of, without knowing its messages. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  async call(path: string, request: object = {}, headers: Headers = {}): Promise<RawOutcome> {
    const call = this.#client.makeBidiStreamRequest<Buffer, Buffer>(
      path,
      identity,
      identity,
      metadataOf(headers),
    );
    call.end(requestBytes(path, request));
    const outcome = await new Promise<RawOutcome>((resolve) => {
      call.on('data', (bytes: Buffer) =>
        resolve({ code: 0, details: '', message: bytes.toString('hex'), trailers: {} }),
      );
      call.on('error', () => undefined);
      call.on('status', ({ code, details, metadata }: StatusObject) => {
        const { date: _date, ...trailers } = metadata.getMap();
        resolve({ code, details, message: null, trailers: asText(trailers) });
      });
    });
    call.cancel();
    return outcome;
  }

  close(): void {
    this.#client.close();
  }
}

function asText(trailers: Record<string, string | Buffer>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(trailers).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : value.toString('latin1'),
    ]),
  );
}
