import { Module, type DynamicModule } from '@nestjs/common';
import { systemClock } from '../task/clock.js';
import { TASK_STORAGE, type TaskStorage } from '../task/task-storage.js';
import { GrpcHealthService } from './grpc-health.service.js';
import { StorageHealthMonitor } from './storage-health-monitor.js';

/** What the application reports of itself, and how often it looks. */
export interface HealthOptions {
  /** The full names of the gRPC services whose status clients may ask for. */
  serviceNames: readonly string[];
  /** How long to wait after the storage's answer before asking again. Default 1000. */
  intervalMs?: number | undefined;
  /** How long the storage may take to answer. Default 3000. */
  timeoutMs?: number | undefined;
}

/**
 * Tells load balancers and supervisors whether this process can serve. The application provides a
 * global `TASK_STORAGE`.
 *
 * Nest runs the shutdown hooks of modules imported side by side in the reverse order of their
 * import: import this one last, so that it says NOT_SERVING before anything else stops.
 */
@Module({})
export class HealthModule {
  static forRoot(options: HealthOptions): DynamicModule {
    const { serviceNames, intervalMs = 1000, timeoutMs = 3000 } = options;
    return {
      module: HealthModule,
      providers: [
        {
          provide: StorageHealthMonitor,
          inject: [TASK_STORAGE],
          useFactory: (storage: TaskStorage) =>
            new StorageHealthMonitor(storage, { intervalMs, timeoutMs }, systemClock),
        },
        {
          provide: GrpcHealthService,
          inject: [StorageHealthMonitor],
          useFactory: (monitor: StorageHealthMonitor) =>
            new GrpcHealthService(monitor, serviceNames),
        },
      ],
      exports: [StorageHealthMonitor, GrpcHealthService],
    };
  }
}
