import type { BeforeApplicationShutdown } from '@nestjs/common';
import { HealthImplementation } from 'grpc-health-check';
import type { StorageHealthMonitor } from './storage-health-monitor.js';

/** What takes a gRPC service: a server of `@grpc/grpc-js`, or of Nest's gRPC transport. */
export type GrpcServer = Parameters<HealthImplementation['addToServer']>[0];

type GrpcHandler = Parameters<GrpcServer['addService']>[1][string];

/** A `Watch` that a client keeps open. */
interface WatchCall {
  once(event: 'cancelled', listener: () => void): unknown;
  end(): void;
}

/** The name under which clients ask for the whole server. */
const WHOLE_SERVER = '';

/**
 * Serves `grpc.health.v1.Health` from what the {@link StorageHealthMonitor} knows.
 * Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export class GrpcHealthService implements BeforeApplicationShutdown {
  readonly #names: readonly string[];
  readonly #health = new HealthImplementation();
  readonly #watchCalls = new Set<WatchCall>();
  #isShuttingDown = false;

  /** @param serviceNames the full names of the services whose status clients may ask for */
  constructor(monitor: StorageHealthMonitor, serviceNames: readonly string[]) {
    this.#names = [WHOLE_SERVER, ...serviceNames];
    this.#setAll(monitor.isServing);
    monitor.onChange((isServing) => this.#setAll(isServing));
  }

  /** To be called before the server starts, such as from Nest's `onLoadPackageDefinition`. */
  addToServer(server: GrpcServer): void {
    this.#health.addToServer({
      addService: (definition, handlers) => {
        const { watch, ...others } = handlers;
        server.addService(definition, {
          ...others,
          ...(watch === undefined ? {} : { watch: this.#endingAtShutdown(watch) }),
        });
      },
    });
  }

  /** Ends what clients watch, once they have been told: a graceful stop of the server waits for it. */
  beforeApplicationShutdown(): void {
    this.#isShuttingDown = true;
    for (const call of this.#watchCalls) {
      call.end();
    }
    this.#watchCalls.clear();
  }

  #endingAtShutdown(watch: GrpcHandler): GrpcHandler {
    return (call: WatchCall) => {
      Reflect.apply(watch, this.#health, [call]);
      if (this.#isShuttingDown) {
        call.end();
        return;
      }
      this.#watchCalls.add(call);
      call.once('cancelled', () => this.#watchCalls.delete(call));
    };
  }

  #setAll(isServing: boolean): void {
    for (const name of this.#names) {
      this.#health.setStatus(name, isServing ? 'SERVING' : 'NOT_SERVING');
    }
  }
}
