import type { ChildProcess, Serializable } from 'node:child_process';
import { once } from 'node:events';
import type { Turn } from '../measure/closed-loop.js';
import type { MethodName } from './methods.js';

/** What the client process is asked to do: to call for one turn. */
export interface LoadRequest {
  readonly address: string;
  readonly method: MethodName;
  readonly requests: readonly object[];
  readonly callers: number;
  readonly turnMs: number;
}

/** What the bare server is asked to do: to answer each method with one message. */
export interface BareRequest {
  readonly answers: Readonly<Record<MethodName, object>>;
}

/** What a process answers. */
export type Answer =
  { readonly turn: Turn } | { readonly port: number } | { readonly error: string };

/** @throws what went wrong in the process */
export async function ask(child: ChildProcess, request: Serializable): Promise<Answer> {
  const answered = once(child, 'message');
  child.send(request);
  const [message]: unknown[] = await answered;
  if (!isAnswer(message)) {
    throw new Error(`A process of the bench answered ${JSON.stringify(message)}`);
  }
  if ('error' in message) {
    throw new Error(message.error);
  }
  return message;
}

function isAnswer(message: unknown): message is Answer {
  return (
    typeof message === 'object' &&
    message !== null &&
    ('turn' in message || 'port' in message || 'error' in message)
  );
}
