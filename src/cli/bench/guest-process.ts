/**
 * A Linux guest in a process of its own: what `ringside bench-guest` does. COM1 is the process's output, which its parent reads and times. v86 has no loader
 * for Linux that works without a BIOS.
 */
import fs from 'node:fs';
import { createMachine } from '../../vmm/machine/machine';
import { nodeRegionCompiler } from '../../worker/node-compiler';
import { v86Machine } from './v86-guest';

export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly bios: string;
  readonly vgaBios: string;
}

export interface GuestProcessOptions extends GuestFiles {
  readonly memory: number;
  readonly commandLine: string;
}

const SLICE = 5_000_000;

const guests: Readonly<Record<string, (options: GuestProcessOptions) => Promise<void>>> = { ringside, v86 };

/** Runs until the guest ends or the parent ends it. */
export async function guestProcess(name: string, options: GuestProcessOptions): Promise<void> {
  await guests[name](options);
}

function ringside({ kernel, initrd, commandLine, memory }: GuestProcessOptions): Promise<void> {
  const regionCompiler = nodeRegionCompiler();
  const machine = createMachine({
    name: kernel, image: new Uint8Array(fs.readFileSync(kernel)), boot: 'auto', initrd: new Uint8Array(fs.readFileSync(initrd)), commandLine, memoryMiB: memory, mmu: 'shadow', pace: 'max',
  }, { serial: (port, bytes) => { if (port === 0) fs.writeSync(1, bytes); }, debugPort: () => undefined, log: () => undefined, ...(regionCompiler && { regionCompiler }) });
  while (machine.run(SLICE).kind === 'slice');
  return Promise.resolve();
}

async function v86({ kernel, initrd, bios, vgaBios, commandLine, memory }: GuestProcessOptions): Promise<void> {
  const image = (file: string): { buffer: ArrayBuffer } => ({ buffer: new Uint8Array(fs.readFileSync(file)).buffer });
  const machine = await v86Machine({ memory_size: memory << 20, bios: image(bios), vga_bios: image(vgaBios), bzimage: image(kernel), initrd: image(initrd), cmdline: commandLine });
  machine.add_listener('serial0-output-byte', (byte: number) => fs.writeSync(1, Uint8Array.of(byte)));
  await machine.run();
  await new Promise<never>(() => undefined);
}
