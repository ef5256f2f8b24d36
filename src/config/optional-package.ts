import { ConfigurationError } from './configuration-error.js';

/** What Node.js says of a package that is not there; `require` and `import` use different codes. */
const NOT_FOUND_CODES: readonly unknown[] = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];

/** Goes by what the error says, not by its class: a test runner's errors are of another realm. */
function saysNotInstalled(error: unknown, packageName: string): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    NOT_FOUND_CODES.includes(error.code) &&
    'message' in error &&
    // A package that is there but lacks one of its own dependencies is not named.
    String(error.message).includes(`'${packageName}'`)
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
