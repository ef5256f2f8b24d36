import { createHmac, timingSafeEqual } from 'node:crypto';
import { InvalidTaskError } from './errors.js';
import type { TaskStatus } from './task.js';

/** The place in a list after which the next page starts. */
export interface PagePosition {
  /**
   * Microseconds since 1970 as decimal text: Postgres keeps microseconds, which a `Date` would
   * lose, and a page cut at a rounded time repeats or skips tasks.
   */
  readonly createdAtMicroseconds: string;
  readonly taskId: string;
}

/** Which list a token belongs to. */
export interface PageFilter {
  readonly tenantId: string | null;
  readonly status: TaskStatus | null;
}

const MAC_LENGTH = 16;

/**
 * Writes and reads page tokens. A token says where to go on, never what to show: the filter and the
 * tenant are part of what is signed, and the reader brings its own.
 */
export class PageTokenCodec {
  /** @param key a secret that every process on the same storage shares */
  constructor(private readonly key: Buffer) {}

  encode(position: PagePosition, filter: PageFilter): string {
    const body = Buffer.from(JSON.stringify([position.createdAtMicroseconds, position.taskId]));
    return Buffer.concat([this.#sign(body, filter), body]).toString('base64url');
  }

  /** @throws {InvalidTaskError} when the token was not cut by this storage from the same list */
  decode(token: string, filter: PageFilter): PagePosition {
    const bytes = Buffer.from(token, 'base64url');
    const body = bytes.subarray(MAC_LENGTH);
    const mac = bytes.subarray(0, MAC_LENGTH);
    if (
      bytes.toString('base64url') !== token ||
      mac.length !== MAC_LENGTH ||
      !timingSafeEqual(mac, this.#sign(body, filter))
    ) {
      throw new InvalidTaskError(
        'pageToken',
        'was not given out for this list; start again without one, with the same filter throughout',
      );
    }
    return parsePosition(JSON.parse(body.toString()));
  }

  #sign(body: Buffer, filter: PageFilter): Buffer {
    return createHmac('sha256', this.key)
      .update(JSON.stringify([filter.tenantId, filter.status]))
      .update('\0')
      .update(body)
      .digest()
      .subarray(0, MAC_LENGTH);
  }
}

function parsePosition(value: unknown): PagePosition {
  if (Array.isArray(value)) {
    const [createdAtMicroseconds, taskId]: unknown[] = value;
    if (typeof createdAtMicroseconds === 'string' && typeof taskId === 'string') {
      return { createdAtMicroseconds, taskId };
    }
  }
  throw new InvalidTaskError('pageToken', 'is of another version; start again without one');
}
