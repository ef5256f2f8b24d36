import { describe, expect, it } from '@jest/globals';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import { loadOptionalPackage } from '../../src/config/optional-package.js';

/** The compiler must not look for it. */
const MISSING: string = 'a-package-that-nobody-installed';

describe('loadOptionalPackage', () => {
  it('answers the package when it is installed', async () => {
    const { z } = await loadOptionalPackage('zod', 'This test', async () => import('zod'));
    expect(z.string().parse('x')).toBe('x');
  });

  it('says who needs the missing package and how to install it', async () => {
    const loaded = loadOptionalPackage(MISSING, 'This test', async () => import(MISSING));
    await expect(loaded).rejects.toThrow(ConfigurationError);
    await expect(loaded).rejects.toThrow(
      `This test needs the package ${MISSING}, which is not installed; run npm install ${MISSING}`,
    );
  });

  it('does not blame the package for what it fails to find itself', async () => {
    const loaded = loadOptionalPackage('zod', 'This test', async () => import(MISSING));
    await expect(loaded).rejects.not.toThrow(ConfigurationError);
  });

  it('passes on every other failure', async () => {
    const failure = new Error('broken');
    const loaded = loadOptionalPackage('zod', 'This test', async () => {
      throw failure;
    });
    await expect(loaded).rejects.toBe(failure);
  });
});
