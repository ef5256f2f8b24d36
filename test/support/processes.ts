import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A process of this machine. */
export interface RunningProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Linux shows its processes as files; an image without `ps` has them too. */
async function readProcFolder(): Promise<RunningProcess[]> {
  const names = await readdir('/proc');
  const processes = await Promise.all(
    names
      .filter((name) => /^\d+$/.test(name))
      .map(async (name) => {
        // A process that ends meanwhile has no file any more; a dead one has an empty line.
        const file = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
        return { pid: Number(name), commandLine: file.replaceAll('\0', ' ').trim() };
      }),
  );
  return processes.filter(({ commandLine }) => commandLine !== '');
}

async function askPs(): Promise<RunningProcess[]> {
  const { stdout } = await run('ps', ['-axww', '-o', 'pid=,stat=,args=']);
  return stdout.split('\n').flatMap((line) => {
    const [, pid, state, commandLine] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return commandLine === undefined || state?.startsWith('Z') === true
      ? []
      : [{ pid: Number(pid), commandLine }];
  });
}

/** @returns the processes that run now; not the dead ones that nobody has waited for */
export async function listProcesses(): Promise<RunningProcess[]> {
  return process.platform === 'linux' ? readProcFolder() : askPs();
}

/** Whether a process of that id runs; a dead one that nobody has waited for does not. */
export async function isRunning(pid: number): Promise<boolean> {
  return (await listProcesses()).some((candidate) => candidate.pid === pid);
}

/** Waits until the process does not run any more. The test's time limit is the limit. */
export async function untilGone(pid: number): Promise<void> {
  while (await isRunning(pid)) {
    await delay(20);
  }
}
