// The agent of the cluster test. Beside its work it keeps a log of its own, which neither the
// service nor the database can make look better than it was: who ran which task, from when to when.
//
//   instruction:  work 8 steps 40 ms, job 17
import { openSync, writeSync } from 'node:fs';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

/** A run is known to have lasted at least to its last beat, so this is how exact the log is. */
const BEAT_MS = 20;

/** A service killed while it wrote the request leaves a part of it, for which nobody waits. */
const request = await json(process.stdin).catch(() => process.exit(1));
const { taskId, instruction, attempt = 1 } = request;
// Each line is appended by one write, so that the lines of many programs do not mix.
const log = openSync(process.env.CLUSTER_RUN_LOG, 'a');

function record(kind) {
  const atMs = performance.timeOrigin + performance.now();
  writeSync(log, `${JSON.stringify({ taskId, attempt, pid: process.pid, kind, atMs })}\n`);
}

function leave(exitCode) {
  record('end');
  process.exit(exitCode);
}

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

record('start');
process.on('SIGTERM', () => leave(143));
// Nobody reads any more: the service is dead, and another replica may take the task over.
process.stdout.on('error', () => leave(1));

const [, steps, stepMs] = /^work (\d+) steps (\d+) ms\b/.exec(instruction) ?? [];
if (stepMs === undefined) {
  console.error(`I cannot do "${instruction}". Ask me to: work 8 steps 40 ms`);
  leave(2);
}
const beat = setInterval(() => record('beat'), BEAT_MS);
for (let step = 1; step <= Number(steps); step += 1) {
  await delay(Number(stepMs));
  record('beat');
  say({ type: 'stage', stage: `attempt ${attempt} step ${step}`, message: instruction });
}
say({ type: 'result', result: `attempt ${attempt} done` });
clearInterval(beat);
record('end');
