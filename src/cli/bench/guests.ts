/**
 * `ringside bench --guests`: Linux kernels that `npm run guests` has fetched, from power-on to their first program and through some work, here and on the
 * peers. Each runs in a process of its own, one after another.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { RAM } from '../../vmm/cpu/layout';
import { CliError } from '../errors';
import { QEMU, type Contestant } from './contestant';
import { guestPhases, guestWork, PhaseMarks } from './guest-phases';
import type { GuestFiles, GuestProcessOptions } from './guest-process';
import { processMemory, type ProcessMemory } from './process-memory';
import { processMilliseconds } from './process-time';

interface Guest {
  readonly name: string;
  readonly title: string;
  /** Names in the index of the guests. */
  readonly kernel: string;
  readonly initrd: string;
  readonly bits: 32 | 64;
}

const guests: readonly Guest[] = [
  { name: 'linux-686', title: 'Debian\'s i386 kernel', kernel: 'vmlinuz-686', initrd: 'initramfs-i386', bits: 32 },
  { name: 'linux-amd64', title: 'Debian\'s amd64 kernel', kernel: 'vmlinuz-amd64', initrd: 'initramfs-amd64', bits: 64 },
];

export const GUEST_MEMORY_MIB = 256;
const COMMAND_LINE = 'console=ttyS0 cryptomgr.notests';
/** A guest that writes nothing new for so long has gone astray. */
const LONGEST_SILENCE_MILLISECONDS = 300_000;

export interface PhaseTime {
  readonly wallMilliseconds: number;
  readonly cpuMilliseconds: number | undefined;
}

export interface GuestMeasurement {
  readonly guest: string;
  readonly contestant: string;
  readonly error?: string;
  /** By the phase's name; one for each start. */
  readonly phases: Readonly<Record<string, readonly PhaseTime[]>>;
  /** By the phase after which it was looked at; of the last start. */
  readonly memory: Readonly<Record<string, ProcessMemory>>;
}

/** The index that `npm run guests` leaves in the user's cache directory, or the one that RINGSIDE_GUESTS names. */
function index(): Readonly<Record<string, { readonly path?: string }>> {
  const { env, platform } = process;
  const cache = env.XDG_CACHE_HOME ?? (platform === 'darwin' ? path.join(os.homedir(), 'Library', 'Caches') : platform === 'win32' && env.LOCALAPPDATA ? env.LOCALAPPDATA : path.join(os.homedir(), '.cache'));
  const file = env.RINGSIDE_GUESTS ?? path.join(env.RINGSIDE_CACHE ?? path.join(cache, 'ringside'), 'guests', 'index.json');
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, { path?: string }>;
  } catch {
    throw notFetched();
  }
}

function notFetched(): CliError {
  return new CliError('--guests: the guests have not been fetched', 'Fetch them from Debian packages with: npm run guests');
}

/** @throws CliError when no guest is there. */
export async function measureGuests(contestants: readonly Contestant[], options: { readonly forks: number; readonly starts: number; progress(text: string): void }): Promise<GuestMeasurement[]> {
  const found = index();
  const file = (name: string): string | undefined => (found[name]?.path !== undefined && fs.existsSync(found[name].path) ? found[name].path : undefined);
  const entries = guests.flatMap((guest) => {
    const [kernel, initrd, bios, vgaBios] = [guest.kernel, guest.initrd, 'bios.bin', 'vgabios-stdvga.bin'].map(file);
    if (kernel === undefined || initrd === undefined) return [];
    return contestants.filter(({ name }) => (guest.bits === 32 ? name !== 'v86' || (bios !== undefined && vgaBios !== undefined) : name === 'ringside'))
      .map(({ name }) => ({ guest, contestant: name, files: { kernel, initrd, bios: bios ?? '', vgaBios: vgaBios ?? '' }, phases: {} as Record<string, PhaseTime[]>, memory: {}, error: undefined as string | undefined }));
  });
  if (entries.length === 0) throw notFetched();
  for (let start = 0; start < options.starts; start++) {
    for (const entry of entries) {
      if (entry.error !== undefined) continue;
      options.progress(`${entry.guest.name} on ${entry.contestant}, ${start + 1} of ${options.starts}`);
      try {
        const { phases, memory } = await once(entry.contestant, entry.files, options.forks);
        for (const [name, time] of Object.entries(phases)) (entry.phases[name] ??= []).push(time);
        entry.memory = memory;
      } catch (error) {
        entry.error = (error as Error).message;
      }
    }
  }
  return entries.map(({ guest, contestant, phases, memory, error }) => ({ guest: guest.name, contestant, phases, memory, ...(error !== undefined && { error }) }));
}

/** One start, to the end of the last phase. @throws Error when the guest does not get there */
async function once(contestant: string, files: GuestFiles, forks: number): Promise<{ phases: Record<string, PhaseTime>; memory: Record<string, ProcessMemory> }> {
  const rows = guestPhases(forks);
  const times = new Map<string, PhaseTime>();
  const memory: Record<string, ProcessMemory> = {};
  const began = performance.now();
  const child = startGuest(contestant, { ...files, memory: GUEST_MEMORY_MIB, commandLine: `${COMMAND_LINE} ${guestWork(forks)}` });
  try {
    await new Promise<void>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const marks = new PhaseMarks(rows, (text) => {
        times.set(text, { wallMilliseconds: performance.now() - began, cpuMilliseconds: processMilliseconds(child.pid!) });
        const row = rows.find(({ to }) => to === text);
        const now = row?.memory === undefined ? undefined : processMemory(child.pid!, GUEST_MEMORY_MIB << 20, contestant === 'ringside' ? RAM : undefined);
        if (row && now) memory[row.name] = now;
        if (marks.complete) resolve();
      });
      const fail = (what: string): void => reject(new Error(`${what}; it wrote: ${marks.tail.slice(-300)}`));
      const watch = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => fail('the guest went silent'), LONGEST_SILENCE_MILLISECONDS);
        timer.unref();
      };
      watch();
      child.stdout!.on('data', (bytes: Buffer) => {
        watch();
        marks.write(bytes);
      });
      child.on('error', reject);
      child.on('exit', () => fail('the guest ended'));
    });
  } finally {
    child.kill('SIGKILL');
  }
  const time = (to: string, from?: string): PhaseTime => {
    const end = times.get(to)!, begin = from === undefined ? { wallMilliseconds: 0, cpuMilliseconds: 0 } : times.get(from)!;
    return {
      wallMilliseconds: end.wallMilliseconds - begin.wallMilliseconds,
      cpuMilliseconds: end.cpuMilliseconds !== undefined && begin.cpuMilliseconds !== undefined ? end.cpuMilliseconds - begin.cpuMilliseconds : undefined,
    };
  };
  return { phases: Object.fromEntries(rows.map(({ name, from, to }) => [name, time(to, from)])), memory };
}

function startGuest(contestant: string, options: GuestProcessOptions): ChildProcess {
  const { kernel, initrd, commandLine, memory } = options;
  if (contestant !== 'qemu') return spawn(process.execPath, [process.argv[1], 'bench-guest', contestant, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const parameters = ['-accel', 'tcg', '-m', `${memory}`, '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', commandLine];
  // Its input stays open: the end of it would be the end of the line.
  return spawn(QEMU, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
}
