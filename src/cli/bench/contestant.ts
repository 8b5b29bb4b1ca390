/** Who takes part: this machine, v86 and QEMU. Each runs a kernel's image in a process of its own, which is stopped while it is not its turn. */
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { BatchMarks, GO, type Batch } from './batch';
import type { ContestantMessage } from './contestant-process';
import { MEMORY_MIB, type Kernel } from './kernels';
import { processMilliseconds } from './process-time';
import { v86Folder } from './v86-guest';

/** A guest that has been started. Between two batches it stands still. */
export interface Running {
  /** @throws Error for a wrong result, for a guest that does not finish, for a process that ended. */
  batch(): Promise<Batch>;
  end(): void;
}

export interface Contestant {
  readonly name: string;
  /** The processor time of a batch is exact, or known in steps of some milliseconds only. */
  readonly cpuClock: 'exact' | 'coarse';
  /** Why it cannot take part, and what to do; undefined when it can. */
  missing(): string | undefined;
  runs(kernel: Kernel): boolean;
  start(kernel: Kernel, imageFile: string): Promise<Running>;
}

/** A batch that takes longer has gone astray. */
const LONGEST_BATCH_MILLISECONDS = 120_000;
export const QEMU = 'qemu-system-i386';

export const contestants: readonly Contestant[] = [
  { name: 'ringside', cpuClock: 'exact', missing: () => undefined, runs: () => true, start: (_kernel, file) => forked('ringside', file) },
  {
    name: 'v86', cpuClock: 'exact', runs: ({ group }) => group !== 'long',
    missing: () => (v86Folder() === undefined ? 'v86 is not installed; in the project\'s folder: npm install' : undefined), start: (_kernel, file) => forked('v86', file),
  },
  {
    name: 'qemu', cpuClock: 'coarse', runs: ({ group }) => group !== 'long',
    missing: () => (spawnSync(QEMU, ['--version']).error ? `${QEMU} is not installed; on Debian and Ubuntu: sudo apt-get install qemu-system-x86` : undefined),
    start: (_kernel, file) => qemu(file),
  },
];

/** Lets the process run for one batch only. On Windows, where there are no such signals, it stays idle by itself. */
async function inTurn(child: ChildProcess, batch: () => Promise<Batch>): Promise<Batch> {
  signal(child, 'SIGCONT');
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error('a batch does not end')), LONGEST_BATCH_MILLISECONDS); });
  try {
    return await Promise.race([batch(), late]);
  } finally {
    clearTimeout(timer);
    signal(child, 'SIGSTOP');
  }
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  if (process.platform !== 'win32') child.kill(name);
}

async function forked(name: string, imageFile: string): Promise<Running> {
  const child = fork(process.argv[1], ['bench-contestant', name, imageFile], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const next = (): Promise<ContestantMessage> => new Promise((resolve, reject) => {
    const left = (): void => reject(new Error('its process ended'));
    child.once('exit', left);
    child.once('message', (message) => {
      child.off('exit', left);
      resolve(message as ContestantMessage);
    });
  });
  await next();
  return {
    batch: () => inTurn(child, async () => {
      const answer = next();
      child.send('batch');
      const message = await answer;
      if (message.kind === 'batch') return message.batch;
      throw new Error(message.kind === 'failed' ? message.message : 'it started again');
    }),
    end: () => { child.kill('SIGKILL'); },
  };
}

/**
 * QEMU's processor time is known in steps of ten milliseconds, and its marks are seen only when this process gets its turn: short batches are repeated and
 * divided.
 */
const LONG_ENOUGH_MILLISECONDS = 200;
/** What a UART's receiver holds. */
const MOST_REPETITIONS = 16;

async function qemu(imageFile: string): Promise<Running> {
  const child = spawn(QEMU, ['-accel', 'tcg', '-m', `${MEMORY_MIB}`, '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', imageFile], { stdio: ['pipe', 'pipe', 'inherit'] });
  let happened: () => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  const next = (): Promise<void> => new Promise((resolve, reject) => {
    happened = resolve;
    failed = reject;
  });
  let repetitions = 1, left = 1, batches = 0;
  const marks = new BatchMarks({
    ready: () => happened(), started: () => undefined,
    ended: (wrong) => {
      left -= 1;
      if (wrong !== undefined) failed(new Error(`wrong result ${wrong}`));
      else if (left === 0) happened();
    },
  });
  child.stdout.on('data', (bytes: Buffer) => bytes.forEach((byte) => marks.byte(byte)));
  child.on('exit', () => failed(new Error('its process ended')));
  child.on('error', (error) => failed(error));
  child.stdin.on('error', () => undefined);
  await next();
  return {
    batch: () => inTurn(child, async () => {
      left = repetitions;
      const done = next();
      const cpu = processMilliseconds(child.pid!), began = performance.now();
      child.stdin.write(new Uint8Array(repetitions).fill(GO));
      await done;
      const wall = performance.now() - began, now = processMilliseconds(child.pid!);
      const busy = now !== undefined && cpu !== undefined ? now - cpu : undefined;
      const batch = {
        wallMilliseconds: wall / repetitions, instructions: undefined,
        cpuMilliseconds: busy !== undefined && busy >= LONG_ENOUGH_MILLISECONDS / 2 ? busy / repetitions : undefined,
      };
      // The first batch counts by itself.
      batches += 1;
      if (batches > 1) repetitions = Math.max(repetitions, Math.min(MOST_REPETITIONS, Math.ceil(LONG_ENOUGH_MILLISECONDS * repetitions / Math.max(1, Math.min(wall, busy ?? wall)))));
      return batch;
    }),
    end: () => { child.kill('SIGKILL'); },
  };
}
