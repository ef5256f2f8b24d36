import type { Watcher } from '../support/tcp-proxy.js';

/*
 * What goes to the server, told from its bytes: the messages of the protocol begin with a letter and a
 * length, and hold texts that end with a zero byte.
 * https://www.postgresql.org/docs/18/protocol-message-formats.html
 */

const WRITES = /\b(INSERT|UPDATE|DELETE)\b(?! SKIP| OF)/;
/** In a Parse the name of a statement and its text. */
const PARSED = /P[^]{4}([\w-]+)\0([^\0]+)\0/g;
/** In a Bind the name of a portal, here none, and of a statement. */
const BOUND = /B[^]{4}\0([\w-]+)\0/g;

/** Sees a transaction being committed. */
export function watchForCommit(): Watcher {
  return (bytes) => bytes.includes('COMMIT\0');
}

/** Sees single statements that write, prepared ones too. */
export function watchForWrites(): Watcher {
  const writing = new Set<string>();
  return (bytes) => {
    const text = bytes.toString('latin1');
    for (const [, name = '', statement = ''] of text.matchAll(PARSED)) {
      if (WRITES.test(statement)) {
        writing.add(name);
      }
    }
    return [...text.matchAll(BOUND)].some(([, name = '']) => writing.has(name));
  };
}
