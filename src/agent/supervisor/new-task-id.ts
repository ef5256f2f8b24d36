import { createHash, randomUUID } from 'node:crypto';

const UUID_BYTES = 16;

/** Makes bytes a UUID of version 8, whose other bits mean what its maker says (RFC 9562, 5.8). */
function toUuid(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

/**
 * The id of a new task. The same key of the same tenant gives the same id, and the storage creates
 * no id twice: that alone makes a repeated submission find the task of the first one, on every
 * backend, for as long as that task exists.
 *
 * @param idempotencyKey `null` for a task that is new whatever was submitted before
 */
export function newTaskId(tenantId: string, idempotencyKey: string | null): string {
  if (idempotencyKey === null) {
    return randomUUID();
  }
  const digest = createHash('sha256')
    .update(JSON.stringify(['nestjs-task-storage:idempotency-key', tenantId, idempotencyKey]))
    .digest();
  return toUuid(digest.subarray(0, UUID_BYTES));
}
