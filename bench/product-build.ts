/*
 * The product as it is published: what `npm run build` made. The types come from the source, so that
 * they can be checked without a build.
 */

/** @throws when it is not built */
export async function loadPostgresBackend(): Promise<
  typeof import('../src/storage/typeorm/index.js')
> {
  return importBuilt('storage/typeorm/index.js');
}

/** @throws when it is not built */
export async function loadPackage(): Promise<typeof import('../src/index.js')> {
  return importBuilt('index.js');
}

async function importBuilt<Module>(path: string): Promise<Module> {
  const { href } = new URL(`../dist/${path}`, import.meta.url);
  try {
    const module: Module = await import(href);
    return module;
  } catch (error) {
    throw new Error(`The product is not built; run npm run build`, { cause: error });
  }
}
