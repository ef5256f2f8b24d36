import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

/** One import of a file. */
export interface ImportOf {
  /** As it is written, such as `./task.js` or `@nestjs/common`. */
  readonly specifier: string;
  /** `lazy` is an `import()`; the others are loaded together with the file. */
  readonly kind: 'static' | 'lazy';
}

/** The imports and re-exports of a TypeScript or JavaScript file, those of types included. */
export async function importsOf(path: string): Promise<ImportOf[]> {
  const source = ts.createSourceFile(path, await readFile(path, 'utf8'), ts.ScriptTarget.Latest);
  const found: ImportOf[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier !== undefined && ts.isStringLiteral(node.moduleSpecifier)) {
        found.push({ specifier: node.moduleSpecifier.text, kind: 'static' });
      }
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier !== undefined && ts.isStringLiteral(specifier)) {
        found.push({ specifier: specifier.text, kind: 'lazy' });
      }
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) {
        found.push({ specifier: node.argument.literal.text, kind: 'static' });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Every file of a folder and its subfolders with that ending. */
export async function filesUnder(folder: string, ending: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The package of an import; `null` for a file of our own or a module of Node.js. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) {
    return null;
  }
  const [scopeOrName = '', name = ''] = specifier.split('/');
  return specifier.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName;
}

/**
 * The packages that a file loads when it is loaded, through whichever of our files.
 *
 * @param toFile from a relative import's path to the file that is read for it
 */
export async function packagesReachedFrom(
  entry: string,
  toFile: (path: string) => string = (path) => path,
): Promise<Set<string>> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const pending = [entry];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (seen.has(path)) {
      continue;
    }
    seen.add(path);
    for (const { specifier, kind } of await importsOf(path)) {
      const packageName = packageOf(specifier);
      if (kind === 'static' && packageName !== null) {
        packages.add(packageName);
      } else if (kind === 'static' && specifier.startsWith('.')) {
        pending.push(toFile(resolve(dirname(path), specifier)));
      }
    }
  }
  return packages;
}
