import type { AgentOutcome, AgentProgress, AgentRun } from '../agent-runner.js';
import type { QuotedSecrets } from '../supervisor/quoted-secrets.js';

/**
 * Lets work run a task, and masks the secrets in all that it says: stages, progress, outcome and error.
 *
 * @param redact what becomes of progress before its texts are masked; it may add to the secrets
 */
export async function runMasked(
  run: AgentRun,
  secrets: QuotedSecrets,
  work: (run: AgentRun) => Promise<AgentOutcome>,
  redact: (progress: AgentProgress) => AgentProgress = () => ({}),
): Promise<AgentOutcome> {
  const masked = <T extends AgentProgress>(progress: T): T => {
    const redacted = { ...progress, ...redact(progress) };
    return secrets.maskTexts(redacted);
  };
  try {
    const { taskId, instruction, maxSteps, request, previous, attempt, saved, signal } = run;
    const outcome = await work({
      // One by one, because a run may be an object of a class, of which a spread takes a part only.
      taskId,
      instruction,
      maxSteps,
      request,
      previous,
      attempt,
      saved,
      signal,
      reportStage: async (stage, message) =>
        run.reportStage(secrets.maskText(stage), secrets.maskText(message)),
      saveProgress: async (progress) => run.saveProgress(masked(progress)),
    });
    return masked(outcome);
  } catch (error) {
    const message = String(error instanceof Error ? error.message : error);
    const maskedMessage = secrets.maskText(message);
    throw maskedMessage === message ? error : new Error(maskedMessage, { cause: error });
  }
}
