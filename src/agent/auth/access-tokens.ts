import { hash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ConfigurationError } from '../../config/configuration-error.js';
import { InvalidTaskError } from '../../task/errors.js';
import { parseTenantId } from '../../task/task-input.js';
import { ROLES, type Role } from './rpc-access.js';
import type { Caller } from './callers.js';

/** The option that names the file. */
export const TOKENS_OPTION = 'GRPC_AUTH_TOKENS_FILE';

/** The tenant of a token that is good for all tenants. */
const ALL_TENANTS = '*';

const EXAMPLE = '[{ "tokenHash": "<64 hex digits>", "tenant": "acme", "role": "run" }]';

/** Who holds a token, and what he may do with it. */
export interface TokenHolder extends Caller {
  readonly role: Role;
  /** Identifies the token, and is no secret. */
  readonly tokenHash: string;
}

const tokenEntry = z.strictObject({
  tokenHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'must be the SHA-256 of the token: 64 hexadecimal digits')
    .transform((text) => text.toLowerCase()),
  tenant: z.string().transform((tenant, context) => {
    if (tenant === ALL_TENANTS) {
      return null;
    }
    try {
      return parseTenantId(tenant);
    } catch (error) {
      const message = error instanceof InvalidTaskError ? error.message : 'is no tenant';
      context.addIssue({ code: 'custom', message: message.replace(/^tenantId /, '') });
      return z.NEVER;
    }
  }),
  role: z.enum(ROLES, { error: `must be ${ROLES.join(', ')}` }),
  /** For people who read the file. */
  name: z.string().optional(),
});

interface KnownToken {
  readonly digest: Buffer;
  readonly holder: TokenHolder;
}

/**
 * The tokens of callers, known by their hashes only.
 *
 * A presented token is hashed, the first bytes of its hash find the few that may be the same, and
 * these are compared in constant time. What the search may tell by its time is about hashes: nobody
 * can choose one without knowing its token, and knowing a part of one helps to find no token.
 */
export class AccessTokens {
  readonly #byStart = new Map<number, KnownToken[]>();
  readonly #holders = new Map<string, TokenHolder>();

  constructor(holders: readonly TokenHolder[]) {
    for (const holder of holders) {
      const digest = Buffer.from(holder.tokenHash, 'hex');
      const start = digest.readUInt32BE();
      this.#byStart.set(start, [...(this.#byStart.get(start) ?? []), { digest, holder }]);
      this.#holders.set(holder.tokenHash, holder);
    }
  }

  /** @returns `null` when nobody holds the token */
  holderOf(token: string): TokenHolder | null {
    const digest = hash('sha256', token, 'buffer');
    const similar = this.#byStart.get(digest.readUInt32BE());
    return similar?.find((known) => timingSafeEqual(known.digest, digest))?.holder ?? null;
  }

  /** Whether somebody holds the token with the hash. */
  knows(tokenHash: string): boolean {
    return this.#holders.has(tokenHash);
  }

  /** Whether a token still is what it was. */
  stillHolds({ tokenHash, tenantId, role }: TokenHolder): boolean {
    const holder = this.#holders.get(tokenHash);
    return holder !== undefined && holder.tenantId === tenantId && holder.role === role;
  }
}

/**
 * Reads the content of the file of tokens.
 *
 * @throws {ConfigurationError} naming the entry that is wrong, by its position and without its hash
 */
export function parseAccessTokens(content: Buffer): AccessTokens {
  const entries = z.array(z.unknown()).safeParse(parseJson(content));
  if (!entries.success) {
    throw new ConfigurationError(`${TOKENS_OPTION} holds no JSON array; write ${EXAMPLE}`);
  }
  const holders = entries.data.map(parseEntry);
  const positions = new Map<string, number>();
  holders.forEach(({ tokenHash }, index) => {
    const first = positions.get(tokenHash);
    if (first !== undefined) {
      throw new ConfigurationError(
        `Entry ${index + 1} of ${TOKENS_OPTION} has the token of entry ${first + 1}; leave one of them out`,
      );
    }
    positions.set(tokenHash, index);
  });
  return new AccessTokens(holders);
}

function parseJson(content: Buffer): unknown {
  try {
    // Some editors put a byte order mark first.
    return JSON.parse(content.toString('utf8').replace(/^\uFEFF/, ''));
  } catch {
    // What JSON.parse says quotes the content.
    return undefined;
  }
}

function parseEntry(entry: unknown, index: number): TokenHolder {
  const { success, data, error } = tokenEntry.safeParse(entry);
  if (!success) {
    const [issue] = error.issues;
    const field = issue?.path.join('.') ?? '';
    // What zod says of a key that it does not know repeats it, and it may be a token.
    const problem =
      issue?.code === 'unrecognized_keys'
        ? `it has a field that is none of ${Object.keys(tokenEntry.shape).join(', ')}`
        : issue?.message;
    throw new ConfigurationError(
      `Entry ${index + 1} of ${TOKENS_OPTION} is wrong; write ${EXAMPLE}: ${field === '' ? '' : `${field} `}${problem}`,
    );
  }
  return { tokenHash: data.tokenHash, tenantId: data.tenant, role: data.role };
}
