import type { DynamicModule } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';

/** ConfigService as an application has it, reading the variables of this process. */
export async function globalConfig(): Promise<DynamicModule> {
  return ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true });
}
