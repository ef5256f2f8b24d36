import { describe, expect, it } from '@jest/globals';
import type { AgentOutcome, AgentRun, AgentRunner } from '../../src/agent/agent-runner.js';
import { runGuarded } from '../../src/agent/supervisor/guarded-runner.js';
import { RecordedRun } from '../support/recorded-run.js';

const MASK = '********';
const KEY = 'sk-0123456789';

const request = {
  runningConfig: {
    authorizationInfo: { apiKey: 'short' },
    stageModelConfig: {
      groundingModel: { apiKey: KEY },
      embeddingModel: { apiKey: `${KEY}-longer` },
    },
  },
};

function runnerOf(run: (run: AgentRun) => Promise<AgentOutcome>): AgentRunner {
  return { description: 'a test', run };
}

const LIMITS = { maxStageBytes: 65_536 };

describe('What a runner says', () => {
  it('has the keys of its request masked, wherever it quotes them', async () => {
    const recorded = new RecordedRun({ request });
    const quoting = runnerOf(async (run) => {
      expect(run.request).toEqual(request);
      await run.reportStage(`use ${KEY}`, `${KEY} ${KEY}-longer in short`);
      await run.saveProgress({
        conversationHistory: { planner: [{ [KEY]: `Bearer ${KEY}` }] },
        sandboxInfo: undefined,
      });
      return { result: `used ${KEY}`, finalState: KEY, sandboxInfo: { id: KEY } };
    });
    expect(await runGuarded(quoting, recorded, LIMITS)).toEqual({
      result: `used ${MASK}`,
      finalState: MASK,
      sandboxInfo: { id: MASK },
    });
    expect(recorded.stages).toEqual([[`use ${MASK}`, `${MASK} ${MASK} in short`]]);
    expect(recorded.progress).toEqual([
      { conversationHistory: { planner: [{ [MASK]: `Bearer ${MASK}` }] }, sandboxInfo: undefined },
    ]);
  });

  it('has the organization and the credentials of endpoints masked too', async () => {
    const endpoints = {
      runningConfig: {
        authorizationInfo: {
          orgID: 'organization-1',
          apiEndpoint: 'https://user:p%40ssword-1@host/v1?api_key=parameter-1',
        },
      },
    };
    const quoting = runnerOf(async () => ({
      result: 'organization-1 p%40ssword-1 p@ssword-1 parameter-1 of host',
    }));
    expect(
      await runGuarded(quoting, new RecordedRun({ request: endpoints }), LIMITS),
    ).toMatchObject({
      result: `${MASK} ${MASK} ${MASK} ${MASK} of host`,
    });
  });

  it('has the keys masked in its error', async () => {
    for (const reason of [new Error(`401 for ${KEY}`), `401 for ${KEY}`]) {
      const failing = runnerOf(async () => Promise.reject(reason));
      await expect(runGuarded(failing, new RecordedRun({ request }), LIMITS)).rejects.toMatchObject(
        {
          message: `401 for ${MASK}`,
        },
      );
    }
  });

  it.each(['starting', 'resuming', 'finished', 'error', 'cancelled'])(
    'is not taken for a stage of the service when it says %s',
    async (stage) => {
      const recorded = new RecordedRun();
      await runGuarded(
        runnerOf(async (run) => {
          await run.reportStage(stage, 'not yet');
          await run.reportStage(`${stage} soon`, '');
          return {};
        }),
        recorded,
        LIMITS,
      );
      expect(recorded.stages).toEqual([
        [`runner:${stage}`, 'not yet'],
        [`${stage} soon`, ''],
      ]);
    },
  );

  it('is cut where it would not fit into a message, between two characters', async () => {
    const recorded = new RecordedRun();
    const { result } = await runGuarded(
      runnerOf(async (run) => {
        await run.reportStage('long', `x${'é'.repeat(40_000)}`);
        await run.reportStage('fits', 'x'.repeat(65_536));
        return { result: 'x'.repeat(1_048_577) };
      }),
      recorded,
      LIMITS,
    );
    expect(recorded.messagesOf('long')).toEqual([`x${'é'.repeat(32_767)}… (cut)`]);
    expect(recorded.messagesOf('fits')).toEqual(['x'.repeat(65_536)]);
    expect(result).toBe(`${'x'.repeat(1_048_576)}… (cut)`);
    const failing = runnerOf(async () => Promise.reject(new Error('x'.repeat(70_000))));
    await expect(runGuarded(failing, recorded, LIMITS)).rejects.toMatchObject({
      message: `${'x'.repeat(65_536)}… (cut)`,
    });
  });
});
