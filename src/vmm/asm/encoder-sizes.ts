/** Sizes: which operand sizes a row may have, what prefixes select them, and what operand codes make of them. */
import type { Encoding, OperandCode } from '../isa/types';
import { Problem } from './diagnostics';
import type { EncodeRequest, Evaluated } from './encoder';

/** Of code, operands and addresses. */
export type CodeSize = 16 | 32 | 64;

const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
export const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const repeatPrefixes: Record<string, number> = { rep: 0xf3, repe: 0xf3, repz: 0xf3, repne: 0xf2, repnz: 0xf2 };

export interface Prefixes {
  readonly repeat: number | undefined;
  readonly lock: boolean;
  readonly segment: number | undefined;
  readonly operandSize: CodeSize | undefined;
  readonly addressSize: CodeSize | undefined;
  readonly wait: boolean;
}

export function readPrefixes(request: Pick<EncodeRequest, 'prefixes' | 'span' | 'bits'>): Prefixes {
  const result = { repeat: undefined as number | undefined, lock: false, segment: undefined as number | undefined, operandSize: undefined as CodeSize | undefined, addressSize: undefined as CodeSize | undefined, wait: false };
  for (const prefix of request.prefixes) {
    if (prefix in repeatPrefixes) {
      if (result.repeat !== undefined) throw new Problem('two repeat prefixes', request.span);
      result.repeat = repeatPrefixes[prefix];
    } else if (prefix === 'lock') result.lock = true;
    else if (prefix === 'wait') result.wait = true;
    else if (prefix === 'o16' || prefix === 'o32' || prefix === 'o64') {
      if (result.operandSize !== undefined) throw new Problem('two operand-size prefixes', request.span);
      result.operandSize = Number(prefix.slice(1)) as CodeSize;
      if (request.bits !== 64 && prefix === 'o64') throw new Problem(`o64 does not exist in ${request.bits}-bit code`, request.span);
    } else if (prefix === 'a16' || prefix === 'a32' || prefix === 'a64') {
      if (result.addressSize !== undefined) throw new Problem('two address-size prefixes', request.span);
      result.addressSize = Number(prefix.slice(1)) as CodeSize;
      if (request.bits === 64 ? prefix === 'a16' : prefix === 'a64') throw new Problem(`${prefix} does not exist in ${request.bits}-bit code`, request.span);
    } else {
      if (result.segment !== undefined) throw new Problem('two segment prefixes', request.span);
      result.segment = segmentNames.indexOf(prefix);
    }
  }
  return result;
}

/** What selects an operand size: the 66 prefix, REX.W. */
export interface Sizing {
  readonly prefix: boolean;
  readonly wide: boolean;
}

/** In NASM's order; a REX prefix comes behind them and behind a mandatory prefix. */
export function prefixBytes(prefixes: Prefixes, bits: CodeSize, operandPrefix: boolean, addressSize: number | undefined): number[] {
  const bytes: number[] = [];
  if (prefixes.wait) bytes.push(0x9b);
  if (prefixes.repeat !== undefined) bytes.push(prefixes.repeat);
  if (prefixes.lock) bytes.push(0xf0);
  if (prefixes.segment !== undefined) bytes.push(segmentPrefixes[prefixes.segment]);
  if (operandPrefix) bytes.push(0x66);
  if ((addressSize ?? prefixes.addressSize ?? bits) !== bits) bytes.push(0x67);
  return bytes;
}

/** Operand size without any prefix. */
export function defaultSize(row: Encoding, bits: CodeSize): CodeSize {
  return bits !== 64 ? bits : row.forced64 || row.defaults64 ? 64 : 32;
}

export function dependsOnOperandSize(row: Encoding, bits: CodeSize): boolean {
  return row.operandSize !== undefined
    || row.operands.some((code) => /^(?:[EGRZOIJXYM][vz]|Ap|Mp|Ma|eAX|rAX|Ibs)$/.test(code) || (bits === 64 && /^[EGRM]y$/.test(code)));
}

export function operandSizes(row: Encoding, bits: CodeSize): readonly CodeSize[] {
  if (row.operandSize !== undefined) return [row.operandSize];
  if (!dependsOnOperandSize(row, bits)) return [defaultSize(row, bits)];
  if (bits !== 64) return bits === 16 ? [16, 32] : [32, 16];
  if (row.forced64) return [64];
  const only32 = !row.operands.some((code) => /^(?:[EGRZOIJXYM][vz]|Mp|eAX|rAX|Ibs)$/.test(code));
  if (row.defaults64) return only32 ? [64] : [64, 16];
  return only32 ? [32, 64] : [32, 64, 16];
}

/** How the bytes select an operand size. */
export function sizing(row: Encoding, size: CodeSize, bits: CodeSize, prefixes: Prefixes): Sizing {
  // `o32 movsw` becomes movsd, with a warning, as in NASM: the prefix is what the author wrote.
  const effective = row.operandSize !== undefined ? prefixes.operandSize ?? size
    : dependsOnOperandSize(row, bits) ? size : prefixes.operandSize ?? defaultSize(row, bits);
  if (bits !== 64) return { prefix: effective !== bits, wide: false };
  // `o16 movsq` keeps its REX.W.
  if (row.operandSize === 64) return { prefix: effective === 16, wide: defaultSize(row, bits) !== 64 || prefixes.operandSize === 64 };
  return { prefix: effective === 16, wide: effective === 64 && (defaultSize(row, bits) !== 64 || prefixes.operandSize === 64) };
}

export function bitsOf(code: OperandCode, size: CodeSize, bits: CodeSize): number | undefined {
  switch (code) {
    case 'Rd': return bits === 64 ? 64 : 32;
    case 'AL': case 'AH': case 'CL': return 8;
    case 'AX': case 'DX': return 16;
    case 'eAX': return Math.min(size, 32);
    case 'rAX': return size;
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
    case 'y': return size === 64 ? 64 : 32;
    case 'v': case 'z': return size;
    default: return undefined;
  }
}

/** True when the operand, as written, fixes the operand size of a row. */
export function tellsSize(code: OperandCode, operand: Evaluated): boolean {
  if (code === 'Mp' && operand.operand.kind === 'memory' && operand.operand.distance === 'far') return true;
  if (!/^(?:[EGRZOIJM][vzy]|Ap|Mp|eAX|rAX|Ibs)$/.test(code)) return false;
  if (operand.kind === 'register') return true;
  return operand.operand.size !== undefined && !(code === 'Ibs' && operand.operand.size === 8);
}

/** True when another operand, by its own size, tells the size of memory under `memoryCode`. */
export function sameSize(memoryCode: OperandCode, code: OperandCode, operand: Evaluated): boolean {
  const family = (text: string) => (text === 'AL' ? 'b' : text === 'eAX' || text === 'rAX' || text[1] === 'z' ? 'v' : text === 'Ibs' ? 'v' : text[1]);
  if (family(code) !== family(memoryCode)) return false;
  if (operand.kind === 'register') return code !== 'CL';
  return operand.kind === 'immediate' && operand.operand.size !== undefined && !(code === 'Ibs' && operand.operand.size === 8);
}

export function immediateBytes(code: OperandCode, size: CodeSize): 0 | 1 | 2 | 4 | 8 | 6 {
  switch (code) {
    case 'Ib': case 'Ibs': case 'Jb': return 1;
    case 'Iw': return 2;
    case 'Iz': case 'Jz': return size === 16 ? 2 : 4;
    case 'Iv': return (size / 8) as 2 | 4 | 8;
    case 'Ap': return size === 16 ? 4 : 6;
    default: return 0;
  }
}
