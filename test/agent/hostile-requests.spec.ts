import { Metadata, status } from '@grpc/grpc-js';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import fc from 'fast-check';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { errorInfoOf } from '../support/agent-clients.js';
import { arbitraryValueFor, fixedValuesFor, type HostileValue } from '../support/hostile-values.js';
import { InputCounts } from '../support/input-counts.js';
import { RawClient, type RawAnswer } from '../support/raw-client.js';
import { expectedStored, readBack } from '../support/stored-requests.js';
import { taskStorageBackends, type OpenBackend } from '../support/task-storage-backends.js';
import {
  allMethods,
  delimited,
  nameOf,
  pathOf,
  requestFieldsOf,
  requestWith,
  tag,
  varint,
  type Method,
  type WireField,
} from '../support/wire-fields.js';

const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_124);
/** How many generated values an RPC is tried with. */
const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 30);

// Thousands of calls, on a machine that may be busy with other tests.
jest.setTimeout(120_000);
const MIB = 1024 * 1024;
const MANY_FIELDS = 10;

/** What a request may be answered with. `INTERNAL` and `UNKNOWN` are failures of the service. */
const ANSWERS: ReadonlySet<status> = new Set([
  status.OK,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
]);

const INTERNALS = /node_modules|\bat .+:\d+:\d+|Error:|SQLSTATE|QueryFailed|syntax|protobuf reader/;

/** What else a request must have for a field of it to be looked at. */
function companionsOf(method: Method, field: WireField): Buffer {
  if (nameOf(method).startsWith('RunAgentInstruction') && pathOf(field) !== 'instruction') {
    return delimited(1, Buffer.from('do it'));
  }
  if (nameOf(method) === 'WatchTask' && pathOf(field) !== 'task_id') {
    return delimited(1, Buffer.from('ended'));
  }
  return nameOf(method) === 'CleanupOldTasks' && pathOf(field) !== 'older_than_days'
    ? Buffer.concat([tag(1, 0), varint(36_500n)])
    : Buffer.alloc(0);
}

function methodNamed(name: string): Method {
  const method = allMethods.find((candidate) => nameOf(candidate) === name);
  if (method === undefined) {
    throw new Error(`There is no RPC ${name}`);
  }
  return method;
}

describe.each(taskStorageBackends)('Hostile requests on $name', ({ name, open }) => {
  const counts = new InputCounts(`requests on ${name}`);
  let backend: OpenBackend;
  let service: AgentService;
  let client: RawClient;

  beforeAll(async () => {
    backend = await open();
    const runner = { description: 'a test', run: async () => ({ result: 'done' }) };
    service = await startAgentService(backend.storage, runner, {
      maxTasks: 1_000,
      allowSetGlobalConfig: true,
    });
    client = new RawClient(service.address);
    await backend.storage.createTask({
      taskId: 'control',
      query: 'control',
      maxSteps: 1,
      status: 'running',
    });
  });

  afterAll(async () => {
    client.close();
    await service.stop();
    await service.close();
    await backend.close();
    process.stdout.write(`${counts.summary()}\n`);
  });

  // Another connection, which notices nothing.
  let follower: ReturnType<AgentService['tasks']['stream']>;
  let errorsBefore: number;
  beforeEach(async () => {
    errorsBefore = service.logger.messages('error').length;
    const ended = { taskId: 'ended', query: 'q', maxSteps: 1, status: 'running' } as const;
    if (await backend.storage.createTask(ended)) {
      await backend.storage.updateTask('ended', { status: 'finished' });
    }
    follower = service.tasks.stream('WatchTask', { task_id: 'control' });
  });
  afterEach(async () => {
    await backend.storage.appendEvents('control', [{ stage: 'still', message: 'here' }]);
    while ((await follower.next()).stage !== 'still') {
      // Those of earlier tests come first.
    }
    follower.call.cancel();
    expect(await service.agent.call('QueryTaskStatus', { taskId: 'control' })).toMatchObject({
      status: 'RUNNING',
    });
    expect(service.logger.messages('error').slice(errorsBefore)).toEqual([]);
  });

  async function tryValue(method: Method, field: WireField, value: HostileValue): Promise<void> {
    counts.add(value.kind);
    const request = Buffer.concat([
      companionsOf(method, field),
      requestWith(field, (number) => value.encode(number)),
    ]);
    const answer = await client.call(method, request);
    const tried = `${nameOf(method)} ${pathOf(field)} (${value.kind}): ${request.toString('hex', 0, 80)}`;
    expect([tried, ANSWERS.has(answer.code), status[answer.code], answer.details]).toEqual([
      tried,
      true,
      status[answer.code],
      answer.details,
    ]);
    expect(answer.details).not.toMatch(INTERNALS);
    if (answer.error !== null && answer.code === status.INVALID_ARGUMENT) {
      assertNames(field, answer, tried);
    } else if (answer.code === status.OK) {
      expect([tried, value.meaning]).not.toEqual([tried, undefined]);
      const stored = await readBack(method, field, answer, service);
      if (stored !== null) {
        expect([tried, stored.value]).toEqual([tried, expectedStored(field, value.meaning)]);
      }
    }
  }

  function assertNames(field: WireField, { error, details }: RawAnswer, tried: string): void {
    const named = error === null ? '' : (errorInfoOf(error).metadata['field'] ?? '');
    const isNamed =
      named === pathOf(field) ||
      pathOf(field).startsWith(`${named}.`) ||
      named.startsWith(`${pathOf(field)}.`) ||
      named.startsWith(`${pathOf(field)}[`);
    expect([tried, named, isNamed]).toEqual([tried, named, true]);
    expect(details.startsWith(named)).toBe(true);
  }

  describe.each(allMethods.map((method) => ({ rpc: nameOf(method), method })))(
    'of $rpc',
    ({ method }) => {
      const fields = requestFieldsOf(method);

      it('are refused naming the field, or taken as they are', async () => {
        for (const [index, field] of fields.entries()) {
          // Each value meets each RPC on each backend; in memory each field of large messages too.
          const values = fixedValuesFor(field).filter(
            (_, place) =>
              name === 'memory' || fields.length < MANY_FIELDS || (place + index) % 8 === 0,
          );
          const isShared = nameOf(method).startsWith('SetGlobal');
          if (isShared) {
            for (const value of values) {
              await tryValue(method, field, value);
            }
          } else {
            await Promise.all(values.map(async (value) => tryValue(method, field, value)));
          }
        }
      });

      it('are so whatever is generated', async () => {
        if (fields.length === 0) {
          return;
        }
        const anyValue = fc
          .constantFrom(...fields)
          .chain((field) => arbitraryValueFor(field).map((value) => ({ field, value })));
        await fc.assert(
          fc.asyncProperty(anyValue, async ({ field, value }) => tryValue(method, field, value)),
          { seed: SEED, numRuns: RUNS },
        );
      });

      it('are refused when they are no message at all', async () => {
        for (const [kind, bytes] of Object.entries({
          'field number 0': Buffer.from([0x00, 0x01]),
          'wire type 7': Buffer.from([0x0f]),
          'group that never ends': Buffer.alloc(MIB, 0xfb),
          'groups 500,000 deep': Buffer.concat([
            Buffer.alloc(500_000, 0x7b),
            Buffer.alloc(500_000, 0x7c),
          ]),
          'stray end of a group': Buffer.from([0xfc, 0x7f]),
        })) {
          counts.add(kind);
          const answer = await client.call(method, bytes);
          expect([kind, status[answer.code]]).toEqual([kind, 'INVALID_ARGUMENT']);
          expect(answer.details).toMatch(/^request /);
        }
      });

      it('of 4 MB are refused, or taken', async () => {
        counts.add('4 MB');
        const content = Buffer.alloc(4 * MIB - 100, 'x');
        const first = fields.find(({ type }) => type === 'TYPE_STRING');
        const encode = (number: number) => delimited(number, content);
        const request = first === undefined ? encode(1_000) : requestWith(first, encode);
        const answer = await client.call(method, request);
        expect([...ANSWERS]).toContain(answer.code);
      });

      it('with 10,000 entries of metadata are refused', async () => {
        counts.add('10,000 metadata entries');
        const metadata = new Metadata();
        for (let entry = 0; entry < 10_000; entry += 1) {
          metadata.set(`key-${entry}`, 'value');
        }
        const answer = await client.call(method, Buffer.alloc(0), metadata);
        expect(status[answer.code]).toBe('RESOURCE_EXHAUSTED');
      });
    },
  );

  it.each(['RunAgentInstruction', 'RunAgentInstructionAsync', 'GetTask'])(
    'of 64 MB are refused before they are decoded by %s',
    async (rpc) => {
      counts.add('64 MB');
      const request = delimited(1, Buffer.alloc(64 * MIB, 'x'));
      const answer = await client.call(methodNamed(rpc), request);
      expect(status[answer.code]).toBe('RESOURCE_EXHAUSTED');
      expect(answer.details).toMatch(/larger than max/);
    },
  );

  it('leave a service that answers as before', async () => {
    const task = await client.call(
      methodNamed('RunAgentInstructionAsync'),
      delimited(1, Buffer.from('do it')),
    );
    expect(status[task.code]).toBe('OK');
  });
});
