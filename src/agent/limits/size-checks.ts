import type { JsonObject } from '../../task/json.js';
import { InvalidRequestError } from '../agent-errors.js';
import type { AgentLimits } from './agent-limits.js';

/** @returns the problem in words, or `null` when the field may be stored */
export function problemOfSize(value: JsonObject, maxFieldBytes: number): string | null {
  const bytes = Buffer.byteLength(JSON.stringify(value));
  return bytes <= maxFieldBytes
    ? null
    : `has ${bytes} bytes as JSON; a field may have ${maxFieldBytes} (TASK_MAX_FIELD_BYTES)`;
}

/** @throws {InvalidRequestError} naming the field when it is too large to be stored */
export function assertFieldFits(
  field: string,
  value: JsonObject,
  { maxFieldBytes }: Pick<AgentLimits, 'maxFieldBytes'>,
): void {
  const problem = problemOfSize(value, maxFieldBytes);
  if (problem !== null) {
    throw new InvalidRequestError(field, problem);
  }
}

/** @throws {InvalidRequestError} naming the instruction when it is too long */
export function assertInstructionFits(
  instruction: string,
  { maxInstructionBytes }: Pick<AgentLimits, 'maxInstructionBytes'>,
): void {
  const bytes = Buffer.byteLength(instruction);
  if (bytes > maxInstructionBytes) {
    throw new InvalidRequestError(
      'instruction',
      `has ${bytes} bytes; it may have ${maxInstructionBytes} (TASK_MAX_INSTRUCTION_BYTES)`,
    );
  }
}
