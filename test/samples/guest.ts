/** Assembles a sample with the built-in assembler and runs it in this process, with what it wrote and how it ended. */
import fs from 'node:fs';
import path from 'node:path';
import type { EndReason } from '../../src/protocol/messages';
import { linesOf } from '../../src/protocol/codepage437';
import { assemble, type AssemblyResult } from '../../src/vmm/asm/assembler';
import type { MachineApi } from '../../src/vmm/machine/api';
import { createMachine } from '../../src/vmm/machine/machine';

export const samplesFolder = path.join(process.cwd(), 'samples');

export function assembleSample(name: string, edit: (text: string) => string = (text) => text): AssemblyResult {
  const file = path.join(samplesFolder, name);
  return assemble({ path: file, text: edit(fs.readFileSync(file, 'utf8')) }, {
    format: 'bin', readFile: (included) => (fs.existsSync(included) ? new Uint8Array(fs.readFileSync(included)) : undefined),
  });
}

export interface Finished {
  readonly end: EndReason;
  readonly serial: string;
  readonly screen: string[];
  readonly counters: Record<string, number>;
  readonly hidden: readonly { linear: number; count: number }[];
  /** Address of a label. */
  address(label: string): number;
}

export interface Session {
  readonly machine: MachineApi;
  readonly assembly: AssemblyResult;
  /** What has been written to the serial port so far. */
  serial(): string;
  /** Runs until the guest ends; fails after so many instructions. */
  finish(mostInstructions?: number): Finished;
  /** Runs until the serial port has shown the text. */
  runUntil(text: string, mostInstructions?: number): void;
}

const SLICE = 10_000;
const MOST = 500_000_000;

export function startSample(name: string, edit?: (text: string) => string): Session {
  const assembly = assembleSample(name, edit);
  if (!assembly.ok) throw new Error(assembly.diagnostics.map(({ path: file, line, message }) => `${file}:${line}: ${message}`).join('\n'));
  let serial = '';
  const machine = createMachine({ name, image: assembly.bytes, boot: 'disk', memoryMiB: 16, mmu: 'shadow', pace: 'max' }, {
    serial: (_port, bytes) => { serial += String.fromCharCode(...bytes); },
    debugPort: () => undefined, log: () => undefined,
  });
  const address = (label: string): number => {
    const found = assembly.symbols.find((symbol) => symbol.name === label);
    if (!found) throw new Error(`${name} has no label ${label}`);
    return found.value;
  };
  return {
    machine, assembly, serial: () => serial,
    runUntil: (text, most = MOST) => {
      while (!serial.includes(text)) {
        const outcome = machine.run(SLICE);
        if (outcome.kind === 'ended' || machine.instructions > most) throw new Error(`${name} did not write ${JSON.stringify(text)} but ${JSON.stringify(serial)}`);
      }
    },
    finish: (most = MOST) => {
      for (;;) {
        const outcome = machine.run(most);
        if (outcome.kind === 'ended') {
          return { end: outcome.reason, serial, screen: linesOf(machine.screen()), counters: machine.counters(), hidden: machine.hiddenPageFaults(1000), address };
        }
        if (machine.instructions >= most) throw new Error(`${name} did not end within ${most} instructions; it wrote ${JSON.stringify(serial)}`);
      }
    },
  };
}
