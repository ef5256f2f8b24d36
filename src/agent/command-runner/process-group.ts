import { setTimeout as delay } from 'node:timers/promises';

const POLL_INTERVAL_MS = 20;

/** @returns whether the group has members left that we may signal; dead ones nobody reaped count */
function signalGroup(groupId: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-groupId, signal);
  } catch {
    // ESRCH: nobody is left. EPERM: those who are left are not ours (macOS: are dead already).
    return false;
  }
}

/**
 * Ends every process of a group: asks with SIGTERM, waits, and kills with SIGKILL those who are
 * still there after the grace. Resolves when none is left or none can refuse any more.
 *
 * @param groupId the id of the process that leads the group, even if it has exited
 */
export async function endProcessGroup(groupId: number, graceMs: number): Promise<void> {
  const giveUpAt = performance.now() + graceMs;
  let isAlive = signalGroup(groupId, 'SIGTERM');
  while (isAlive && performance.now() < giveUpAt) {
    await delay(POLL_INTERVAL_MS);
    isAlive = signalGroup(groupId, 0);
  }
  signalGroup(groupId, 'SIGKILL');
}

const groupsToKill = new Set<number>();

function killGroups(): void {
  groupsToKill.forEach((groupId) => signalGroup(groupId, 'SIGKILL'));
}

/**
 * Has a group killed when this process exits, be it by an error: nobody would be left to end it.
 *
 * @returns what to call when the group has ended
 */
export function killProcessGroupAtExit(groupId: number): () => void {
  if (groupsToKill.size === 0) {
    process.on('exit', killGroups);
  }
  groupsToKill.add(groupId);
  return () => {
    groupsToKill.delete(groupId);
    if (groupsToKill.size === 0) {
      process.off('exit', killGroups);
    }
  };
}
