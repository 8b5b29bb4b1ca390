/**
 * `ringside bench --guests`: how long real kernels take from power-on to the first program of their ramdisk, with the counters. The files are those that
 * `npm run guests` fetches; each boots once, on a machine of its own.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { counters } from '../../vmm/cpu/counters';
import { createMachine } from '../../vmm/machine/machine';
import { CliError } from '../errors';
import { readInput } from '../files';
import { columns } from '../format/text';

interface GuestBench {
  readonly name: string;
  readonly title: string;
  readonly kernel: string;
  readonly initrd: string;
}

const guests: readonly GuestBench[] = [
  { name: 'linux-686', title: 'Debian\'s i386 kernel to /init', kernel: 'vmlinuz-686', initrd: 'initramfs-i386' },
  { name: 'linux-amd64', title: 'Debian\'s amd64 kernel to /init', kernel: 'vmlinuz-amd64', initrd: 'initramfs-amd64' },
];

const COMMAND_LINE = 'console=ttyS0 cryptomgr.notests';
/** What the ramdisk's /init prints. */
const READY = 'ringside-guest-ready';
const MEMORY_MIB = 256;
const SLICE = 5_000_000;
const LIMIT_INSTRUCTIONS = 50e9;

export interface BootMeasurement {
  readonly guest: string;
  readonly hostSeconds: number;
  readonly virtualSeconds: number;
  readonly millionInstructions: number;
  readonly millionsPerSecond: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** The index that `npm run guests` leaves in the user's cache directory, or the one that RINGSIDE_GUESTS names. */
function index(): Readonly<Record<string, { readonly path?: string }>> {
  const { env, platform } = process;
  const cache = env.XDG_CACHE_HOME ?? (platform === 'darwin' ? path.join(os.homedir(), 'Library', 'Caches') : platform === 'win32' && env.LOCALAPPDATA ? env.LOCALAPPDATA : path.join(os.homedir(), '.cache'));
  const file = env.RINGSIDE_GUESTS ?? path.join(env.RINGSIDE_CACHE ?? path.join(cache, 'ringside'), 'guests', 'index.json');
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, { path?: string }>;
  } catch {
    throw new CliError('--guests: the guests have not been fetched', 'Fetch them from Debian packages with: npm run guests');
  }
}

function boot({ name, kernel, initrd }: GuestBench, files: readonly [kernel: string, initrd: string]): BootMeasurement {
  let text = '';
  const image = readInput(files[0]), ramdisk = readInput(files[1]);
  const begin = performance.now();
  const machine = createMachine({ name: kernel, image, boot: 'auto', initrd: ramdisk, commandLine: COMMAND_LINE, memoryMiB: MEMORY_MIB, mmu: 'shadow', pace: 'max' }, {
    serial: (port, bytes) => { if (port === 0) text += String.fromCharCode(...bytes); },
    debugPort: () => undefined, log: () => undefined,
  });
  try {
    while (!text.includes(READY)) {
      const outcome = machine.run(SLICE);
      if (outcome.kind === 'ended' || machine.instructions > LIMIT_INSTRUCTIONS) throw new CliError(`--guests: ${name} did not start ${initrd}; it wrote:\n${text.slice(-2000)}`);
    }
    const hostSeconds = (performance.now() - begin) / 1000;
    const values = machine.counters();
    return {
      guest: name, hostSeconds, virtualSeconds: machine.instructions / machine.instructionsPerSecond, millionInstructions: values.instructions / 1e6,
      millionsPerSecond: values.instructions / 1e6 / hostSeconds, counters: values,
    };
  } finally {
    machine.dispose();
  }
}

/** Prints a table, or one line of JSON. @throws CliError when no guest is there. */
export function benchGuests(json: boolean): number {
  const found = index();
  const there = guests.flatMap((guest) => {
    const kernel = found[guest.kernel]?.path, initrd = found[guest.initrd]?.path;
    return kernel && initrd && fs.existsSync(kernel) && fs.existsSync(initrd) ? [{ guest, files: [kernel, initrd] as const }] : [];
  });
  if (there.length === 0) throw new CliError('--guests: the guests have not been fetched', 'Fetch them from Debian packages with: npm run guests');
  const boots = there.map(({ guest, files }) => boot(guest, files));
  if (json) {
    console.log(JSON.stringify({ node: process.version, boots }));
    return 0;
  }
  const rows = boots.map((one) => [
    one.guest, `${one.hostSeconds.toFixed(1)} s`, one.millionInstructions.toFixed(0), one.millionsPerSecond.toFixed(0), `${one.virtualSeconds.toFixed(1)} s`, guests.find(({ name }) => name === one.guest)?.title ?? '',
  ]);
  console.log(columns([['guest', 'to init', 'M instr', 'M instr/s', 'virtual', 'what it is'], ...rows], ['left', 'right', 'right', 'right', 'right', 'left']));
  const titles = counters.map(({ id, title }) => [title, ...boots.map((one) => (one.counters[id] ?? 0).toLocaleString('en'))]);
  console.log(`\n${columns([['counter', ...boots.map(({ guest }) => guest)], ...titles], ['left', ...boots.map(() => 'right' as const)])}`);
  return 0;
}
