import type { ServerWritableStream } from '@grpc/grpc-js';
import { Observable, type Subscriber } from 'rxjs';
import { endCall } from './port-closing.js';

/** What is needed of a streaming call of grpc-js. */
export type StreamCall = Pick<
  ServerWritableStream<unknown, unknown>,
  'writableNeedDrain' | 'once' | 'off'
>;

/**
 * Makes the answer of a streaming call from messages that are pulled one by one. Nest buffers
 * without limit what a slow client has not taken, so the next one is pulled only when the call has
 * room for it.
 *
 * @param open starts at the subscription; its signal is aborted when the call has ended
 */
export function streamAnswer<T>(
  call: StreamCall,
  open: (signal: AbortSignal) => AsyncIterable<T>,
): Observable<T> {
  return new Observable((subscriber) => {
    const ended = new AbortController();
    void pump(call, open(ended.signal), subscriber, ended.signal);
    return () => endCall(ended);
  });
}

async function pump<T>(
  call: StreamCall,
  messages: AsyncIterable<T>,
  subscriber: Subscriber<T>,
  ended: AbortSignal,
): Promise<void> {
  try {
    for await (const message of messages) {
      subscriber.next(message);
      await room(call, ended);
      if (ended.aborted) {
        return;
      }
    }
    subscriber.complete();
  } catch (error) {
    subscriber.error(error);
  }
}

async function room(call: StreamCall, ended: AbortSignal): Promise<void> {
  if (!call.writableNeedDrain || ended.aborted) {
    return;
  }
  await new Promise<void>((resolve) => {
    const resume = () => {
      call.off('drain', resume);
      ended.removeEventListener('abort', resume);
      resolve();
    };
    call.once('drain', resume);
    ended.addEventListener('abort', resume, { once: true });
  });
}
