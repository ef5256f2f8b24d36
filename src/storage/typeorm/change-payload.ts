import type { TaskChange } from '../../task/task-change.js';

/*
 * How hints travel in a notification: a JSON array of the sender's id and of the changes, each the
 * letter of its kind and the task's id. One with no changes only shows that notifications arrive.
 */

/** Postgres refuses a payload of 8000 bytes or more. */
const MAX_PAYLOAD_BYTES = 7_999;

const LETTER_BY_KIND = {
  written: 'w',
  ended: 'e',
  queued: 'q',
  missed: 'm',
} as const satisfies Record<TaskChange['kind'], string>;

const KIND_BY_LETTER: ReadonlyMap<string, TaskChange['kind']> = new Map([
  ['w', 'written'],
  ['e', 'ended'],
  ['q', 'queued'],
  ['m', 'missed'],
]);

/** Hints may have been lost: look at everything. */
export const MISSED: TaskChange = { kind: 'missed', taskId: '' };

/** One hint as it stands in a payload; the same text for the same hint. */
export function encodeChange({ kind, taskId }: TaskChange): string {
  return `${LETTER_BY_KIND[kind]}${taskId}`;
}

function startOf(sender: string): string {
  return `[${JSON.stringify(sender)}`;
}

/** Whether a payload is from the sender, without reading the rest. */
export function isFrom(sender: string, payload: string): boolean {
  return payload.startsWith(startOf(sender));
}

/** @returns as few payloads as hold the encoded changes; one when there are none */
export function packPayloads(sender: string, encoded: Iterable<string>): string[] {
  const start = startOf(sender);
  const payloads: string[] = [];
  let payload = start;
  let bytes = Buffer.byteLength(payload);
  for (const change of encoded) {
    const part = `,${JSON.stringify(change)}`;
    const partBytes = Buffer.byteLength(part);
    if (bytes + partBytes + 1 > MAX_PAYLOAD_BYTES) {
      payloads.push(`${payload}]`);
      payload = start;
      bytes = Buffer.byteLength(payload);
    }
    payload += part;
    bytes += partBytes;
  }
  return [...payloads, `${payload}]`];
}

/** Reads a payload, which anybody on the database can send: what it cannot read is `MISSED`. */
export function readPayload(payload: string): readonly TaskChange[] {
  const unreadable = [MISSED];
  const parts = parseJson(payload);
  if (!Array.isArray(parts)) {
    return unreadable;
  }
  const [sender, ...encoded]: unknown[] = parts;
  const changes = encoded.map(decodeChange);
  return typeof sender === 'string' && changes.every((change) => change !== null)
    ? changes
    : unreadable;
}

function decodeChange(encoded: unknown): TaskChange | null {
  if (typeof encoded !== 'string') {
    return null;
  }
  const kind = KIND_BY_LETTER.get(encoded.slice(0, 1));
  if (kind === undefined) {
    return null;
  }
  const taskId = encoded.slice(1);
  return (taskId === '') === (kind === 'missed') ? { kind, taskId } : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
