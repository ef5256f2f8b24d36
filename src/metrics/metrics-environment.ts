import { z } from 'zod';
import {
  flag,
  integer,
  readEnvironment,
  text,
  type EnvironmentSource,
} from '../config/environment.js';

/** The variables that say whether and where metrics are served. */
export const metricsEnvironment = z.object({
  /** `1` or `true`: serve metrics for Prometheus. */
  ENABLE_PROMETHEUS: flag(false),
  /** The address to serve them at; `0.0.0.0` or `::` for every address of the machine. */
  PROMETHEUS_HOST: text('127.0.0.1'),
  /** The TCP port to serve them at; 0 picks a free one, which the log names. */
  PROMETHEUS_PORT: integer({ minimum: 0, maximum: 65_535, defaultValue: 8000 }),
});

/** Whether and where metrics are served. */
export interface MetricsOptions {
  readonly enabled: boolean;
  readonly host: string;
  readonly port: number;
}

/** @throws {ConfigurationError} with one sentence for each variable that is wrong */
export function readMetricsOptions(source: EnvironmentSource): MetricsOptions {
  const variables = readEnvironment(metricsEnvironment, source);
  return {
    enabled: variables.ENABLE_PROMETHEUS,
    host: variables.PROMETHEUS_HOST,
    port: variables.PROMETHEUS_PORT,
  };
}
