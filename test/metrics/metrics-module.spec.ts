import { once } from 'node:events';
import { createServer } from 'node:net';
import type { INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { register } from 'prom-client';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import { MetricsModule } from '../../src/metrics/metrics.module.js';
import { MetricsService } from '../../src/metrics/metrics.service.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import { createGate } from '../support/gate.js';
import { globalConfig } from '../support/global-config.js';
import { globalStorage } from '../support/global-storage.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { RecordingLogger } from '../support/recording-logger.js';

const VARIABLES = ['ENABLE_PROMETHEUS', 'PROMETHEUS_HOST', 'PROMETHEUS_PORT'];

describe('MetricsModule', () => {
  let faulty: InterceptedStorage;
  let app: INestApplicationContext | undefined;
  let logger: RecordingLogger;

  beforeEach(() => {
    faulty = interceptStorage(createMemoryTaskStorage());
    logger = new RecordingLogger();
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    for (const name of VARIABLES) {
      delete process.env[name];
    }
  });

  async function start(variables: Record<string, string>): Promise<MetricsService> {
    Object.assign(process.env, variables);
    const module = await Test.createTestingModule({
      imports: [globalConfig(), globalStorage(faulty.storage), MetricsModule.forRootAsync()],
    })
      .setLogger(logger)
      .compile();
    app = await module.init();
    return app.get(MetricsService);
  }

  async function startServing(): Promise<{ service: MetricsService; url: string }> {
    const service = await start({ ENABLE_PROMETHEUS: 'true', PROMETHEUS_PORT: '0' });
    return { service, url: String(service.url) };
  }

  /** The value of a metric at this moment; `undefined` when it is absent. */
  async function scrape(url: string, metric: string): Promise<string | undefined> {
    const response = await fetch(url);
    expect(response.status).toBe(200);
    const lines = (await response.text()).split('\n');
    return lines.find((line) => line.startsWith(`${metric} `))?.slice(metric.length + 1);
  }

  it('serves nothing unless it is enabled', async () => {
    const service = await start({ PROMETHEUS_PORT: '0' });
    expect(service.url).toBeNull();
    service.recordRetentionRun({
      outcome: 'completed',
      deletedByStatus: { finished: 1, error: 0, cancelled: 0 },
      dryRun: false,
    });
  });

  it('serves the metrics of the process and the storage in the format of Prometheus', async () => {
    await faulty.storage.createTask({ taskId: 'a', query: 'test', maxSteps: 1 });
    const { url } = await startServing();

    const response = await fetch(url);

    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('process_resident_memory_bytes ');
    expect(text).toContain('task_storage_up 1');
    expect(text).toContain('task_storage_active_tasks 1');
    expect(logger.messages('log')).toContain(`Metrics are at ${url}`);
  });

  it('counts the active tasks anew for each scrape', async () => {
    const { url } = await startServing();
    expect(await scrape(url, 'task_storage_active_tasks')).toBe('0');
    await faulty.storage.createTask({ taskId: 'a', query: 'test', maxSteps: 1 });
    expect(await scrape(url, 'task_storage_active_tasks')).toBe('1');
    await faulty.storage.updateTask('a', { status: 'cancelled' });
    expect(await scrape(url, 'task_storage_active_tasks')).toBe('0');
  });

  it('leaves the number of active tasks out while the storage does not answer', async () => {
    await faulty.storage.createTask({ taskId: 'a', query: 'test', maxSteps: 1 });
    const { url } = await startServing();
    expect(await scrape(url, 'task_storage_active_tasks')).toBe('1');

    faulty.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'gone');
    });
    expect(await scrape(url, 'task_storage_up')).toBe('0');
    expect(await scrape(url, 'task_storage_active_tasks')).toBeUndefined();

    faulty.intercept(null);
    expect(await scrape(url, 'task_storage_up')).toBe('1');
    expect(await scrape(url, 'task_storage_active_tasks')).toBe('1');
  });

  it('counts retention runs and what they deleted, dry runs apart', async () => {
    const { service, url } = await startServing();
    const deletedByStatus = { finished: 5, error: 2, cancelled: 0 };
    expect(await scrape(url, 'task_retention_deleted_total{status="cancelled"}')).toBe('0');
    expect(await scrape(url, 'task_retention_runs_total{outcome="failed"}')).toBe('0');

    service.recordRetentionRun({ outcome: 'completed', deletedByStatus, dryRun: false });
    service.recordRetentionRun({ outcome: 'failed', deletedByStatus, dryRun: false });
    service.recordRetentionRun({ outcome: 'completed', deletedByStatus, dryRun: true });

    expect(await scrape(url, 'task_retention_deleted_total{status="finished"}')).toBe('10');
    expect(await scrape(url, 'task_retention_deleted_total{status="error"}')).toBe('4');
    expect(await scrape(url, 'task_retention_runs_total{outcome="completed"}')).toBe('2');
    expect(await scrape(url, 'task_retention_runs_total{outcome="failed"}')).toBe('1');
  });

  it('keeps its metrics apart from those of the application', async () => {
    const { url } = await startServing();
    await fetch(url);
    expect(register.getMetricsAsArray()).toEqual([]);
  });

  it('answers only GET /metrics', async () => {
    const { url } = await startServing();
    expect((await fetch(new URL('/', url))).status).toBe(404);
    expect((await fetch(new URL('/metrics/other', url))).status).toBe(404);
    expect((await fetch(`${url}?from=prometheus`)).status).toBe(200);
    const posted = await fetch(url, { method: 'POST' });
    expect(posted.status).toBe(405);
    expect(posted.headers.get('allow')).toBe('GET');
  });

  it('does not start when the port is taken, saying which and what to write', async () => {
    const other = createServer();
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    try {
      const started = start({ ENABLE_PROMETHEUS: '1', PROMETHEUS_PORT: port });
      await expect(started).rejects.toThrow(ConfigurationError);
      await expect(started).rejects.toThrow(
        `PROMETHEUS_PORT is ${port}, where metrics cannot be served; write another port`,
      );
    } finally {
      other.close();
    }
  });

  it('does not start with a wrong variable, naming it', async () => {
    await expect(start({ PROMETHEUS_PORT: '65536' })).rejects.toThrow(
      'PROMETHEUS_PORT is "65536"; write a whole number from 0 to 65535',
    );
    await expect(start({ PROMETHEUS_PORT: '0', ENABLE_PROMETHEUS: 'yes' })).rejects.toThrow(
      'ENABLE_PROMETHEUS is "yes"; write 1, 0, true or false',
    );
  });

  it('stops serving at shutdown, though a scrape still waits for the storage', async () => {
    const { url } = await startServing();
    const scrapeStarted = createGate();
    const answer = createGate();
    faulty.intercept(async () => {
      scrapeStarted.open();
      await answer.opened;
    });
    const scraped = fetch(url);
    scraped.catch(() => undefined);
    await scrapeStarted.opened;

    await app?.close();
    app = undefined;

    await expect(scraped).rejects.toThrow('fetch failed');
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    answer.open();
  });
});
