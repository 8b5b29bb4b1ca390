/** Disassembly of guest memory for people: instructions before and after an address, with what each reads and writes. */
import type { DisassembledInstruction } from '../../protocol/messages';
import type { Decoder } from '../decode/decoder';
import { disassemble, formatBytes } from '../decode/disassembler';
import { DecodeStatus, Instruction } from '../decode/instruction';
import { effects } from '../decode/operands';

const LONGEST = 15;

export interface ListingSource {
  /** Bytes of linear memory; fewer than asked where it cannot be read. */
  read(linear: number, count: number): Uint8Array;
  readonly decoder: Decoder;
  readonly csBase: number;
  readonly codeSize: 16 | 32 | 64;
}

/** A sum of addresses, wrapped at the end of the address space. */
function wrapped({ codeSize }: ListingSource, linear: number): number {
  return codeSize === 64 ? (linear + 2 ** 48) % 2 ** 48 : linear >>> 0;
}

/** `count` instructions, the first one `instructionOffset` instructions away from the one at `linear`. */
export function listInstructions(source: ListingSource, linear: number, instructionOffset: number, count: number): DisassembledInstruction[] {
  const before = instructionOffset < 0 ? precedingInstructions(source, linear, -instructionOffset) : [];
  const skip = Math.max(0, instructionOffset);
  const after: DisassembledInstruction[] = [];
  let at = linear;
  for (let i = 0; i < skip + Math.max(0, count - before.length); i++) {
    const line = instructionAt(source, at);
    if (i >= skip) after.push(line);
    at = wrapped(source, at + line.bytes.length);
  }
  return [...before, ...after].slice(0, count);
}

/** One instruction. Unreadable memory is a line of one byte. */
function instructionAt(source: ListingSource, linear: number): DisassembledInstruction {
  const bytes = source.read(linear, LONGEST);
  const offset = wrapped(source, linear - source.csBase);
  if (bytes.length === 0) return { linear, offset, bytes: new Uint8Array(1), text: '??', valid: false, reads: [], writes: [] };
  const instruction = new Instruction();
  const { length, text, status } = disassemble(source.decoder, bytes, 0, bytes.length, { codeSize: source.codeSize }, offset, {}, instruction);
  if (status !== DecodeStatus.Ok) {
    return { linear, offset, bytes: bytes.slice(0, 1), text: formatBytes(bytes, 0, 1), valid: false, reads: [], writes: [] };
  }
  const { reads, writes, flagsRead, flagsWritten } = effects(instruction);
  const row = instruction.encoding.instruction;
  return {
    linear, offset, bytes: bytes.slice(0, length), text, valid: true,
    ...(row.control && { control: row.control }), ...(instruction.repeat !== 'none' && { repeats: true }),
    reads: [...reads, ...flagsRead], writes: [...writes, ...flagsWritten],
  };
}

/**
 * x86 code cannot be read backwards: of all the chains of valid instructions that begin a little earlier and end exactly at `linear`, the
 * longest one (or one that is long enough). Every byte is decoded once, whatever a guest has put there. Where no chain ends, bytes.
 */
function precedingInstructions(source: ListingSource, linear: number, count: number): DisassembledInstruction[] {
  const furthest = Math.min(count * 4 + LONGEST, linear);
  // By distance from `linear`: the instruction there, and how many instructions lead from it to `linear`.
  const lines: DisassembledInstruction[] = [];
  const steps = new Int32Array(furthest + 1);
  let start = 0;
  for (let distance = 1; distance <= furthest; distance++) {
    const line = instructionAt(source, linear - distance);
    lines[distance] = line;
    const behind = distance - line.bytes.length;
    if (!line.valid || behind < 0 || (behind > 0 && steps[behind] === 0)) continue;
    steps[distance] = steps[behind] + 1;
    if (steps[start] < count ? steps[distance] >= steps[start] : steps[distance] >= count) start = distance;
  }
  const best: DisassembledInstruction[] = [];
  for (let distance = start; distance > 0; distance -= lines[distance].bytes.length) best.push(lines[distance]);
  const result = best.slice(-count);
  while (result.length < count) {
    const first = result[0]?.linear ?? linear;
    const at = wrapped(source, first - 1);
    const bytes = source.read(at, 1);
    result.unshift(bytes.length
      ? { linear: at, offset: wrapped(source, at - source.csBase), bytes, text: formatBytes(bytes, 0, 1), valid: false, reads: [], writes: [] }
      : instructionAt({ ...source, read: () => new Uint8Array() }, at));
  }
  return result;
}
