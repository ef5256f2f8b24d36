/* A process of its own that calls, so that the servers share a core with the same client. */
import { Client, credentials } from '@grpc/grpc-js';
import { runCallers, type Turn } from '../measure/closed-loop.js';
import type { LoadRequest } from './messages.js';
import { callUnary, methodOf } from './methods.js';

const clients = new Map<string, Client>();

function clientFor(address: string): Client {
  const known = clients.get(address);
  if (known !== undefined) {
    return known;
  }
  const client = new Client(address, credentials.createInsecure());
  clients.set(address, client);
  return client;
}

async function run({ address, method, requests, callers, turnMs }: LoadRequest): Promise<Turn> {
  const unaryMethod = methodOf(method);
  const client = clientFor(address);
  const expected = new Set<unknown>(requests.map(idOf));
  let next = 0;
  return runCallers(
    async () => {
      next = (next + 1) % requests.length;
      const answer = await callUnary(client, unaryMethod, requests[next] ?? {});
      if (!expected.has(idOf(answer))) {
        throw new Error(`${address} answered ${JSON.stringify(answer)}`);
      }
    },
    callers,
    turnMs,
  );
}

/** The id of the task that was answered; none when it was not found. */
function idOf(message: object): unknown {
  if ('status' in message && message.status === 'NOT_FOUND') {
    return undefined;
  }
  return 'taskId' in message ? message.taskId : 'task_id' in message ? message.task_id : undefined;
}

process.on('message', (request: LoadRequest) => {
  run(request).then(
    (turn) => process.send?.({ turn }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
