/**
 * The attributes of a launch configuration, as rows: name, type, default and words. They are checked here, and package.json's schema is
 * made of them (a test compares). A wrong value is refused with the name of the field and what it should be.
 */
import { AdapterError } from './adapter-error';

export interface LaunchConfig {
  readonly program: string;
  readonly memory: number;
  readonly mmu: 'shadow';
  readonly processors: number;
  readonly cpu: string | undefined;
  readonly clearVirtualInterruptFlagOnEntry: boolean;
  readonly stopOnEntry: boolean;
  readonly stopOnEnd: boolean;
  readonly kernelCommandLine: string | undefined;
  readonly initrd: string | undefined;
  readonly symbols: string | undefined;
  readonly modules: readonly string[];
  readonly fda: string | undefined;
  readonly hda: string | undefined;
  readonly hdaBacking: string | undefined;
  readonly hdb: string | undefined;
  readonly cdrom: string | undefined;
  readonly writeBack: boolean;
  readonly bios: string | undefined;
  readonly vgaBios: string | undefined;
  readonly virtioDisks: readonly string[];
  readonly virtioConsole: boolean;
  readonly network: 'none' | 'loopback' | 'internet';
  readonly sharedFolder: string | undefined;
  readonly loadAddress: number | undefined;
  readonly entry: number | undefined;
  readonly assembler: 'builtin' | 'nasm';
  readonly nasm: string;
  readonly pace: 'realtime' | 'max';
  readonly instructionsPerSecond: number | undefined;
  readonly maxInstructions: number | undefined;
  readonly serial: 'terminal' | 'console' | 'both';
  readonly noDebug: boolean;
}

type Field = Exclude<keyof LaunchConfig, 'noDebug'>;

/** JSON schema of one attribute, as `contributes.debuggers.configurationAttributes` wants it. */
export interface LaunchAttribute {
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'array' | readonly ['integer', 'string'];
  readonly description: string;
  readonly default?: string | number | boolean | readonly string[];
  readonly enum?: readonly string[];
  readonly enumDescriptions?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: { readonly type: 'string' };
}

export const launchAttributes: Readonly<Record<Field, LaunchAttribute>> = {
  program: { type: 'string', description: 'What the machine starts: an .asm file, a Linux kernel (bzImage), a multiboot or PVH kernel (ELF), a disk image or a flat binary. What it is gets detected.' },
  memory: { type: 'integer', description: 'Guest memory in MiB.', default: 32, minimum: 1, maximum: 2048 },
  mmu: { type: 'string', description: 'How guest memory is virtualized.', default: 'shadow', enum: ['shadow'] },
  processors: { type: 'integer', description: 'Number of processors; the debugger shows each as a thread.', default: 1, minimum: 1, maximum: 8 },
  cpu: { type: 'string', description: 'Model of the processors: "486", "pentium", "p6", "core" or "max" (the default: everything that Ringside has).' },
  clearVirtualInterruptFlagOnEntry: { type: 'boolean', description: 'Every entry through the IDT clears EFLAGS.VIF and VIP, which the architecture leaves alone: for systems that rely on it in virtual-8086 mode.', default: false },
  stopOnEntry: { type: 'boolean', description: 'Stop before the first instruction.', default: false },
  stopOnEnd: { type: 'boolean', description: 'Keep the machine for inspection when the guest has ended, until the session is stopped.', default: false },
  kernelCommandLine: { type: 'string', description: 'Command line of a Linux or multiboot kernel.' },
  initrd: { type: 'string', description: 'Initial ramdisk of a Linux kernel; a multiboot kernel gets it as its first module.' },
  symbols: { type: 'string', description: 'Symbols of the kernel: a System.map, or an ELF file with symbols (vmlinux). Those of a running Linux kernel are also found without it.' },
  modules: { type: 'array', description: 'Files that a multiboot kernel gets as modules.', items: { type: 'string' }, default: [] },
  fda: { type: 'string', description: 'Floppy image in drive A.' },
  hda: { type: 'string', description: 'Image of the first hard disk: raw, VDI, qcow2 or VMDK. Files that it names (extents, backing files) are looked up beside it.' },
  hdaBacking: { type: 'string', description: 'The image that "hda", or a disk image as the program, holds the differences to, when it is not beside it.' },
  hdb: { type: 'string', description: 'Image of the second hard disk.' },
  cdrom: { type: 'string', description: 'Disc in the CD drive (ISO 9660).' },
  writeBack: { type: 'boolean', description: 'When the session ends or restarts, write what the guest has changed to the disk images (raw and VDI). Without it they stay as they are.', default: false },
  bios: { type: 'string', description: 'BIOS image that boots the disks instead of the built-in BIOS, such as SeaBIOS\'s bios.bin.' },
  vgaBios: { type: 'string', description: 'VGA BIOS for that BIOS, such as SeaBIOS\'s vgabios-stdvga.bin.' },
  virtioDisks: { type: 'array', description: 'Images of disks on the virtio bus: hard disks behind the others to the BIOS, and faster ones for guests with drivers for them.', items: { type: 'string' }, default: [] },
  virtioConsole: { type: 'boolean', description: 'A virtio console, in a terminal of its own.', default: false },
  network: {
    type: 'string', description: 'Network card, and what the guest may connect to. In a browser connections are refused.', default: 'none', enum: ['none', 'loopback', 'internet'],
    enumDescriptions: ['No card', 'Servers on this computer, as 10.0.2.2', 'Whatever this computer reaches, the local network included'],
  },
  sharedFolder: { type: 'string', description: 'Folder of which the guest gets a snapshot, to mount over 9p with the tag "share". The guest changes the snapshot alone.' },
  loadAddress: { type: ['integer', 'string'], description: 'Where a flat binary is loaded ("0x7C00"). Giving it makes any binary a flat one.' },
  entry: { type: ['integer', 'string'], description: 'First instruction of a flat binary; its load address unless given.' },
  assembler: {
    type: 'string', description: 'Who assembles an .asm program.', default: 'builtin', enum: ['builtin', 'nasm'],
    enumDescriptions: ['The built-in assembler in NASM syntax', 'The nasm program'],
  },
  nasm: { type: 'string', description: 'The nasm program, when the assembler is "nasm".', default: 'nasm' },
  pace: {
    type: 'string', description: 'How virtual time runs.', default: 'realtime', enum: ['realtime', 'max'],
    enumDescriptions: ['Never faster than the wall clock, for guests that are used', 'As fast as it goes; HLT skips to the next event'],
  },
  instructionsPerSecond: { type: 'integer', description: 'Speed of the guest\'s clock: instructions in one virtual second.', minimum: 1000, maximum: 10_000_000_000 },
  maxInstructions: { type: 'integer', description: 'End the machine after so many instructions.', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
  serial: {
    type: 'string', description: 'Where the output of serial ports goes.', default: 'terminal', enum: ['terminal', 'console', 'both'],
    enumDescriptions: ['The serial terminal', 'The debug console', 'Both'],
  },
};

/** Attributes that VS Code and its users may add without meaning us. */
const foreign = new Set([
  'type', 'request', 'name', 'noDebug', 'preLaunchTask', 'postDebugTask', 'internalConsoleOptions', 'presentation', 'serverReadyAction',
  'debugServer', 'suppressMultipleSessionWarning',
]);

/** @throws AdapterError naming the field. */
export function parseLaunchConfig(given: Readonly<Record<string, unknown>>): LaunchConfig {
  for (const name of Object.keys(given)) {
    if (name in launchAttributes || foreign.has(name) || name.startsWith('__')) continue;
    throw new AdapterError(`launch.json: there is no attribute "${name}"`, `It knows ${Object.keys(launchAttributes).join(', ')}.`);
  }
  const values = Object.fromEntries(Object.entries(launchAttributes).map(([name, attribute]) => [name, check(name, attribute, given[name])]));
  const config = { ...values, noDebug: given['noDebug'] === true } as unknown as LaunchConfig;
  if (config.program === undefined || config.program.trim() === '') {
    throw new AdapterError('launch.json: "program" is missing', 'Name an .asm file, a kernel or a disk image.');
  }
  return config;
}

function check(name: string, attribute: LaunchAttribute, value: unknown): unknown {
  if (value === undefined || value === null) return attribute.default;
  const wrong = (expected: string): AdapterError => new AdapterError(`launch.json: "${name}" is ${JSON.stringify(value)}; it has to be ${expected}`);
  if (Array.isArray(attribute.type)) return address(value) ?? fail(wrong('an address such as "0x7C00"'));
  switch (attribute.type) {
    case 'boolean':
      return typeof value === 'boolean' ? value : fail(wrong('true or false'));
    case 'integer':
    case 'number': {
      const { minimum = -Infinity, maximum = Infinity } = attribute;
      const good = typeof value === 'number' && Number.isSafeInteger(value) && value >= minimum && value <= maximum;
      return good ? value : fail(wrong(`a whole number from ${minimum} to ${maximum}`));
    }
    case 'array': {
      const good = Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
      return good ? value : fail(wrong('a list of paths'));
    }
    case 'string':
      if (attribute.enum && !attribute.enum.includes(value as string)) throw wrong(attribute.enum.map((one) => `"${one}"`).join(' or '));
      return typeof value === 'string' && (attribute.enum || name === 'kernelCommandLine' || value.trim() !== '') ? value : fail(wrong('a text that is not empty'));
    default:
      return value;
  }
}

function address(value: unknown): number | undefined {
  const number = typeof value === 'number' ? value : typeof value === 'string' && /^(?:0x[0-9a-f]+|[0-9]+)$/i.test(value.trim()) ? Number(value) : NaN;
  return Number.isInteger(number) && number >= 0 && number <= 0xffff_ffff ? number : undefined;
}

function fail(error: AdapterError): never {
  throw error;
}
