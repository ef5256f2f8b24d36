import { ConfigurationError } from './configuration-error.js';

/** What Node.js says of a package that is not there; `require` and `import` use different codes. */
const NOT_FOUND_CODES: readonly unknown[] = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];

function saysNotInstalled(error: unknown, packageName: string): error is Error {
  return (
    error instanceof Error &&
    'code' in error &&
    NOT_FOUND_CODES.includes(error.code) &&
    // A package that is there but lacks one of its own dependencies is named in its stead.
    error.message.includes(`'${packageName}'`)
  );
}

/**
 * Loads an optional peer dependency at the moment it is needed.
 *
 * @param load imports the package; a literal `import()`, so that bundlers see it
 * @param neededBy what asks for it, as the subject of a sentence
 * @throws {ConfigurationError} saying what to install when it is missing
 */
export async function loadOptionalPackage<T>(
  packageName: string,
  neededBy: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (saysNotInstalled(error, packageName)) {
      throw new ConfigurationError(
        `${neededBy} needs the package ${packageName}, which is not installed; run npm install ${packageName}`,
        { cause: error },
      );
    }
    throw error;
  }
}
