import type { DynamicModule } from '@nestjs/common';

/**
 * Hands a registration to Nest, which awaits it later than Node.js looks for rejections that nobody
 * handles. Its failure still stops the start, with its own error.
 */
export function awaitedByNest(registration: Promise<DynamicModule>): Promise<DynamicModule> {
  registration.catch(() => undefined);
  return registration;
}
