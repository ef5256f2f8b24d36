#!/usr/bin/env node
// An agent for CommandAgentRunner that does real work: it counts primes, one range a step.
//
//   AGENT_COMMAND="node examples/agents/prime-agent.mjs"
//   instruction:  find the primes below 50000
//
// A task that continues another one goes on where that one's conversation ended, and so does a task
// whose replica was lost: set AGENT_RESUMABLE=1.
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

// Long enough for a person to follow the steps.
const PAUSE_MS = 100;

// The service has gone when nobody reads any more: there is nobody to work for.
process.stdout.on('error', () => process.exit(1));

function say(type, fields) {
  process.stdout.write(`${JSON.stringify({ type, ...fields })}\n`);
}

/** The sieve of Eratosthenes over one range, from `start` up to but not including `end`. */
function countPrimes(start, end) {
  const isComposite = new Uint8Array(end - start);
  for (let factor = 2; factor * factor < end; factor += 1) {
    const first = Math.max(factor * factor, Math.ceil(start / factor) * factor);
    for (let multiple = first; multiple < end; multiple += factor) {
      isComposite[multiple - start] = 1;
    }
  }
  return isComposite.reduce(
    (count, composite, index) => (composite === 0 && start + index >= 2 ? count + 1 : count),
    0,
  );
}

/** What the previous task, or an earlier attempt, found out, read from its conversation. */
function whatIsKnown(from) {
  const answer = from?.conversationHistory?.sieve?.at(-1);
  return answer?.role === 'tool' ? { checkedBelow: answer.below, found: answer.found } : null;
}

async function findPrimes(limit, maxSteps, known, stepsTaken) {
  const startedAt = performance.now();
  const start = known?.checkedBelow ?? 0;
  const range = Math.ceil((limit - start) / Math.max(1, maxSteps - stepsTaken));
  let found = known?.found ?? 0;
  let step = stepsTaken;
  for (let from = start; from < limit; from += range) {
    const below = Math.min(from + range, limit);
    const inRange = countPrimes(from, below);
    found += inRange;
    step += 1;
    say('conversation', {
      tool: 'sieve',
      messages: [
        { role: 'user', content: `How many primes are there from ${from} to ${below - 1}?` },
        { role: 'tool', content: String(inRange), below, found },
      ],
    });
    const duration_seconds = (performance.now() - startedAt) / 1000;
    say('statistics', { steps: step, duration_seconds });
    say('stage', { stage: `step ${step}`, message: `${found} primes below ${below}` });
    await delay(PAUSE_MS);
  }
  return found;
}

const { instruction, maxSteps, previous, saved = {} } = await json(process.stdin);
const limit = Number(/^find the primes below (\d{1,9})$/i.exec(instruction.trim())?.[1]);
const resumed = whatIsKnown(saved);
const known = resumed ?? whatIsKnown(previous);
if (Number.isNaN(limit)) {
  console.error(`I cannot do "${instruction}". Ask me to: find the primes below 50000`);
  process.exitCode = 2;
} else if (known !== null && known.checkedBelow > limit) {
  console.error(`Task ${previous.taskId} went up to ${known.checkedBelow}, beyond ${limit}.`);
  process.exitCode = 2;
} else {
  if (resumed !== null) {
    const message = `an earlier attempt found ${known.found} primes below ${known.checkedBelow}`;
    say('stage', { stage: 'remembering', message });
  } else if (known !== null) {
    const message = `task ${previous.taskId} found ${known.found} primes below ${known.checkedBelow}`;
    say('stage', { stage: 'remembering', message });
  }
  const stepsTaken = resumed === null ? 0 : (saved.executionStatistics?.steps ?? 0);
  const found = await findPrimes(limit, maxSteps, known, stepsTaken);
  say('result', { result: `There are ${found} primes below ${limit}.` });
}
