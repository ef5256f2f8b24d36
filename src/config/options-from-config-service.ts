import type { FactoryProvider } from '@nestjs/common';
import { ConfigurationError } from './configuration-error.js';
import type { EnvironmentSource } from './environment.js';
import { loadOptionalPackage } from './optional-package.js';

/** How a Nest module gets its options from the environment. */
export interface OptionsFromConfigService<T> {
  inject: NonNullable<FactoryProvider['inject']>;
  useFactory: (source: EnvironmentSource | undefined) => T;
}

/**
 * Reads a module's options through the application's ConfigService. `@nestjs/config` is loaded only
 * here, so that an app which gives its options in code need not install it.
 *
 * The module does not import ConfigModule by itself: that one would not wait for what the
 * application's own loads.
 *
 * @param moduleName whose options they are, for the error
 * @throws {ConfigurationError} when `@nestjs/config` is not installed, or ConfigService not to be had
 */
export async function optionsFromConfigService<T>(
  moduleName: string,
  read: (source: EnvironmentSource) => T,
): Promise<OptionsFromConfigService<T>> {
  const { ConfigService } = await loadOptionalPackage(
    '@nestjs/config',
    `${moduleName}.forRootAsync() without arguments`,
    async () => import('@nestjs/config'),
  );
  return {
    inject: [{ token: ConfigService, optional: true }],
    useFactory: (source) => {
      if (source === undefined) {
        throw new ConfigurationError(
          `${moduleName}.forRootAsync() without a factory reads ConfigService, which it cannot find; write ConfigModule.forRoot({ isGlobal: true }) in the imports of the root module`,
        );
      }
      return read(source);
    },
  };
}
