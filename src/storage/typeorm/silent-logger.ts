import type { Logger } from 'typeorm';

/** TypeORM writes failures to the console by itself; here they reach the caller as errors. */
export const silentLogger: Logger = {
  logQuery: () => undefined,
  logQueryError: () => undefined,
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
};
