/**
 * A test double of a machine: every "instruction" is one byte long and does what a function says, so that tests of the host and of
 * the debugger's parts can script exactly what a processor would do.
 */
import type {
  AddressSpace, CounterSample, DisassembledInstruction, EndReason, MachineConfiguration, MappedRange, MouseMovement, ProcessorSummary, RegisterSnapshot, Screen, Translation,
} from '../protocol/messages';
import type { HotCodeSample, TranslatedCode } from '../protocol/translated-code';
import { MachineError } from '../vmm/machine/api';
import type { MachineApi, MachineOutputs, RunOutcome } from '../vmm/machine/api';

/** Returns the address of the next instruction, or an outcome that stops the run. Nothing: falls through. */
export type FakeInstruction = (machine: FakeMachine) => number | RunOutcome | undefined | void;

const flat = { selector: 0, base: 0, limit: 0xffff, attributes: 0x93 };

export class FakeMachine implements MachineApi {
  instructions = 0;
  readonly instructionsPerSecond: number;
  eip = 0x7c00;
  readonly general = new Array<bigint>(8).fill(0n);
  readonly memory = new Uint8Array(0x10000);
  readonly received: string[] = [];
  breakpoints: readonly number[] = [];
  exceptionStops: readonly number[] = [];
  cells = new Uint8Array(80 * 25 * 2);
  disposed = false;

  constructor(readonly configuration: MachineConfiguration, readonly outputs: MachineOutputs,
    readonly program: Readonly<Record<number, FakeInstruction>>) {
    this.instructionsPerSecond = configuration.instructionsPerSecond ?? 1_000_000;
  }

  run(instructions: number): RunOutcome {
    return this.execute(instructions, true);
  }
  step(count: number): RunOutcome {
    return this.execute(count, false);
  }
  private execute(count: number, stopAtFirst: boolean): RunOutcome {
    for (let n = 0; n < count; n++) {
      if ((n > 0 || stopAtFirst) && this.breakpoints.includes(this.eip)) return { kind: 'breakpoint', linear: this.eip };
      const result = this.program[this.eip]?.(this);
      if (typeof result === 'object') return result;
      this.eip = result ?? this.eip + 1;
      this.instructions++;
    }
    return { kind: 'slice' };
  }
  idleUntil(at: number): void {
    this.received.push(`idle until ${at}`);
    this.instructions = Math.max(this.instructions, at);
  }
  reset(): void {
    this.instructions = 0;
    this.eip = 0x7c00;
    this.general.fill(0n);
  }
  changedDrive(): undefined {
    return undefined;
  }
  driveSummaries(): [] {
    return [];
  }
  saveDrive(): Uint8Array {
    return new Uint8Array();
  }
  awaitsHost = false;
  readonly processor = 0;
  selectProcessor(index: number): void {
    this.received.push(`select ${index}`);
  }
  processorStates(): ProcessorSummary[] {
    return [{ processor: 0, activity: 'running', linear: this.eip }];
  }
  powerButton(): void {
    this.received.push('power button');
  }
  registers(): RegisterSnapshot {
    return {
      general: [...this.general], eip: this.eip, eflags: 2, segments: new Array(8).fill(flat), gdtr: { base: 0, limit: 0 }, idtr: { base: 0, limit: 0x3ff },
      cr0: 0, cr2: 0, cr3: 0, cr4: 0, dr: new Array<number>(8).fill(0), efer: 0, cpl: 0, mode: 'real', instructions: this.instructions,
    };
  }
  setRegister(name: string, value: bigint): void {
    if (name === 'eip') this.eip = Number(value);
    else if (name === 'eax') this.general[0] = value;
    else throw new MachineError('register', `No register ${name}`);
  }
  readRegister(): undefined {
    return undefined;
  }
  readMemory(_space: AddressSpace, address: number, count: number): { bytes: Uint8Array; unreadable: number } {
    const bytes = this.memory.slice(address, address + count);
    return { bytes, unreadable: count - bytes.length };
  }
  findBytes(): number[] {
    return [];
  }
  translate(linear: number): Translation {
    return { physical: linear, levels: [], writable: true, user: true, executable: true, large: false, accessed: false, dirty: false };
  }
  addressSpace(): { ranges: MappedRange[] } {
    return { ranges: [] };
  }
  writeMemory(_space: AddressSpace, address: number, bytes: Uint8Array): number {
    this.memory.set(bytes, address);
    return bytes.length;
  }
  setBreakpoints(linear: readonly number[]): void {
    this.breakpoints = linear;
  }
  setExceptionStops(vectors: readonly number[]): void {
    this.exceptionStops = vectors;
  }
  disassemble(linear: number, _offset: number, count: number): DisassembledInstruction[] {
    return Array.from({ length: count }, (_, n) => ({
      linear: linear + n, offset: linear + n, bytes: Uint8Array.of(0x90), text: 'nop', valid: true, reads: [], writes: [],
    }));
  }
  counters(): CounterSample['values'] & Record<string, number> {
    return { instructions: this.instructions };
  }
  hiddenPageFaults(): [] {
    return [];
  }
  postMortem(): undefined {
    return undefined;
  }
  screen(): Screen {
    return {
      kind: 'text', colours: [], blinks: true, cell: { width: 9, height: 16 }, columns: 80, rows: 25, cells: this.cells.slice(), cursor: { visible: true, column: 0, row: 0 },
    };
  }
  picture(): { width: number; height: number; bytes: Uint8Array } {
    return { width: 0, height: 0, bytes: new Uint8Array() };
  }
  translation(): string { return ''; }
  translatedCode(linear: number): TranslatedCode {
    return { linear, codeSize: 16, state: 'untranslated', units: [], unit: -1, handlers: [], memory: [], instructions: this.instructions };
  }
  stopCounting(): void {
    this.received.push('stop counting');
  }
  hotCode(): HotCodeSample {
    return { code: [], looks: 0 };
  }
  devices(): [] {
    return [];
  }
  serialInput(port: number, bytes: Uint8Array): number {
    this.received.push(`serial ${port}: ${String.fromCharCode(...bytes)}`);
    return bytes.length;
  }
  keyboard(scancodes: readonly number[]): number {
    this.received.push(`keys ${scancodes.join(' ')}`);
    return scancodes.length;
  }
  mouse({ x, y, wheel, buttons }: MouseMovement): void {
    this.received.push(`mouse ${x} ${y} ${wheel} ${buttons}`);
  }
  dispose(): void {
    this.disposed = true;
  }
}

export const endOf = (reason: EndReason): RunOutcome => ({ kind: 'ended', reason });
