import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GrpcHealthService } from '../../src/health/grpc-health.service.js';
import { HealthModule } from '../../src/health/health.module.js';
import { StorageHealthMonitor } from '../../src/health/storage-health-monitor.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import { TASK_STORAGE, type TaskStorage } from '../../src/task/task-storage.js';
import { createGate } from '../support/gate.js';
import { globalStorage } from '../support/global-storage.js';
import { HealthClient } from '../support/health-client.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { ManualClock } from '../support/manual-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';

const SERVICE = 'lybic.agent.Agent';

/** Shuts down slowly beside the HealthModule. */
@Injectable()
class SlowProvider {
  readonly shutdownStarted = createGate();
  readonly shutdownMayEnd = createGate();

  async onModuleDestroy(): Promise<void> {
    this.shutdownStarted.open();
    await this.shutdownMayEnd.opened;
  }
}

@Module({ providers: [SlowProvider] })
class SlowModule {}

describe('GrpcHealthService', () => {
  let clock: ManualClock;
  let faulty: InterceptedStorage;
  let app: INestApplicationContext;
  let server: Server;
  let client: HealthClient;

  beforeEach(async () => {
    clock = new ManualClock();
    faulty = interceptStorage(createMemoryTaskStorage());
    const firstAnswer = createGate();
    faulty.intercept(async () => firstAnswer.opened);
    const module = await Test.createTestingModule({
      imports: [
        globalStorage(faulty.storage),
        SlowModule,
        HealthModule.forRoot({ serviceNames: [SERVICE] }),
      ],
    })
      .overrideProvider(StorageHealthMonitor)
      .useFactory({
        inject: [TASK_STORAGE],
        factory: (storage: TaskStorage) =>
          new StorageHealthMonitor(storage, { intervalMs: 1000, timeoutMs: 3000 }, clock),
      })
      .setLogger(new RecordingLogger())
      .compile();
    app = await module.init();
    server = new Server();
    app.get(GrpcHealthService).addToServer(server);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) {
          resolve(bound);
        } else {
          reject(error);
        }
      });
    });
    client = new HealthClient(`127.0.0.1:${port}`);
    expect(await client.check('')).toBe('NOT_SERVING');
    firstAnswer.open();
    faulty.intercept(null);
    await clock.advance(0);
  });

  afterEach(async () => {
    client.close();
    app.get(SlowProvider).shutdownMayEnd.open();
    await app.close();
    server.forceShutdown();
  });

  async function fail(): Promise<void> {
    throw new TaskStorageError('UNAVAILABLE', 'gone');
  }

  it('answers Check for the whole server and for each service', async () => {
    expect(await client.check('')).toBe('SERVING');
    expect(await client.check(SERVICE)).toBe('SERVING');
  });

  it('answers NOT_FOUND for a service it does not know', async () => {
    await expect(client.check('other.Service')).rejects.toMatchObject({ code: 5 });
  });

  it('tells those who watch when the storage dies and when it comes back', async () => {
    const watch = client.watch(SERVICE);
    await watch.until('SERVING');

    faulty.intercept(fail);
    await clock.advance(1000);
    await watch.until('NOT_SERVING');
    expect(await client.check('')).toBe('NOT_SERVING');

    faulty.intercept(null);
    await clock.advance(1000);
    await watch.until('SERVING');
    expect(await client.check('')).toBe('SERVING');
    expect(watch.statuses).toEqual(['SERVING', 'NOT_SERVING', 'SERVING']);
    watch.cancel();
  });

  it('keeps telling the others when one who watches leaves', async () => {
    const leaving = client.watch('');
    const staying = client.watch('');
    await leaving.until('SERVING');
    await staying.until('SERVING');
    leaving.cancel();

    faulty.intercept(fail);
    await clock.advance(1000);
    await staying.until('NOT_SERVING');
    staying.cancel();
  });

  it('says NOT_SERVING first of all at shutdown, while other modules still stop', async () => {
    const watch = client.watch(SERVICE);
    await watch.until('SERVING');
    const slow = app.get(SlowProvider);

    const closed = app.close();
    await slow.shutdownStarted.opened;
    await watch.until('NOT_SERVING');
    expect(await client.check('')).toBe('NOT_SERVING');

    slow.shutdownMayEnd.open();
    await closed;
  });

  it('ends what clients watch, so that the server can stop gracefully', async () => {
    const watch = client.watch(SERVICE);
    await watch.until('SERVING');
    app.get(SlowProvider).shutdownMayEnd.open();
    await app.close();
    await watch.ended;
    expect(watch.statuses).toEqual(['SERVING', 'NOT_SERVING']);

    const late = client.watch(SERVICE);
    await late.ended;
    expect(late.statuses).toEqual(['NOT_SERVING']);

    await new Promise<void>((resolve, reject) => {
      server.tryShutdown((error) => {
        if (error === undefined) {
          resolve();
        } else {
          reject(error);
        }
      });
    });
  });
});
