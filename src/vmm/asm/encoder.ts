/**
 * One instruction → bytes, by the rows of the instruction table. Every row of the mnemonic is tried with every operand size that its
 * operands allow; the shortest result wins, and the order of equals is NASM's.
 */
import type { Encoding, InstructionTable, OperandCode } from '../isa/types';
import { effectiveAddress, type EffectiveAddress } from './address';
import { Problem, type Span } from './diagnostics';
import {
  bitsOf, dependsOnOperandSize, immediateBytes, operandSizes, prefixBytes, readPrefixes, sameSize, segmentNames, sizing, tellsSize, defaultSize, type CodeSize, type Prefixes, type Sizing,
} from './encoder-sizes';
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
  readonly bits: CodeSize;
  /** Addresses without registers count from the next instruction (`default rel`). */
  readonly relative: boolean;
  readonly environment: Environment;
  /** Base of the current section and position in it, for the reach of short jumps. */
  readonly base: number;
  readonly position: number;
  /** Short jumps are not tried at this place any more (see assembler.ts on passes that do not settle). */
  readonly longJumps: boolean;
}

export type Evaluated =
  | { readonly kind: 'register'; readonly operand: Operand & { kind: 'register' } }
  | { readonly kind: 'immediate'; readonly operand: Operand & { kind: 'immediate' }; readonly value: Value }
  | { readonly kind: 'far'; readonly operand: Operand & { kind: 'far' }; readonly selector: Value; readonly offset: Value }
  | { readonly kind: 'memory'; readonly operand: Operand & { kind: 'memory' }; readonly address: EffectiveAddress };

const accumulators: Partial<Record<OperandCode, string>> = { AL: 'al', AH: 'ah', AX: 'ax', CL: 'cl', DX: 'dx' };
const counterJumps = new Set(['loop', 'loope', 'loopz', 'loopne', 'loopnz', 'jcxz', 'jecxz', 'jrcxz']);
/** Instructions that NASM takes with the operands in either order. */
const commutative = new Set(['xchg', 'test']);
/** Word operands of these may be named by their 32-bit register: only the low half counts. */
const wideSources = new Set(['lar', 'lsl', 'mov']);
/** Memory that one row in every size of the other operand has in one size. */
/** Take `dword 5` beside 64-bit operands. */
const dwordImmediates = new Set(['push', 'imul', 'mov']);
const narrowSources = new Set(['movsxd']);
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
  readonly operandSize: CodeSize;
  readonly operands: readonly Evaluated[];
  readonly form: Form;
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
    if (!request.mnemonic) return { bytes: prefixBytes(prefixes, request.bits, (prefixes.operandSize ?? request.bits) !== request.bits, undefined), fields: [], encoding: undefined, warnings: [] };
    const rows = (this.table.byMnemonic.get(request.mnemonic) ?? []).filter((row) => row.assemble && existsIn(row, request.bits));
    const given = this.evaluated(request, prefixes);
    const operands = given.operands;
    const candidates: Candidate[] = [];
    const orders: (readonly Evaluated[])[] = [operands];
    if (commutative.has(request.mnemonic) && operands.length === 2) orders.push([operands[1], operands[0]]);
    const narrowed = narrowMove(request, operands);
    if (narrowed) orders.push(narrowed);
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

  private evaluated(request: EncodeRequest, prefixes: Prefixes): { operands: readonly Evaluated[]; addressSize: CodeSize | undefined } {
    let source = request.operands;
    let addressSize = prefixes.addressSize;
    if (counterJumps.has(request.mnemonic) && source.length === 2 && source[1].kind === 'register') {
      const { name } = registers[source[1].index];
      const counters: Partial<Record<string, CodeSize>> = request.bits === 64 ? { ecx: 32, rcx: 64 } : { cx: 16, ecx: 32 };
      addressSize = counters[name];
      if (!addressSize) throw new Problem(`${request.mnemonic} counts in ${Object.keys(counters).join(' or ')}, not in ${name}`, source[1]);
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
          return { kind: 'memory', operand, address: effectiveAddress(operand, evaluate(operand.node, request.environment), request.bits, prefixes.addressSize, request.relative) };
        }
      }
    });
    return { operands, addressSize };
  }

  private match(
    row: Encoding, rowIndex: number, size: CodeSize, operands: readonly Evaluated[], orderIndex: number, request: EncodeRequest, prefixes: Prefixes, addressSize: CodeSize | undefined,
  ): Candidate | undefined {
    if (row.operands.length !== operands.length) return undefined;
    const sized = dependsOnOperandSize(row, request.bits);
    if (sized && row.operandSize === undefined && !operands.some((operand, i) => tellsSize(row.operands[i], operand))
      && size !== (prefixes.operandSize ?? defaultSize(row, request.bits))) return undefined;
    let guessed = false;
    for (const [i, operand] of operands.entries()) {
      const code = row.operands[i];
      if (!this.accepts(code, size, operand, request)) return undefined;
      if (operand.kind === 'memory' && operand.operand.size === undefined) guessed ||= this.guesses(row, i, size, operands, request);
    }
    if (withoutSyntax(row, size, operands, request.bits)) return undefined;
    const form = formOf(row, size, operands, request.bits, prefixes);
    if (!form) return undefined;
    if (row.mod === 'reg' && operands.some((operand, i) => operand.kind === 'memory' && /^[EMWQ]/.test(row.operands[i]))) return undefined;
    const length = this.length(row, size, operands, form, request, addressSize);
    // NASM prefers the sign-extended byte to the accumulator's form; xchg of two registers names the first one in modrm.reg.
    const swapped = request.mnemonic === 'xchg' && row.operands[0].startsWith('E') && operands.every((operand) => operand.kind === 'register');
    const rank = rowIndex * 2 + (swapped ? 1 - orderIndex : orderIndex) - (row.operands.includes('Ibs') ? 1000 : 0);
    return { encoding: row, operandSize: size, operands, form, length, rank, guessed };
  }

  /** True when nothing tells the size that unsized memory has under this row, and another row or prefix could give it another one. */
  private guesses(row: Encoding, position: number, size: CodeSize, operands: readonly Evaluated[], request: EncodeRequest): boolean {
    const code = row.operands[position];
    if (extensions.has(request.mnemonic)) return size !== 16;
    if (floatingMemory.test(code)) return this.table.byMnemonic.get(request.mnemonic)!.some((other) => other.operands[position] !== code && floatingMemory.test(other.operands[position]));
    // A vector register beside it, and the mnemonic, leave no choice.
    if (row.operands.some((other) => /^[VPUN]/.test(other))) return false;
    if (!/^E[bvdy]$/.test(code) || defaultSized.has(request.mnemonic) || narrowSources.has(request.mnemonic)) return false;
    const rows = this.table.byMnemonic.get(request.mnemonic) ?? [];
    if (code === 'Eb' && rows.every((other) => other.operands[position] === 'Eb')) return false;
    return !operands.some((other, n) => n !== position && !(shifts.has(request.mnemonic) && other.kind === 'immediate') && sameSize(code, row.operands[n], other));
  }

  private accepts(code: OperandCode, size: CodeSize, operand: Evaluated, request: EncodeRequest): boolean {
    const wanted = bitsOf(code, size, request.bits);
    const given = operand.operand.size;
    switch (operand.kind) {
      case 'register': {
        const register = registers[operand.operand.index];
        const fixed = accumulators[code] ?? (code === 'eAX' || code === 'rAX' ? ({ 16: 'ax', 32: 'eax', 64: 'rax' } as const)[wanted as CodeSize] : undefined);
        if (fixed) return register.name === fixed;
        if (/^[ECSFDG]S$/.test(code)) return register.name === code.toLowerCase();
        if (given !== undefined && given !== register.size) return false;
        if (code === 'XMM0') return register.name === 'xmm0';
        if (code === 'ST0' || code === 'STi') return code === 'STi' ? register.kind === 'x87' : register.name === 'st0';
        switch (code[0]) {
          case 'C': return register.kind === 'control' && (!register.only64 || request.bits === 64);
          case 'D': return register.kind === 'debug';
          case 'S': return register.kind === 'segment';
          case 'V': case 'W': case 'U': return register.kind === 'xmm' && (!register.only64 || request.bits === 64);
          case 'P': case 'Q': case 'N': return register.kind === 'mmx';
          case 'E': case 'G': case 'R': case 'Z': {
            if (!/^r\d/.test(register.kind) || (register.only64 && request.bits !== 64)) return false;
            return register.size === wanted || (code === 'Ew' && (register.size === 32 || register.size === 64) && wideSources.has(request.mnemonic))
              || (code === 'Ed' && register.size === 16 && request.mnemonic === 'pinsrw');
          }
          default: return false;
        }
      }
      case 'immediate': return this.acceptsImmediate(code, size, operand, request);
      case 'far': return code === 'Ap' && (given === undefined || given === size);
      case 'memory': {
        if (code === 'Ob' || code === 'Ov') return operand.address.direct && (request.bits !== 64 || operand.operand.displacementSize === 64) && (given === undefined || given === wanted) && operand.operand.displacementSize !== 8;
        if (operand.operand.displacementSize === 64) return false;
        if (!/^(?:E[bwdqvy]|M[bwdqtpsavyx]?|[WQ][wdqx])$/.test(code)) return false;
        if (code === 'Mp') {
          const far = operand.operand.distance === 'far';
          if (defaultSized.has(request.mnemonic)) return far && (given === undefined ? request.bits !== 64 || size === 64 : given === size);
          return operand.operand.distance === undefined && given === undefined;
        }
        if (operand.operand.distance === 'far' || operand.operand.distance === 'short') return false;
        // What lea's address points at has no size, so any will do.
        if (code === 'M' || code === 'Ms' || code === 'Ma') return given === undefined || request.mnemonic === 'lea';
        return given === undefined || given === wanted;
      }
    }
  }

  private acceptsImmediate(code: OperandCode, size: CodeSize, operand: Evaluated & { kind: 'immediate' }, request: EncodeRequest): boolean {
    const { strict, distance, size: given } = operand.operand;
    const known = !operand.value.terms && !operand.value.unknown;
    switch (code) {
      case '1': return known && operand.value.number === 1n && given === undefined;
      case '3': return known && operand.value.number === 3n;
      case 'Ib': return given === undefined || given === 8;
      case 'Iw': return given === undefined || given === 16;
      case 'Iz':
        // What does not fit into 32 bits with a sign needs another form, where there is one.
        if (size === 64 && request.mnemonic === 'mov' && request.operands[0].kind === 'register'
          && (!(known && fitsSigned32(operand.value.number)) || (strict && given !== 32))) return false;
        return given === undefined || given === size || (size === 64 && given === 32 && dwordImmediates.has(request.mnemonic));
      case 'Iv': return given === undefined || given === size;
      case 'Ibs': {
        if (given === 8) return true;
        if (given !== undefined && given !== size && !(size === 64 && given === 32 && request.mnemonic === 'push')) return false;
        if (strict) return false;
        if (!known) return false;
        const number = BigInt.asIntN(Math.min(size, 32), operand.value.number);
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

  private length(row: Encoding, size: CodeSize, operands: readonly Evaluated[], form: Form, request: EncodeRequest, addressSize: CodeSize | undefined): number {
    let length = (row.map === 0 ? 1 : row.map === 1 ? 2 : 3) + (row.mandatoryPrefix ? 1 : 0) + (row.modrmByte !== undefined ? 1 : 0);
    if (form.sizing.prefix) length += 1;
    if (form.rex) length += 1;
    const memory = operands.find((operand) => operand.kind === 'memory');
    const direct = row.operands.some((code) => code[0] === 'O');
    if ((memory?.address.size ?? row.addressSize ?? addressSize ?? request.bits) !== request.bits) length += 1;
    if (memory) length += direct ? memory.address.size / 8 : memory.address.bytes.length + memory.address.displacementSize;
    else if (row.modrm !== 'none') length += 1;
    for (const code of row.operands) length += immediateBytes(code, size);
    return length;
  }

  private emit(candidate: Candidate, request: EncodeRequest, prefixes: Prefixes, addressSize: CodeSize | undefined): Encoded {
    const { encoding: row, operandSize: size, operands, form } = candidate;
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
      request.bits, form.sizing.prefix, address,
    );
    const fields: Field[] = [];
    const field = (width: Field['bytes'], value: Value, span: Span, options: { relative?: boolean; signed?: boolean } = {}) => {
      fields.push({ offset: bytes.length, bytes: width, value, relative: options.relative ?? false, signed: options.signed ?? false, span });
      for (let i = 0; i < width; i += 1) bytes.push(0);
    };
    if (row.mandatoryPrefix) bytes.push(row.mandatoryPrefix);
    if (form.rex) bytes.push(form.rex);
    if (row.map === 1) bytes.push(0x0f);
    else if (row.map === 2) bytes.push(0x0f, 0x38);
    else if (row.map === 3) bytes.push(0x0f, 0x3a);
    const { reg, rm } = form;
    bytes.push(row.opcode | (form.opcodeRegister & 7));
    if (row.modrmByte !== undefined) bytes.push(row.modrmByte);
    const direct = row.operands.some((code) => code[0] === 'O');
    if (memory && direct) field((memory.address.size / 8) as 2 | 4 | 8, memory.address.displacement, memory.operand);
    else if (memory) {
      const [modrm, ...rest] = memory.address.bytes;
      bytes.push(modrm | ((reg & 7) << 3), ...rest);
      if (memory.address.displacementSize) {
        field(memory.address.displacementSize, wrap(memory.address), memory.operand, {
          signed: memory.address.displacementSize === 1 || request.bits === 64, relative: memory.address.relative,
        });
      }
    } else if (row.modrm !== 'none') bytes.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
    for (const [i, operand] of operands.entries()) {
      const code = row.operands[i];
      const width = immediateBytes(code, size);
      if (operand.kind === 'far') {
        field(size === 16 ? 2 : 4, operand.offset, operand.operand);
        field(2, operand.selector, operand.operand);
      } else if (operand.kind === 'immediate' && width) {
        const short = code === 'Ibs' && !operand.value.terms;
        const wide = Math.min(size, 32);
        if (short && operand.operand.size !== 8 && overflows(operand.value.number, wide / 8, size === 64)) warnings.push(`value ${operand.value.number} does not fit into ${wide} bits: the upper bits are cut off`);
        const number = short ? { ...operand.value, number: BigInt.asIntN(wide, operand.value.number) } : operand.value;
        field(width as 1 | 2 | 4 | 8, number, operand.operand, { relative: code[0] === 'J', signed: code === 'Ibs' || code === 'Jb' || (code === 'Iz' && size === 64) });
      }
    }
    return { bytes, fields, encoding: row, warnings };
  }

  private mismatch(request: EncodeRequest, rows: readonly Encoding[], operands: readonly Evaluated[]): Problem {
    // Forms that share most with what was written come first.
    const likeness = (row: Encoding) => (row.operands.length === operands.length ? 1 : 0)
      + operands.filter((operand, i) => row.operands[i] !== undefined && ([16, 32, 64] as const).some((size) => this.accepts(row.operands[i], size, operand, request))).length * 2;
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

/** A row's place for each operand, once sizes are chosen. */
interface Form {
  readonly sizing: Sizing;
  /** The REX prefix, or 0. */
  readonly rex: number;
  /** Register numbers 0–15. */
  readonly reg: number;
  readonly rm: number;
  readonly opcodeRegister: number;
}

/** Undefined when AH, CH, DH or BH would need a REX prefix beside them. */
function formOf(row: Encoding, size: CodeSize, operands: readonly Evaluated[], bits: CodeSize, prefixes: Prefixes): Form | undefined {
  const select = sizing(row, size, bits, prefixes);
  let reg = typeof row.modrm === 'number' ? row.modrm : 0;
  let rm = 0;
  let opcodeRegister = 0;
  let rex = select.wide ? 0x48 : 0;
  let forbidden = false;
  for (const [i, operand] of operands.entries()) {
    if (operand.kind === 'memory') {
      if (operand.address.rex) rex |= 0x40 | operand.address.rex;
      continue;
    }
    if (operand.kind !== 'register') continue;
    const register = registers[operand.operand.index];
    const { number } = register;
    const code = row.operands[i];
    const letter = code[0];
    if (register.rex === 'never') forbidden = true;
    if (register.rex === 'always') rex |= 0x40;
    if (letter === 'Z' && code.length === 2) {
      opcodeRegister = number;
      if (number > 7) rex |= 0x41;
    } else if (code.length > 1 && /^(?:[CDGS][bvwdyz]|[VP][xq])$/.test(code)) {
      reg = number;
      if (number > 7) rex |= 0x44;
    } else if ('ERWUQN'.includes(letter) || code === 'STi') {
      rm = number;
      if (number > 7) rex |= 0x41;
    }
  }
  return forbidden && rex ? undefined : { sizing: select, rex, reg, rm, opcodeRegister };
}

/** Whether a row can be met in code of a size. */
function existsIn(row: Encoding, bits: CodeSize): boolean {
  return bits === 64 ? !row.invalid64 && row.addressSize !== 16 : !row.only64 && row.operandSize !== 64 && row.addressSize !== 64;
}

const fitsSigned32 = (number: bigint): boolean => BigInt.asIntN(64, number) === BigInt.asIntN(32, number);

/** mov rax, 5 is mov eax, 5, which is shorter: the upper half is cleared. */
function narrowMove(request: EncodeRequest, operands: readonly Evaluated[]): readonly Evaluated[] | undefined {
  const [to, from] = operands;
  if (request.bits !== 64 || request.mnemonic !== 'mov' || operands.length !== 2 || to.kind !== 'register' || from.kind !== 'immediate') return undefined;
  const register = registers[to.operand.index];
  if (register.kind !== 'r64' || to.operand.size !== undefined || from.operand.strict || (from.operand.size ?? 64) !== 64 || from.value.terms || from.value.unknown) return undefined;
  if (from.value.number < 0n || from.value.number > 0xffffffffn) return undefined;
  const index = registers.findIndex(({ kind, number }) => kind === 'r32' && number === register.number);
  return [{ kind: 'register', operand: { ...to.operand, index } }, { ...from, operand: { ...from.operand, size: undefined } }];
}

/**
 * Forms that the processor decodes but that no one means: movzx from word to word, bswap of a word (its result is undefined); and the exchange
 * of EAX with itself, which is NOP in 64-bit code.
 */
function withoutSyntax(row: Encoding, size: CodeSize, operands: readonly Evaluated[], bits: CodeSize): boolean {
  const { mnemonic } = row.instruction;
  if (bits === 64 && mnemonic === 'xchg' && size === 32 && row.operands[0] === 'Zv' && operands.every((o) => o.kind === 'register' && registers[o.operand.index].name === 'eax')) return true;
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
