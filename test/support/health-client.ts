import { once } from 'node:events';
import { credentials, loadPackageDefinition, type ClientReadableStream } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

interface HealthAnswer {
  readonly status: string;
}

interface HealthStub {
  check(
    request: { service: string },
    callback: (error: Error | null, answer: HealthAnswer) => void,
  ): void;
  watch(request: { service: string }): ClientReadableStream<HealthAnswer>;
  close(): void;
}

/** What one client sees of a `Watch`. */
export interface HealthWatch {
  /** Every status so far. */
  readonly statuses: readonly string[];
  /** Resolves when the last status is this one. */
  until(status: string): Promise<void>;
  /** Resolves when the server ends the stream. */
  readonly ended: Promise<void>;
  cancel(): void;
}

/** A client of `grpc.health.v1.Health`. */
export class HealthClient {
  readonly #stub: HealthStub;

  constructor(address: string) {
    const definition = loadSync(protoPath, { enums: String, defaults: true });
    // The types of a package loaded at run time are unknown to the compiler.
    const loaded = loadPackageDefinition(definition) as unknown as {
      grpc: {
        health: {
          v1: { Health: new (address: string, credentials: unknown) => HealthStub };
        };
      };
    };
    this.#stub = new loaded.grpc.health.v1.Health(address, credentials.createInsecure());
  }

  async check(service: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#stub.check({ service }, (error, answer) => {
        if (error === null) {
          resolve(answer.status);
        } else {
          reject(error);
        }
      });
    });
  }

  watch(service: string): HealthWatch {
    const stream = this.#stub.watch({ service });
    const statuses: string[] = [];
    stream.on('data', (answer: HealthAnswer) => statuses.push(answer.status));
    // A client that cancels gets an error.
    stream.on('error', () => undefined);
    return {
      statuses,
      until: async (status) => {
        while (statuses.at(-1) !== status) {
          await once(stream, 'data');
        }
      },
      ended: new Promise((resolve) => {
        stream.on('end', resolve);
      }),
      cancel: () => stream.cancel(),
    };
  }

  close(): void {
    this.#stub.close();
  }
}
