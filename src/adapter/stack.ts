/**
 * The call stack of code that owes nobody a stack discipline. The processor's own place is certain. Callers are looked for in three ways:
 * the word on top of the stack (a function that has just been entered), the chain of saved frame pointers, and the first word further up
 * that points behind a call instruction. What was only found by looking is marked as a guess.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressDigits } from '../protocol/addresses';
import type { RegisterSnapshot } from '../protocol/messages';
import { codeSize, linearEip, stackPointer, stackSize } from '../protocol/registers';
import type { Debuggee } from './debuggee';
import { linearReference } from './memory';
import { makeSource } from './sources';

export interface Caller {
  /** Where execution goes on when the callee returns. */
  readonly returnAddress: number;
  /** The stack pointer after the return. */
  readonly stackPointer: number;
  readonly framePointer: number;
  readonly certain: boolean;
}

const maximumFrames = 64;
const pageBytes = 4096;
/** Bytes of the stack that are searched for one return address. */
const searchBytes = 512;
/** The longest call instruction: FF /2 with SIB, displacement and a segment prefix. */
const longestCall = 8;
/** A frame pointer further up than this is a register in other use. */
const largestFrame = 0x1_0000;

type ReturnKind = 'near' | 'far' | 'interrupt';
interface Hit {
  readonly returnAddress: number;
  readonly slots: number;
  /** Target of a direct call. */
  readonly target?: number;
}

/** Frames of one thread that identifiers have room for. */
const framesOfThread = 1000;

export function processorOfFrame(id: number): number {
  return Math.floor(id / framesOfThread);
}

/** Lives for one walk of a stopped guest: what it has read stays true. */
export class StackWalker {
  /** Memory by page: a walk looks at hundreds of places that lie close together, and each read is a message to the worker. */
  private readonly pages = new Map<number, Promise<Uint8Array>>();

  constructor(private readonly debuggee: Debuggee) {}

  private async read(linear: number, count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let done = 0; done < count;) {
      const page = Math.floor((linear + done) / pageBytes);
      let reading = this.pages.get(page);
      if (!reading) this.pages.set(page, (reading = this.debuggee.read(page * pageBytes, pageBytes)));
      const contents = await reading;
      const offset = linear + done - page * pageBytes;
      const part = contents.subarray(offset, offset + count - done);
      bytes.set(part, done);
      done += part.length;
      if (offset + part.length < pageBytes) return bytes.subarray(0, done);
    }
    return bytes;
  }

  /** Callers of the code at the registers, the innermost first. */
  async callers(registers: RegisterSnapshot, most = maximumFrames): Promise<Caller[]> {
    const callers: Caller[] = [];
    let linear = linearEip(registers);
    let stack = stackPointer(registers);
    let frame = Number(BigInt.asUintN(Math.min(stackSize(registers), 48), registers.general[5] ?? 0n));
    while (callers.length < most) {
      const caller = await this.caller(registers, linear, stack, frame);
      if (!caller || caller.stackPointer <= stack) break;
      callers.push(caller);
      linear = caller.returnAddress;
      stack = caller.stackPointer;
      frame = caller.framePointer;
    }
    return callers;
  }

  private async caller(registers: RegisterSnapshot, linear: number, stack: number, frame: number): Promise<Caller | undefined> {
    const wordBytes = codeSize(registers) / 8;
    const base = registers.mode === 'long' ? 0 : registers.segments[2]?.base ?? 0;
    const bytes = await this.read(base + stack, searchBytes);
    const words = wordsOf(bytes, wordBytes);
    const found = (n: number, hit: Hit, certain: boolean): Caller => ({
      returnAddress: hit.returnAddress, stackPointer: stack + (n + hit.slots) * wordBytes, framePointer: frame, certain,
    });
    const entered = this.debuggee.sourceMap.symbolAt(linear);
    const start = entered ? linear - entered.offset : undefined;
    const hits: { n: number; hit: Hit }[] = [];
    const frameSlot = frame >= stack && frame < stack + largestFrame ? (frame - stack) / wordBytes : undefined;
    for (let n = 0; n < words.length; n++) {
      const hit = await this.returnAt(registers, words, n);
      if (!hit) continue;
      // A direct call of just this function: there is no better witness.
      if (hit.target !== undefined && hit.target === start && (frameSlot === undefined || n <= frameSlot + 1)) return found(n, hit, true);
      if (n === 0) return found(n, hit, true);
      hits.push({ n, hit });
    }
    if (frameSlot !== undefined) {
      const saved = wordsOf(await this.read(base + frame, 4 * wordBytes), wordBytes);
      const hit = await this.returnAt(registers, saved, 1);
      if (hit) {
        return { returnAddress: hit.returnAddress, stackPointer: frame + (1 + hit.slots) * wordBytes, framePointer: saved[0] ?? 0, certain: true };
      }
    }
    const guess = hits[0];
    return guess && found(guess.n, guess.hit, false);
  }

  /** Is word `n` an address behind a call (or INT) instruction, as far as the bytes before it tell? */
  private async returnAt(registers: RegisterSnapshot, words: readonly number[], n: number): Promise<Hit | undefined> {
    const offset = words[n];
    if (offset === undefined || offset < 2) return undefined;
    const codeBase = registers.segments[1]?.base ?? 0;
    const near = codeSize(registers) === 64 ? offset : (codeBase + offset) % 0x1_0000_0000;
    const kind = await this.callBefore(near, registers);
    if (kind?.kind === 'near') return { returnAddress: near, slots: 1, ...(kind.target !== undefined && { target: kind.target }) };
    const selector = words[n + 1];
    if (selector === undefined) return undefined;
    // Far returns carry CS. In real mode it gives the base; in protected mode only the present CS is known to the debugger.
    const real = registers.mode === 'real' || registers.mode === 'vm86';
    const selectorWord = selector & 0xffff;
    if (!real && selectorWord !== registers.segments[1]?.selector) return undefined;
    const far = real ? selectorWord * 16 + offset : near;
    const farKind = far === near ? kind : await this.callBefore(far, registers);
    if (farKind?.kind === 'far') return { returnAddress: far, slots: 2, ...(farKind.target !== undefined && { target: farKind.target }) };
    if (farKind?.kind === 'interrupt') return { returnAddress: far, slots: 3 };
    return undefined;
  }

  private async callBefore(linear: number, registers: RegisterSnapshot): Promise<{ kind: ReturnKind; target?: number } | undefined> {
    if (linear < longestCall) return undefined;
    const bytes = await this.read(linear - longestCall, longestCall);
    if (bytes.length < longestCall) return undefined;
    const size = codeSize(registers), wide = size !== 16;
    const at = (back: number): number => bytes[longestCall - back] ?? 0;
    const displacementBytes = wide ? 4 : 2;
    if (at(1 + displacementBytes) === 0xe8) {
      const displacement = littleEndian(bytes.subarray(longestCall - displacementBytes));
      const target = size === 64 ? (linear + (displacement | 0) + 2 ** 48) % 2 ** 48 : wide ? (linear + displacement) % 0x1_0000_0000 : linear - (linear & 0xffff) + ((linear + displacement) & 0xffff);
      return { kind: 'near', target };
    }
    if (at(3 + displacementBytes) === 0x9a) return { kind: 'far' };
    if (at(2) === 0xcd) return { kind: 'interrupt' };
    for (let length = 2; length <= longestCall - 1; length++) {
      const modrm = at(length - 1);
      const group = (modrm >> 3) & 7;
      if (at(length) !== 0xff || (group !== 2 && group !== 3) || modrmLength(modrm, at(length - 2), wide) !== length) continue;
      return { kind: group === 2 ? 'near' : 'far' };
    }
    return undefined;
  }

  async frames(args: DebugProtocol.StackTraceArguments): Promise<DebugProtocol.StackTraceResponse['body']> {
    const registers = await this.debuggee.registers();
    const start = args.startFrame ?? 0;
    const most = Math.min(args.levels || maximumFrames, maximumFrames);
    const callers = start + most > 1 ? await this.callers(registers, start + most) : [];
    const frames: DebugProtocol.StackFrame[] = [this.frame(0, linearEip(registers), linearEip(registers), true, registers)];
    // The line of a caller is the call's, which ends just before the return address.
    callers.forEach((caller, n) => frames.push(this.frame(n + 1, caller.returnAddress, caller.returnAddress - 1, caller.certain, registers)));
    return { stackFrames: frames.slice(start, start + most), totalFrames: frames.length };
  }

  private frame(id: number, linear: number, inside: number, certain: boolean, registers: RegisterSnapshot): DebugProtocol.StackFrame {
    const location = this.debuggee.sourceMap.locate(inside);
    const symbol = this.debuggee.sourceMap.symbolAt(inside);
    const place = id === 0 ? `${hex(registers.segments[1]?.selector ?? 0, 4)}:${codeSize(registers) === 16 ? hex(registers.eip, 4) : addressDigits(registers.eip)}` : `0x${addressDigits(linear)}`;
    const name = symbol ? `${this.debuggee.nameOf(linear)} (${place})` : place;
    return {
      id: (registers.processor ?? 0) * framesOfThread + id, name: certain ? name : `${name}, guessed from the stack`, line: location?.line ?? 0, column: location ? 1 : 0,
      instructionPointerReference: linearReference(linear),
      ...(location && { source: makeSource(location.path) }),
      ...(!certain && { presentationHint: 'subtle' as const }),
    };
  }
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

function wordsOf(bytes: Uint8Array, wordBytes: number): number[] {
  return Array.from({ length: Math.floor(bytes.length / wordBytes) }, (_, n) => {
    const word = bytes.subarray(n * wordBytes, (n + 1) * wordBytes);
    if (wordBytes < 8) return littleEndian(word);
    // A canonical address is represented by its low 48 bits; any other value is no address.
    const extension = (word[5] ?? 0) & 0x80 ? 0xff : 0;
    return word[6] === extension && word[7] === extension ? littleEndian(word.subarray(0, 6)) : 0;
  });
}

/** Length of opcode, ModR/M, SIB and displacement of an FF-group instruction (SDM Vol. 2, 2.1.5). */
function modrmLength(modrm: number, sib: number, wide: boolean): number {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return 2;
  if (!wide) return mod === 0 ? (rm === 6 ? 4 : 2) : mod === 1 ? 3 : 4;
  const hasSib = rm === 4;
  const displacement = mod === 1 ? 1 : mod === 2 || rm === 5 || (hasSib && (sib & 7) === 5) ? 4 : 0;
  return 2 + (hasSib ? 1 : 0) + displacement;
}
