/**
 * One instruction → bytes, by the rows of the instruction table. Every row of the mnemonic is tried with every operand size that its
 * operands allow; the shortest result wins, and the order of equals is NASM's.
 */
import type { Encoding, InstructionTable, OperandCode } from '../isa/types';
import { effectiveAddress, type EffectiveAddress } from './address';
import { Problem, type Span } from './diagnostics';
import { baseOf, evaluate, type Environment, type Node, type Value } from './expression';
import { registers } from './registers';
import { overflows } from './sections';
import type { Operand } from './statement';

/** Bytes at `offset` that hold a value; the sections place it (and range-check it) when addresses are final. */
export interface Field {
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8 | 10;
  readonly value: Value;
  /** Counts from the end of the instruction. */
  readonly relative: boolean;
  /** Only a sign-extended byte will do. */
  readonly signed: boolean;
  readonly span: Span;
}

export interface Encoded {
  readonly bytes: readonly number[];
  readonly fields: readonly Field[];
  readonly encoding: Encoding | undefined;
  readonly warnings: readonly string[];
}

export interface EncodeRequest {
  readonly mnemonic: string;
  readonly prefixes: readonly string[];
  readonly operands: readonly Operand[];
  readonly span: Span;
  readonly bits: 16 | 32;
  readonly environment: Environment;
  /** Base of the current section and position in it, for the reach of short jumps. */
  readonly base: number;
  readonly position: number;
  /** Short jumps are not tried at this place any more (see assembler.ts on passes that do not settle). */
  readonly longJumps: boolean;
}

type Evaluated =
  | { readonly kind: 'register'; readonly operand: Operand & { kind: 'register' } }
  | { readonly kind: 'immediate'; readonly operand: Operand & { kind: 'immediate' }; readonly value: Value }
  | { readonly kind: 'far'; readonly operand: Operand & { kind: 'far' }; readonly selector: Value; readonly offset: Value }
  | { readonly kind: 'memory'; readonly operand: Operand & { kind: 'memory' }; readonly address: EffectiveAddress };

const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const repeatPrefixes: Record<string, number> = { rep: 0xf3, repe: 0xf3, repz: 0xf3, repne: 0xf2, repnz: 0xf2 };
const accumulators: Partial<Record<OperandCode, string>> = { AL: 'al', AH: 'ah', AX: 'ax', CL: 'cl', DX: 'dx' };
const counterJumps = new Set(['loop', 'loope', 'loopz', 'loopne', 'loopnz', 'jcxz', 'jecxz']);
/** Instructions that NASM takes with the operands in either order. */
const commutative = new Set(['xchg', 'test']);
/** Word operands of these may be named by their 32-bit register: only the low half counts. */
const wideSources = new Set(['lar', 'lsl', 'mov']);
/** The size of the source shows in no register; `movzx ax, [x]` can only be meant for a byte. */
const extensions = new Set(['movzx', 'movsx']);
/** The count's size says nothing about the operand's. */
const shifts = new Set(['rol', 'ror', 'rcl', 'rcr', 'shl', 'sal', 'shr', 'sar']);
/** Memory without a size means the default size. */
const defaultSized = new Set(['call', 'jmp']);

/** Memory operands that several rows of an x87 mnemonic have in several sizes. */
const floatingMemory = /^M[wdqt]$/;

interface Candidate {
  readonly encoding: Encoding;
  readonly operandSize: 16 | 32;
  readonly operands: readonly Evaluated[];
  readonly length: number;
  readonly rank: number;
  /** Nothing in the source tells the size that an unsized memory operand has under this row. */
  readonly guessed: boolean;
}

export class Encoder {
  constructor(private readonly table: InstructionTable) {}

  encode(request: EncodeRequest): Encoded {
    const written = readPrefixes(request);
    const prefixes = this.table.byMnemonic.get(request.mnemonic)?.[0].instruction.waiting === request.mnemonic ? { ...written, wait: true } : written;
    if (!request.mnemonic) return { bytes: prefixBytes(prefixes, request.bits, undefined, undefined), fields: [], encoding: undefined, warnings: [] };
    const rows = (this.table.byMnemonic.get(request.mnemonic) ?? []).filter((row) => row.assemble && !row.only64 && row.operandSize !== 64 && row.addressSize !== 64);
    const given = this.evaluated(request, prefixes);
    const operands = given.operands;
    const candidates: Candidate[] = [];
    const orders: (readonly Evaluated[])[] = [operands];
    if (commutative.has(request.mnemonic) && operands.length === 2) orders.push([operands[1], operands[0]]);
    orders.forEach((order, orderIndex) => {
      rows.forEach((row, rowIndex) => {
        for (const size of operandSizes(row, request.bits)) {
          const candidate = this.match(row, rowIndex, size, order, orderIndex, request, prefixes, given.addressSize);
          if (candidate) candidates.push(candidate);
        }
      });
    });
    if (!candidates.length) throw this.mismatch(request, rows, operands);
    // A row under which the size of memory would be a guess counts only when it is the memory's size that is missing.
    const known = candidates.filter((candidate) => !candidate.guessed);
    if (!known.length) {
      const memory = operands.find((operand) => operand.kind === 'memory');
      throw new Problem('operation size not specified: write byte, word or dword before the memory operand', memory?.operand ?? request.span);
    }
    const best = known.reduce((a, b) => (b.length < a.length || (b.length === a.length && b.rank < a.rank) ? b : a));
    return this.emit(best, request, prefixes, given.addressSize);
  }

  private evaluated(request: EncodeRequest, prefixes: Prefixes): { operands: readonly Evaluated[]; addressSize: 16 | 32 | undefined } {
    let source = request.operands;
    let addressSize = prefixes.addressSize;
    if (counterJumps.has(request.mnemonic) && source.length === 2 && source[1].kind === 'register') {
      const { name } = registers[source[1].index];
      if (name !== 'cx' && name !== 'ecx') throw new Problem(`${request.mnemonic} counts in cx or ecx, not in ${name}`, source[1]);
      addressSize = name === 'cx' ? 16 : 32;
      source = source.slice(0, 1);
    }
    // imul eax, 5 is imul eax, eax, 5; aam is aam 10.
    if (request.mnemonic === 'imul' && source.length === 2 && source[1].kind === 'immediate') source = [source[0], source[0], source[1]];
    if ((request.mnemonic === 'aam' || request.mnemonic === 'aad') && source.length === 0) source = [ten(request.span)];
    const operands = source.map((operand): Evaluated => {
      switch (operand.kind) {
        case 'register': return { kind: 'register', operand };
        case 'immediate': return { kind: 'immediate', operand, value: plainValue(operand.node, request.environment) };
        case 'far': return {
          kind: 'far', operand, selector: plainValue(operand.selector, request.environment), offset: plainValue(operand.offset, request.environment),
        };
        case 'memory': {
          if (prefixes.segment !== undefined && operand.segment !== undefined && prefixes.segment !== operand.segment) {
            throw new Problem(`${segmentNames[prefixes.segment]} stands before the instruction and ${segmentNames[operand.segment]} in its operand`, operand);
          }
          return { kind: 'memory', operand, address: effectiveAddress(operand, evaluate(operand.node, request.environment), request.bits, prefixes.addressSize) };
        }
      }
    });
    return { operands, addressSize };
  }

  private match(
    row: Encoding, rowIndex: number, size: 16 | 32, operands: readonly Evaluated[], orderIndex: number, request: EncodeRequest, prefixes: Prefixes, addressSize: 16 | 32 | undefined,
  ): Candidate | undefined {
    if (row.operands.length !== operands.length) return undefined;
    const sized = dependsOnOperandSize(row);
    if (sized && row.operandSize === undefined && !operands.some((operand, i) => tellsSize(row.operands[i], operand))
      && size !== (prefixes.operandSize ?? request.bits)) return undefined;
    let guessed = false;
    for (const [i, operand] of operands.entries()) {
      const code = row.operands[i];
      if (!this.accepts(code, size, operand, request)) return undefined;
      if (operand.kind === 'memory' && operand.operand.size === undefined) guessed ||= this.guesses(row, i, size, operands, request);
    }
    if (withoutSyntax(row, size)) return undefined;
    if (row.mod === 'reg' && operands.some((operand, i) => operand.kind === 'memory' && /^[EMWQ]/.test(row.operands[i]))) return undefined;
    const length = this.length(row, size, operands, request, prefixes, addressSize);
    // NASM prefers the sign-extended byte to the accumulator's form; xchg of two registers names the first one in modrm.reg.
    const swapped = request.mnemonic === 'xchg' && row.operands[0].startsWith('E') && operands.every((operand) => operand.kind === 'register');
    const rank = rowIndex * 2 + (swapped ? 1 - orderIndex : orderIndex) - (row.operands.includes('Ibs') ? 1000 : 0);
    return { encoding: row, operandSize: size, operands, length, rank, guessed };
  }

  /** True when nothing tells the size that unsized memory has under this row, and another row or prefix could give it another one. */
  private guesses(row: Encoding, position: number, size: 16 | 32, operands: readonly Evaluated[], request: EncodeRequest): boolean {
    const code = row.operands[position];
    if (extensions.has(request.mnemonic)) return size !== 16;
    if (floatingMemory.test(code)) return this.table.byMnemonic.get(request.mnemonic)!.some((other) => other.operands[position] !== code && floatingMemory.test(other.operands[position]));
    // A vector register beside it, and the mnemonic, leave no choice.
    if (row.operands.some((other) => /^[VPUN]/.test(other))) return false;
    if (!/^E[bvdy]$/.test(code) || defaultSized.has(request.mnemonic)) return false;
    const rows = this.table.byMnemonic.get(request.mnemonic) ?? [];
    if (code === 'Eb' && rows.every((other) => other.operands[position] === 'Eb')) return false;
    return !operands.some((other, n) => n !== position && !(shifts.has(request.mnemonic) && other.kind === 'immediate') && sameSize(code, row.operands[n], other));
  }

  private accepts(code: OperandCode, size: 16 | 32, operand: Evaluated, request: EncodeRequest): boolean {
    const wanted = bitsOf(code, size);
    const given = operand.operand.size;
    switch (operand.kind) {
      case 'register': {
        const register = registers[operand.operand.index];
        const fixed = accumulators[code] ?? (code === 'eAX' || code === 'rAX' ? (size === 16 ? 'ax' : 'eax') : undefined);
        if (fixed) return register.name === fixed;
        if (/^[ECSFDG]S$/.test(code)) return register.name === code.toLowerCase();
        if (given !== undefined && given !== register.size) return false;
        if (code === 'XMM0') return register.name === 'xmm0';
        if (code === 'ST0' || code === 'STi') return code === 'STi' ? register.kind === 'x87' : register.name === 'st0';
        switch (code[0]) {
          case 'C': return register.kind === 'control';
          case 'D': return register.kind === 'debug';
          case 'S': return register.kind === 'segment';
          case 'V': case 'W': case 'U': return register.kind === 'xmm';
          case 'P': case 'Q': case 'N': return register.kind === 'mmx';
          case 'E': case 'G': case 'R': case 'Z': {
            if (register.kind !== 'r8' && register.kind !== 'r16' && register.kind !== 'r32') return false;
            return register.size === wanted || (code === 'Ew' && register.size === 32 && wideSources.has(request.mnemonic))
              || (code === 'Ed' && register.size === 16 && request.mnemonic === 'pinsrw');
          }
          default: return false;
        }
      }
      case 'immediate': return this.acceptsImmediate(code, size, operand, request);
      case 'far': return code === 'Ap' && (given === undefined || given === size);
      case 'memory': {
        if (code === 'Ob' || code === 'Ov') return operand.address.direct && (given === undefined || given === wanted) && operand.operand.displacementSize !== 8;
        if (!/^(?:E[bwdqvy]|M[bwdqtpsavyx]?|[WQ][wdqx])$/.test(code)) return false;
        if (code === 'Mp') {
          const far = operand.operand.distance === 'far';
          if (defaultSized.has(request.mnemonic)) return far && (given === undefined || given === size);
          return operand.operand.distance === undefined && given === undefined;
        }
        if (operand.operand.distance === 'far' || operand.operand.distance === 'short') return false;
        // What lea's address points at has no size, so any will do.
        if (code === 'M' || code === 'Ms' || code === 'Ma') return given === undefined || request.mnemonic === 'lea';
        return given === undefined || given === wanted;
      }
    }
  }

  private acceptsImmediate(code: OperandCode, size: 16 | 32, operand: Evaluated & { kind: 'immediate' }, request: EncodeRequest): boolean {
    const { strict, distance, size: given } = operand.operand;
    const known = !operand.value.terms && !operand.value.unknown;
    switch (code) {
      case '1': return known && operand.value.number === 1n && given === undefined;
      case '3': return known && operand.value.number === 3n;
      case 'Ib': return given === undefined || given === 8;
      case 'Iw': return given === undefined || given === 16;
      case 'Iz': case 'Iv': return given === undefined || given === size;
      case 'Ibs': {
        if (given === 8) return true;
        if (given !== undefined && given !== size) return false;
        if (strict) return false;
        if (!known) return false;
        const number = BigInt.asIntN(size, operand.value.number);
        return number >= -128n && number <= 127n;
      }
      case 'Jb': {
        if (distance === 'short') return true;
        if (counterJumps.has(request.mnemonic)) return distance === undefined && given === undefined;
        if (distance !== undefined || given !== undefined || strict || request.longJumps) return false;
        // Not known yet: begin with the short form and let it grow.
        if (operand.value.unknown) return true;
        if (baseOf(operand.value) !== request.base) return false;
        // Only jmp and jcc have both forms; their short one is two bytes long.
        const distanceBytes = operand.value.number - BigInt(request.position + 2);
        return distanceBytes >= -128n && distanceBytes <= 127n;
      }
      case 'Jz': return distance !== 'short' && distance !== 'far' && (given === undefined || given === size);
      default: return false;
    }
  }

  private length(row: Encoding, size: 16 | 32, operands: readonly Evaluated[], request: EncodeRequest, prefixes: Prefixes, addressSize: 16 | 32 | undefined): number {
    let length = (row.map === 0 ? 1 : row.map === 1 ? 2 : 3) + (row.mandatoryPrefix ? 1 : 0) + (row.modrmByte !== undefined ? 1 : 0);
    if (effectiveOperandSize(row, size, request.bits, prefixes) !== request.bits) length += 1;
    const memory = operands.find((operand) => operand.kind === 'memory');
    const direct = row.operands.some((code) => code[0] === 'O');
    if ((memory?.address.size ?? row.addressSize ?? addressSize ?? request.bits) !== request.bits) length += 1;
    if (memory) length += direct ? memory.address.size / 8 : memory.address.bytes.length + memory.address.displacementSize;
    else if (row.modrm !== 'none') length += 1;
    for (const code of row.operands) length += immediateBytes(code, size);
    return length;
  }

  private emit(candidate: Candidate, request: EncodeRequest, prefixes: Prefixes, addressSize: 16 | 32 | undefined): Encoded {
    const { encoding: row, operandSize: size, operands } = candidate;
    const memory = operands.find((operand) => operand.kind === 'memory');
    const warnings: string[] = [];
    const memoryFirst = operands[0]?.kind === 'memory' || (request.mnemonic === 'xchg' && memory !== undefined);
    if (prefixes.lock && !(row.instruction.lock && memoryFirst)) warnings.push('this instruction cannot be locked: the processor raises #UD');
    if (row.operandSize !== undefined && prefixes.operandSize !== undefined && prefixes.operandSize !== row.operandSize) {
      warnings.push(`${request.mnemonic} works on ${row.operandSize} bits: with o${prefixes.operandSize} it is another instruction`);
    }
    const address = memory?.address.size ?? row.addressSize ?? addressSize;
    const bytes = prefixBytes(
      memory?.operand.segment === undefined ? prefixes : { ...prefixes, segment: memory.operand.segment },
      request.bits, effectiveOperandSize(row, size, request.bits, prefixes), address,
    );
    const fields: Field[] = [];
    const field = (width: Field['bytes'], value: Value, span: Span, options: { relative?: boolean; signed?: boolean } = {}) => {
      fields.push({ offset: bytes.length, bytes: width, value, relative: options.relative ?? false, signed: options.signed ?? false, span });
      for (let i = 0; i < width; i += 1) bytes.push(0);
    };
    if (row.mandatoryPrefix) bytes.push(row.mandatoryPrefix);
    if (row.map === 1) bytes.push(0x0f);
    else if (row.map === 2) bytes.push(0x0f, 0x38);
    else if (row.map === 3) bytes.push(0x0f, 0x3a);
    let opcode = row.opcode;
    let reg = typeof row.modrm === 'number' ? row.modrm : 0;
    let rm = 0;
    for (const [i, operand] of operands.entries()) {
      if (operand.kind !== 'register') continue;
      const { number } = registers[operand.operand.index];
      const letter = row.operands[i][0];
      if (letter === 'Z' && row.operands[i].length === 2) opcode |= number;
      else if (row.operands[i].length > 1 && /^(?:[CDGS][bvwdyz]|[VP][xq])$/.test(row.operands[i])) reg = number;
      else if ('ERWUQN'.includes(letter) || row.operands[i] === 'STi') rm = number;
    }
    bytes.push(opcode);
    if (row.modrmByte !== undefined) bytes.push(row.modrmByte);
    const direct = row.operands.some((code) => code[0] === 'O');
    if (memory && direct) field(memory.address.size === 16 ? 2 : 4, memory.address.displacement, memory.operand);
    else if (memory) {
      const [modrm, ...rest] = memory.address.bytes;
      bytes.push(modrm | (reg << 3), ...rest);
      if (memory.address.displacementSize) {
        field(memory.address.displacementSize, wrap(memory.address), memory.operand, { signed: memory.address.displacementSize === 1 });
      }
    } else if (row.modrm !== 'none') bytes.push(0xc0 | (reg << 3) | rm);
    for (const [i, operand] of operands.entries()) {
      const code = row.operands[i];
      const width = immediateBytes(code, size);
      if (operand.kind === 'far') {
        field(size === 16 ? 2 : 4, operand.offset, operand.operand);
        field(2, operand.selector, operand.operand);
      } else if (operand.kind === 'immediate' && width) {
        const short = code === 'Ibs' && !operand.value.terms;
        if (short && operand.operand.size !== 8 && overflows(operand.value.number, size / 8, false)) warnings.push(`value ${operand.value.number} does not fit into ${size} bits: the upper bits are cut off`);
        const number = short ? { ...operand.value, number: BigInt.asIntN(size, operand.value.number) } : operand.value;
        field(width as 1 | 2 | 4, number, operand.operand, { relative: code[0] === 'J', signed: code === 'Ibs' || code === 'Jb' });
      }
    }
    return { bytes, fields, encoding: row, warnings };
  }

  private mismatch(request: EncodeRequest, rows: readonly Encoding[], operands: readonly Evaluated[]): Problem {
    // Forms that share most with what was written come first.
    const likeness = (row: Encoding) => (row.operands.length === operands.length ? 1 : 0)
      + operands.filter((operand, i) => row.operands[i] !== undefined && ([16, 32] as const).some((size) => this.accepts(row.operands[i], size, operand, request))).length * 2;
    const forms = [...new Set([...rows].sort((a, b) => likeness(b) - likeness(a)).map((row) => row.operands.map(describeCode).join(', ') || 'no operands'))];
    const shown = forms.slice(0, 8).join(' | ') + (forms.length > 8 ? ' | …' : '');
    const sameCount = rows.some((row) => row.operands.length === operands.length);
    const sizesGiven = operands.map((operand) => (operand.kind === 'register' ? registers[operand.operand.index].size : operand.operand.size));
    const clash = sameCount && operands.length === 2 && sizesGiven[0] !== undefined && sizesGiven[1] !== undefined && sizesGiven[0] !== sizesGiven[1];
    const why = clash ? `operands of ${sizesGiven[0]} and ${sizesGiven[1]} bits do not go together` : sameCount ? 'invalid combination of operands' : `${operands.length || 'no'} operand${operands.length === 1 ? '' : 's'} given`;
    const last = operands[operands.length - 1]?.operand;
    return new Problem(`${request.mnemonic}: ${why}; forms: ${shown}`, { column: request.span.column, endColumn: last?.endColumn ?? request.span.endColumn });
  }
}

function plainValue(node: Node, environment: Environment): Value {
  const value = evaluate(node, environment);
  for (const key of value.terms?.keys() ?? []) {
    if (key < 0) throw new Problem(`register ${registers[-key - 1].name} cannot stand in an expression outside brackets`, node);
  }
  return value;
}

/** Forms that the processor decodes but that no one means: movzx from word to word, bswap of a word (its result is undefined). */
function withoutSyntax(row: Encoding, size: 16 | 32): boolean {
  const { mnemonic } = row.instruction;
  return size === 16 && ((extensions.has(mnemonic) && row.operands[1] === 'Ew') || mnemonic === 'bswap');
}

const ten = ({ column, endColumn }: Span): Operand => ({
  kind: 'immediate', node: { kind: 'number', value: { number: 10n }, column, endColumn }, size: undefined, strict: false, distance: undefined, column, endColumn,
});

/** A displacement byte holds the sign-extended value of the address size: [ebx+0xffffffff] is [ebx-1]. */
function wrap(address: EffectiveAddress): Value {
  const { displacement } = address;
  if (displacement.terms || address.displacementSize !== 1) return displacement;
  const number = BigInt.asIntN(address.size, displacement.number);
  return number >= -128n && number <= 127n ? { ...displacement, number } : displacement;
}

interface Prefixes {
  readonly repeat: number | undefined;
  readonly lock: boolean;
  readonly segment: number | undefined;
  readonly operandSize: 16 | 32 | undefined;
  readonly addressSize: 16 | 32 | undefined;
  readonly wait: boolean;
}

function readPrefixes(request: EncodeRequest): Prefixes {
  const result = { repeat: undefined as number | undefined, lock: false, segment: undefined as number | undefined, operandSize: undefined as 16 | 32 | undefined, addressSize: undefined as 16 | 32 | undefined, wait: false };
  for (const prefix of request.prefixes) {
    if (prefix in repeatPrefixes) {
      if (result.repeat !== undefined) throw new Problem('two repeat prefixes', request.span);
      result.repeat = repeatPrefixes[prefix];
    } else if (prefix === 'lock') result.lock = true;
    else if (prefix === 'wait') result.wait = true;
    else if (prefix === 'o16' || prefix === 'o32') {
      if (result.operandSize !== undefined) throw new Problem('two operand-size prefixes', request.span);
      result.operandSize = prefix === 'o16' ? 16 : 32;
    } else if (prefix === 'a16' || prefix === 'a32') {
      if (result.addressSize !== undefined) throw new Problem('two address-size prefixes', request.span);
      result.addressSize = prefix === 'a16' ? 16 : 32;
    }
    else {
      if (result.segment !== undefined) throw new Problem('two segment prefixes', request.span);
      result.segment = segmentNames.indexOf(prefix);
    }
  }
  return result;
}

/** In NASM's order. */
function prefixBytes(prefixes: Prefixes, bits: 16 | 32, operandSize: number | undefined, addressSize: number | undefined): number[] {
  const bytes: number[] = [];
  if (prefixes.wait) bytes.push(0x9b);
  if (prefixes.repeat !== undefined) bytes.push(prefixes.repeat);
  if (prefixes.lock) bytes.push(0xf0);
  if (prefixes.segment !== undefined) bytes.push(segmentPrefixes[prefixes.segment]);
  if ((operandSize ?? prefixes.operandSize ?? bits) !== bits) bytes.push(0x66);
  if ((addressSize ?? prefixes.addressSize ?? bits) !== bits) bytes.push(0x67);
  return bytes;
}

function dependsOnOperandSize(row: Encoding): boolean {
  return row.operandSize !== undefined || row.operands.some((code) => /^(?:[EGRZOIJXYM][vz]|Ap|Mp|Ma|eAX|rAX|Ibs)$/.test(code));
}

function operandSizes(row: Encoding, bits: 16 | 32): readonly (16 | 32)[] {
  if (row.operandSize === 16 || row.operandSize === 32) return [row.operandSize];
  return dependsOnOperandSize(row) ? (bits === 16 ? [16, 32] : [32, 16]) : [bits];
}

/** Size that the bytes must select by prefix. */
function effectiveOperandSize(row: Encoding, size: 16 | 32, bits: 16 | 32, prefixes: Prefixes): 16 | 32 {
  // `o32 movsw` becomes movsd, with a warning, as in NASM: the prefix is what the author wrote.
  if (row.operandSize !== undefined) return prefixes.operandSize ?? size;
  return dependsOnOperandSize(row) ? size : prefixes.operandSize ?? bits;
}

function bitsOf(code: OperandCode, size: 16 | 32): number | undefined {
  switch (code) {
    case 'AL': case 'AH': case 'CL': return 8;
    case 'AX': case 'DX': return 16;
    case 'eAX': case 'rAX': return size;
    case 'M': case 'Ms': case 'Ma': case '1': case '3': return undefined;
    case 'Mp': return size + 16;
  }
  switch (code[1]) {
    case 'b': return code === 'Ibs' ? size : 8;
    case 'w': return 16;
    case 'd': return 32;
    case 'q': return 64;
    case 't': return 80;
    case 'x': return 128;
    case 'y': return 32;
    case 'v': case 'z': return size;
    default: return undefined;
  }
}

/** True when the operand, as written, fixes the operand size of a row. */
function tellsSize(code: OperandCode, operand: Evaluated): boolean {
  if (!/^(?:[EGRZOIJM][vz]|Ap|Mp|eAX|rAX|Ibs)$/.test(code)) return false;
  if (operand.kind === 'register') return true;
  return operand.operand.size !== undefined && !(code === 'Ibs' && operand.operand.size === 8);
}

/** True when another operand, by its own size, tells the size of memory under `memoryCode`. */
function sameSize(memoryCode: OperandCode, code: OperandCode, operand: Evaluated): boolean {
  const family = (text: string) => (text === 'AL' ? 'b' : text === 'eAX' || text === 'rAX' || text[1] === 'z' ? 'v' : text === 'Ibs' ? 'v' : text[1]);
  if (family(code) !== family(memoryCode)) return false;
  if (operand.kind === 'register') return code !== 'CL';
  return operand.kind === 'immediate' && operand.operand.size !== undefined && !(code === 'Ibs' && operand.operand.size === 8);
}

function immediateBytes(code: OperandCode, size: 16 | 32): number {
  switch (code) {
    case 'Ib': case 'Ibs': case 'Jb': return 1;
    case 'Iw': return 2;
    case 'Iz': case 'Iv': case 'Jz': return size / 8;
    case 'Ap': return size / 8 + 2;
    default: return 0;
  }
}

const codeNames: Partial<Record<OperandCode, string>> = { Ap: 'selector:offset', M: 'mem', Ms: 'mem', Ma: 'mem', Mp: 'far mem', Mq: 'mem64', Mw: 'mem16', Md: 'mem32', Mb: 'mem8', Mx: 'mem128', Ey: 'r/m32', Gy: 'r32', Mt: 'mem80', ST0: 'st0', STi: 'st(i)', Sw: 'sreg', '1': '1', '3': '3' };

const vectorWidths: Readonly<Record<string, string>> = { w: '16', d: '32', q: '64', x: '128' };

function describeCode(code: OperandCode): string {
  const named = codeNames[code];
  if (named) return named;
  if (/^[A-Za-z]+[XLH]$|^[ECSDFG]S$/.test(code)) return code === 'eAX' || code === 'rAX' ? 'ax/eax' : code.toLowerCase();
  const width = code[1] === 'b' ? '8' : code[1] === 'w' ? '16' : code[1] === 'd' ? '32' : '16/32';
  switch (code[0]) {
    case 'E': return `r/m${width}`;
    case 'M': return `mem${width}`;
    case 'G': case 'R': case 'Z': return `r${width}`;
    case 'I': return `imm${code === 'Ibs' ? '8' : width}`;
    case 'J': return code === 'Jb' ? 'short label' : 'label';
    case 'C': return 'cr';
    case 'D': return 'dr';
    case 'O': return '[address]';
    case 'V': case 'U': case 'X': return code === 'XMM0' ? 'xmm0' : 'xmm';
    case 'P': case 'N': return 'mm';
    case 'W': return `xmm/m${vectorWidths[code[1]]}`;
    case 'Q': return `mm/m${vectorWidths[code[1]]}`;
    default: return code;
  }
}
