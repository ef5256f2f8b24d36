import type { InjectionToken, ModuleMetadata } from '@nestjs/common';
import type { EnvironmentSource } from './environment.js';
import { loadOptionalPackage } from './optional-package.js';

/** How a Nest module gets its options from the environment. */
export interface OptionsFromConfigService<T> {
  imports: NonNullable<ModuleMetadata['imports']>;
  inject: InjectionToken[];
  useFactory: (source: EnvironmentSource) => T;
}

/**
 * Reads a module's options through Nest's ConfigService. `@nestjs/config` is loaded only here, so
 * that an app which gives its options in code need not install it.
 *
 * @param moduleName whose options they are, for the error
 * @throws {ConfigurationError} when `@nestjs/config` is not installed
 */
export async function optionsFromConfigService<T>(
  moduleName: string,
  read: (source: EnvironmentSource) => T,
): Promise<OptionsFromConfigService<T>> {
  const { ConfigModule, ConfigService } = await loadOptionalPackage(
    '@nestjs/config',
    `${moduleName}.forRootAsync() without arguments`,
    async () => import('@nestjs/config'),
  );
  return { imports: [ConfigModule], inject: [ConfigService], useFactory: read };
}
