import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '../../src/agent/auth/rpc-access.js';
import type { Headers } from './agent-clients.js';

/** What a test writes of a token; the token itself is its name. */
export interface TokenEntry {
  readonly token: string;
  readonly tenant: string;
  readonly role: Role;
}

/** The SHA-256 of a token, as the file has it. */
export function tokenHashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The metadata that presents a token. */
export function bearer(token: string): Headers {
  return { authorization: `Bearer ${token}` };
}

/** A file of tokens in a folder of its own. */
export class TokensFile {
  private constructor(private readonly folder: string) {}

  static async create(entries: readonly TokenEntry[]): Promise<TokensFile> {
    const file = new TokensFile(await mkdtemp(join(tmpdir(), 'tokens-')));
    await file.write(entries);
    return file;
  }

  get path(): string {
    return join(this.folder, 'tokens.json');
  }

  async write(entries: readonly TokenEntry[]): Promise<void> {
    const written = entries.map(({ token, tenant, role }) => ({
      tokenHash: tokenHashOf(token),
      tenant,
      role,
      name: token,
    }));
    await this.writeText(JSON.stringify(written));
  }

  async writeText(text: string): Promise<void> {
    await writeFile(this.path, text);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}
