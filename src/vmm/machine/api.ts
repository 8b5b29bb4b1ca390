/**
 * What the worker and the command line see of a machine. Synchronous: a caller runs a slice, looks, and runs the next one.
 * The shapes are those of the protocol (imported as types only: they are data, and there is one declaration of them).
 */
import type { DumpStage } from '../translate/dump';
import type {
  AddressSpace, DeviceSnapshot, DisassembledInstruction, DiskSaveFormat, DriveSummary, EndReason, MachineConfiguration, MappedRange, MouseMovement, PostMortem, ProcessorSummary, RegisterName, RegisterSnapshot, Screen, Translation, WritableDrive,
} from '../../protocol/messages';
import type { HotCodeSample, TranslatedCode } from '../../protocol/translated-code';
import type { RegionCompiler } from '../translate/region-job';
import type { NetworkHost } from '../network/host';

export type RunOutcome =
  /** The slice's instructions were retired. */
  | { readonly kind: 'slice' }
  /** The processor halts with interrupts on; `wakeAt` is the instruction count of the next event, or undefined when only input can wake it. */
  | { readonly kind: 'idle'; readonly wakeAt: number | undefined }
  /** EIP is at a breakpoint; the instruction has not run. */
  | { readonly kind: 'breakpoint'; readonly linear: number }
  /** A DR0–DR3-style watch set by the debugger was hit; the instruction has run. */
  | { readonly kind: 'dataBreakpoint'; readonly linear: number }
  | { readonly kind: 'exception'; readonly vector: number; readonly name: string; readonly errorCode?: number; readonly address?: number }
  | { readonly kind: 'ended'; readonly reason: EndReason };

export interface MachineOutputs {
  serial(port: number, bytes: Uint8Array): void;
  debugPort(bytes: Uint8Array): void;
  log(text: string): void;
  /** The world behind the network card. Its events come between two slices. Without it connections are refused. */
  readonly network?: NetworkHost;
  /** Writes regions in a thread of its own, for this machine alone. Without it they are written between two runs of guest code. */
  readonly regionCompiler?: RegionCompiler;
}

/** Bad input: the message names the file, address or field, and the advice says what to do. */
export class MachineError extends Error {
  constructor(readonly code: string, message: string, readonly advice?: string) {
    super(message);
  }
}

export interface MachineApi {
  readonly configuration: MachineConfiguration;
  /** Instructions retired since power-on. */
  readonly instructions: number;
  readonly instructionsPerSecond: number;
  /** Runs at most `instructions` instructions. With pace 'max', HLT skips to the next event by itself. */
  run(instructions: number): RunOutcome;
  /** Runs exactly `count` instructions; breakpoints at the first one are passed over, later ones stop. */
  step(count: number): RunOutcome;
  /** While idle: move the clock to `at` (at most the next event). */
  idleUntil(at: number): void;
  reset(): void;
  /** The guest has connections to the host open: time that it idles away has to pass on the host, too. */
  readonly awaitsHost: boolean;

  /** The processor in view: registers, linear memory and steps are its own. It is the one that ran last, or the one selected since. */
  readonly processor: number;
  selectProcessor(index: number): void;
  processorStates(): ProcessorSummary[];
  /** An operating system that listens shuts down. */
  powerButton(): void;

  registers(): RegisterSnapshot;
  /** Throws MachineError 'register' for an unknown name or a value that does not fit. */
  setRegister(name: RegisterName, value: bigint): void;
  /** Value of a register, sub-register, flag or hidden part by name; undefined for an unknown name. */
  readRegister(name: RegisterName): bigint | undefined;
  readMemory(space: AddressSpace, address: number, count: number): { bytes: Uint8Array; unreadable: number };
  /** Guest-physical addresses in RAM where the bytes stand. */
  findBytes(pattern: Uint8Array, from: number, most: number): number[];
  translate(linear: number): Translation;
  addressSpace(from: number, most: number): { ranges: MappedRange[]; next?: number };
  writeMemory(space: AddressSpace, address: number, bytes: Uint8Array): number;
  setBreakpoints(linear: readonly number[]): void;
  setExceptionStops(vectors: readonly number[]): void;
  disassemble(linear: number, instructionOffset: number, count: number, codeSize?: 16 | 32 | 64): DisassembledInstruction[];
  counters(): Record<string, number>;
  hiddenPageFaults(most: number): { linear: number; count: number }[];
  postMortem(): PostMortem | undefined;
  screen(): Screen;
  /** The picture as the tube shows it, text modes too: red, green, blue and 255 for each dot. */
  picture(): { width: number; height: number; bytes: Uint8Array };
  devices(): DeviceSnapshot[];
  /** What the translator has made of the guest so far, as text. */
  translation(stage: DumpStage): string;
  /** What it has made of the code at an address, beside the guest's instructions. */
  translatedCode(linear: number, count?: boolean): TranslatedCode;
  stopCounting(): void;
  hotCode(most: number): HotCodeSample;
  /** Drives whose contents the guest can change. */
  driveSummaries(): DriveSummary[];
  /** The disk in a drive as a new image, changed or not; `identity`: 32 random bytes. Throws MachineError when it is too large or cannot be read. */
  saveDrive(drive: WritableDrive, format: DiskSaveFormat, identity: Uint8Array): Uint8Array;
  /** The image in a drive with what the guest has written to it; undefined when it has written nothing. Throws MachineError for formats that can only be read. */
  changedDrive(drive: WritableDrive): Uint8Array | undefined;
  /** Bytes from the other end of the line. Returns how many were taken; the line holds a bounded number, offer the rest later. */
  serialInput(port: number, bytes: Uint8Array): number;
  /** Returns how many scan codes were taken. */
  keyboard(scancodes: readonly number[]): number;
  mouse(movement: MouseMovement): void;
  /** Ends the machine: what runs returns at the next instruction, and later runs report the end. */
  dispose(): void;
}
