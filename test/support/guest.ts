/** Guests for tests: sources assembled by the built-in assembler, on a machine or on a processor without a board. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { MachineConfiguration } from '../../src/protocol/messages';
import { assemble } from '../../src/vmm/asm/assembler';
import { counterAddress, type CounterId } from '../../src/vmm/cpu/counters';
import { RAM, Segment } from '../../src/vmm/cpu/layout';
import { Machine } from '../../src/vmm/machine/machine';
import { Mmu } from '../../src/vmm/mmu/mmu';
import { Engine, type EngineExit } from '../../src/vmm/translate/engine';
import type { TranslationMode } from '../../src/vmm/translate/regions';
import type { RegionCompiler } from '../../src/vmm/translate/region-job';
import { translationUnderTest } from './translation';

export interface Program {
  readonly bytes: Uint8Array;
  readonly origin: number;
  /** Value of a label or equ. */
  label(name: string): number;
}

/** Assembles NASM source; a mistake in it fails the test with the assembler's messages. */
export function program(text: string): Program {
  const result = assemble({ path: 'test.asm', text }, { format: 'bin', readFile: () => undefined });
  assert.ok(result.ok, result.diagnostics.map((d) => `line ${d.line}: ${d.message}`).join('\n'));
  const symbols = new Map(result.symbols.map((symbol) => [symbol.name, symbol.value]));
  return {
    bytes: result.bytes, origin: result.origin,
    label: (name) => symbols.get(name) ?? assert.fail(`the test's source has no label ${name}`),
  };
}

/** A machine that has loaded the program at its origin, and what it wrote to port E9h. */
export class TestMachine extends Machine {
  output = '';

  constructor(program: Program, options: Partial<MachineConfiguration> = {}) {
    let write: (bytes: Uint8Array) => void = () => undefined;
    super({
      name: 'test.asm', image: program.bytes, boot: 'flat', loadAddress: program.origin, memoryMiB: 4, mmu: 'shadow', pace: 'max',
      translation: translationUnderTest, ...options,
    }, { serial: () => undefined, debugPort: (bytes) => { write(bytes); }, log: () => undefined });
    write = (bytes) => { this.output += String.fromCharCode(...bytes); };
  }

  /** Powers off and on with another program in the place of the first one. */
  load({ bytes, origin }: Program): this {
    this.reset();
    this.output = '';
    this.writeMemory('physical', origin, bytes);
    return this;
  }

  /** General registers by name, EIP, EFLAGS, as numbers. */
  register(name: string): number {
    return Number(this.readRegister(name) ?? assert.fail(`no register ${name}`));
  }

  bytes(address: number, count: number): Uint8Array {
    return this.readMemory('physical', address, count).bytes;
  }

  word(address: number): number {
    const [low, high] = this.bytes(address, 2);
    return low | (high << 8);
  }

  dword(address: number): number {
    return (this.word(address) | (this.word(address + 2) << 16)) >>> 0;
  }

  /** Everything that the guest can see: registers and a hash of its memory. */
  state(): string {
    const { instructions, ...registers } = this.registers();
    const memory = createHash('sha1').update(this.readMemory('physical', 0, this.configuration.memoryMiB << 20).bytes).digest('hex');
    return `${instructions} ${JSON.stringify(registers, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value))} ${memory}`;
  }
}

/** The machine that `source` describes. */
export function machine(source: string, options: Partial<MachineConfiguration> = {}): TestMachine {
  return new TestMachine(program(source), options);
}

const BARE_RAM = 4 << 20;
/** Paging structures of 64-bit mode. */
const PAGE_MAP = 0x300000;

/** An engine over memory, without a board: faults and halts come back to the test. */
export class BareEngine {
  readonly engine: Engine;
  readonly mmu: Mmu;
  readonly memory: WebAssembly.Memory;
  halted = false;

  constructor(cacheBytes?: number, translation: TranslationMode = translationUnderTest, regionCompiler?: RegionCompiler) {
    const pages = (RAM + BARE_RAM) / 65536;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.mmu = new Mmu(this.memory, { ramBytes: BARE_RAM });
    this.engine = new Engine(this.memory, this.mmu, {
      portRead: () => 0, portWrite: () => undefined, debugRegistersChanged: () => undefined, interruptRequested: () => false, stopsAt: () => false,
      halt: () => {
        this.halted = true;
        this.engine.yield();
      },
    }, { cacheBytes, translation, ...(regionCompiler && { regionCompiler }) });
  }

  get state() {
    return this.engine.cpu.state;
  }

  /** A program in flat 32-bit protected mode (no paging), in 64-bit mode, or in real mode with CS = 0. The engine forgets everything before. */
  load({ bytes, origin }: Program, mode: 'flat' | 'real' | 'long' = 'flat'): this {
    this.engine.reset();
    this.state.clearCounters();
    this.halted = false;
    this.mmu.physical.writeBytes(origin, bytes);
    const { cpu } = this.engine;
    if (mode === 'flat') {
      this.state.cr0 = 0x11;
      this.state.cr4 = 0x600;
      cpu.pagingChanged('cr0');
      for (const n of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) cpu.setSegment(n, 0x10, 0, 0xffffffff, 0xc093);
      cpu.setSegment(Segment.CS, 0x08, 0, 0xffffffff, 0xc09b);
    } else if (mode === 'long') {
      // All of memory one to one, in pages of 2 MiB.
      const { physical } = this.mmu;
      [[PAGE_MAP, PAGE_MAP + 0x1003], [PAGE_MAP + 0x1000, PAGE_MAP + 0x2003], [PAGE_MAP + 0x2000, 0x83], [PAGE_MAP + 0x2008, 0x200083]].forEach(([at, entry]) => physical.write32(at, entry));
      this.state.cr4 = 0x620;
      this.state.efer = 0x500;
      this.state.cr3 = PAGE_MAP;
      this.state.cr0 = 0x80010011;
      for (const n of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) cpu.setSegment(n, 0x10, 0, 0xffffffff, 0xc093);
      cpu.setSegment(Segment.CS, 0x08, 0, 0xffffffff, 0xa09b);
      cpu.pagingChanged('cr0');
    } else {
      for (let n = 0; n < 6; n++) cpu.setSegment(n, 0, 0, 0xffff, 0x93);
    }
    for (let n = 0; n < 16; n++) this.state.set32(n, n === 4 ? 0x9000 : 0);
    this.state.eip = origin;
    this.engine.stateChanged();
    return this;
  }

  /** Runs until HLT; anything else that ends the run, or more instructions than `most`, fails the test. */
  toHalt(most = 1_000_000): this {
    const end = this.engine.now + most;
    this.halted = false;
    while (!this.halted && this.engine.now < end) {
      const exit = this.engine.execute(end - this.engine.now, 'full');
      if (exit.kind === 'fault') assert.fail(`fault at ${this.state.eip.toString(16)}: ${JSON.stringify(exit.fault)}`);
    }
    assert.ok(this.halted, `no HLT within ${most} instructions; EIP is ${this.state.eip.toString(16)}`);
    return this;
  }

  /** The next exit that is not an ordinary end of a run. */
  toExit(most = 1_000_000): EngineExit {
    const exit = this.engine.execute(most, 'full');
    assert.notEqual(exit.kind, 'ran');
    return exit;
  }

  count(id: CounterId): number {
    return this.state.u32[counterAddress(id) >> 2];
  }

  register(n: number): number {
    return this.state.get32(n);
  }

  /** Registers, flags, count and memory. */
  snapshot(): string {
    const { instructions, ...registers } = this.engine.cpu.snapshot();
    const memory = createHash('sha1').update(new Uint8Array(this.memory.buffer, RAM, BARE_RAM)).digest('hex');
    return `${instructions} ${JSON.stringify(registers, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value))} ${memory}`;
  }
}

/** Seeded pseudo-random numbers (xorshift32): integers below `bound`. */
export function randomSource(seed: number): (bound: number) => number {
  let state = seed | 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** A boot sector that runs code in flat protected mode with 32 bits. */
export const inProtectedMode = (code: string): string => `
        org 0x7c00
        cli
        xor ax, ax
        mov ds, ax
        lgdt [gdt_register]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:start
        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_register: dw $ - gdt - 1
        dd gdt
        bits 32
start:  mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x9000
        ${code}`;
