import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ServiceProcess } from '../../examples/demo/service-process.js';
import { ensureBuilt } from '../support/built-package.js';
import { findFreePort } from '../support/embedded-postgres.js';
import { eventually } from '../support/eventually.js';
import { isRunning } from '../support/processes.js';
import { fuzz, openSockets } from './protocol-fuzz.js';

const AGENT = fileURLToPath(new URL('../../examples/agents/prime-agent.mjs', import.meta.url));

/** `FUZZ_ROUNDS=100 FUZZ_SEED=7` looks longer, and elsewhere. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 2);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_124);
const TIME_LIMIT_MS = 60_000 + ROUNDS * 20_000;

/** Several times what the idle service takes. */
const MAX_RESIDENT_MIB = 700;

describe('The port of the service, fuzzed', () => {
  let port: number;
  let service: ServiceProcess;

  beforeAll(async () => {
    await ensureBuilt();
    port = await findFreePort();
    service = await ServiceProcess.start(String(port), {
      AGENT_COMMAND: `${process.execPath} ${AGENT}`,
      // Node.js keeps the socket of a session that broke the protocol until grpc-js gives it up.
      GRPC_MAX_CONNECTION_IDLE_MS: '1000',
    });
  });

  afterAll(async () => service.kill());

  it(
    'stays up, answers others all along, and gives everything back',
    async () => {
      const report = await fuzz(service, port, { seed: SEED, rounds: ROUNDS });
      const isAlive = await isRunning(service.pid);
      process.stdout.write(
        `${report.counts.summary(isAlive ? 0 : 1)}; ` +
          `${report.controlAnswers} right answers to others, ${report.rssAfterMib} MiB resident\n`,
      );
      expect(isAlive).toBe(true);
      expect(report.controlFailures).toEqual([]);
      expect(report.controlAnswers).toBeGreaterThan(0);
      expect(report.rssAfterMib).toBeLessThan(MAX_RESIDENT_MIB);
      // The client that was asked all along has gone too.
      await eventually(
        () => openSockets(service.pid),
        (count) => count < report.socketsBefore,
      );
      expect(service.log).not.toMatch(/\bat .+:\d+:\d+|Uncaught|Unhandled/);
    },
    TIME_LIMIT_MS,
  );
});
