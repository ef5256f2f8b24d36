import { TERMINAL_STATUSES } from '../../task/task-lifecycle.js';
import type { AgentOutcome, AgentRun, AgentRunner } from '../agent-runner.js';
import { cutToBytes } from '../cut-text.js';
import type { RunLimits } from '../limits/agent-limits.js';
import { QuotedSecrets } from './quoted-secrets.js';

/** Clients take 4 MiB in one message. */
const MAX_RESULT_BYTES = 1024 * 1024;

/** Clients stop following at some of these, so they are for the service alone. */
const SERVICE_STAGES: ReadonlySet<string> = new Set(['starting', 'resuming', ...TERMINAL_STATUSES]);
const RUNNER_PREFIX = 'runner:';

/**
 * Runs a task as its runner does, but lets nothing out that would harm others: the API keys of the
 * request are masked, stages of the service's own names are renamed, long text is cut.
 */
export async function runGuarded(
  runner: AgentRunner,
  run: AgentRun,
  { maxStageBytes }: Pick<RunLimits, 'maxStageBytes'>,
): Promise<AgentOutcome> {
  const secrets = new QuotedSecrets(run.request);
  const messageOf = (text: unknown) => cutToBytes(secrets.maskText(text), maxStageBytes);
  try {
    const { result, finalState, ...lastProgress } = await runner.run({
      ...run,
      reportStage: async (stage, message) => {
        const name = secrets.maskText(stage);
        return run.reportStage(
          SERVICE_STAGES.has(name) ? RUNNER_PREFIX + name : name,
          messageOf(message),
        );
      },
      saveProgress: async (progress) => run.saveProgress(secrets.maskTexts(progress)),
    });
    return {
      ...secrets.maskTexts(lastProgress),
      finalState: secrets.maskTexts(finalState),
      result:
        typeof result === 'string'
          ? cutToBytes(secrets.maskText(result), MAX_RESULT_BYTES)
          : undefined,
    };
  } catch (error) {
    throw new Error(messageOf(error instanceof Error ? error.message : error), { cause: error });
  }
}
