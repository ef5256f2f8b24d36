import { Module, type DynamicModule } from '@nestjs/common';
import { awaitedByNest } from '../config/awaited-by-nest.js';
import { optionsFromConfigService } from '../config/options-from-config-service.js';
import { TASK_STORAGE, type TaskStorage } from '../task/task-storage.js';
import { readMetricsOptions, type MetricsOptions } from './metrics-environment.js';
import { MetricsService } from './metrics.service.js';

const METRICS_OPTIONS = Symbol('METRICS_OPTIONS');

async function register(): Promise<DynamicModule> {
  const { inject, useFactory } = await optionsFromConfigService(
    MetricsModule.name,
    readMetricsOptions,
  );
  return {
    module: MetricsModule,
    providers: [
      { provide: METRICS_OPTIONS, inject, useFactory },
      {
        provide: MetricsService,
        inject: [TASK_STORAGE, METRICS_OPTIONS],
        useFactory: (storage: TaskStorage, options: MetricsOptions) =>
          new MetricsService(storage, options),
      },
    ],
    exports: [MetricsService],
  };
}

/** Serves metrics for Prometheus. The application provides a global `TASK_STORAGE`. */
@Module({})
export class MetricsModule {
  /** Reads ENABLE_PROMETHEUS, PROMETHEUS_HOST and PROMETHEUS_PORT through ConfigService. */
  static forRootAsync(): Promise<DynamicModule> {
    return awaitedByNest(register());
  }
}
