import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { ScheduleModule } from '@nestjs/schedule';
import { AgentModule, commandRunnerEnvironment, createCommandAgentRunner } from './agent/index.js';
import { readEnvironment, type EnvironmentSource } from './config/environment.js';
import { grpcPortProvider } from './grpc-port.js';
import { HealthModule } from './health/index.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { MetricsService } from './metrics/metrics.service.js';
import { RetentionModule, TaskCleanupService } from './retention/index.js';
import { TaskStorageModule } from './storage/task-storage.module.js';

/** The gRPC service, configured by the environment and a `.env` file. */
@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true }),
    TaskStorageModule.forRootAsync({ isGlobal: true }),
    ScheduleModule.forRoot(),
    AgentModule.forRootAsync({
      runner: {
        inject: [ConfigService],
        useFactory: (source: EnvironmentSource) =>
          createCommandAgentRunner(readEnvironment(commandRunnerEnvironment, source)),
      },
    }),
    RetentionModule.forRootAsync(),
    MetricsModule.forRootAsync(),
    // Last, so that its shutdown hook is the first: it says NOT_SERVING before anything stops.
    HealthModule.forRoot({
      serviceNames: ['lybic.agent.Agent', 'nestjs_task_storage.v1.TaskService'],
    }),
  ],
  providers: [grpcPortProvider],
})
export class AppModule {
  constructor(cleanup: TaskCleanupService, metrics: MetricsService) {
    cleanup.onReport((report) => metrics.recordRetentionRun(report));
  }
}
