/**
 * The decoder: bytes to one {@link Instruction}, by tables computed once from the instruction table. Decoding allocates nothing.
 *
 * Every opcode of a map owns a small array of slots. Which row a slot holds may depend on mandatory prefix, operand size, address size,
 * REX.B and the fields of modrm; a property that no row of the opcode asks about has stride 0, so that selection is one sum whatever the
 * opcode. Reference: SDM Vol. 2, chapter 2 (formats) and appendix A (maps).
 */
import type { Encoding, InstructionTable, OperandCode } from '../isa/types';
import type { DecodeMode, Instruction } from './instruction';
import { DecodeStatus } from './instruction';

/** SDM Vol. 2, 2.3.11: a longer instruction raises #GP(0). */
const MAX_LENGTH = 15;

const enum Prefix { None, ES, CS, SS, DS, FS, GS, OperandSize, AddressSize, Lock, Repne, Rep, Rex }

const enum Immediate { None, Ib, Ibs, Iw, Iz, Iv, Jb, Jz, Ap, O }

const immediateOf: Partial<Record<OperandCode, Immediate>> = {
  Ib: Immediate.Ib, Ibs: Immediate.Ibs, Iw: Immediate.Iw, Iz: Immediate.Iz, Iv: Immediate.Iv,
  Jb: Immediate.Jb, Jz: Immediate.Jz, Ap: Immediate.Ap, Ob: Immediate.O, Ov: Immediate.O,
};

/** What decoding needs to know of an encoding, ready to use. */
class Row {
  readonly hasModrm: boolean;
  /** MOV to and from CRn/DRn ignore modrm.mod: rm is always a register. */
  readonly registerOnly: boolean;
  readonly lockable: boolean;
  readonly repeat: InstructionRepeat;
  readonly first: Immediate;
  readonly second: Immediate;
  /** Bits of modrm.reg values that the operand allows: segment registers 0–5 (not CS as destination), CR0 CR2 CR3 CR4 CR8, DR0–DR7. */
  readonly regMask: number;
  readonly isSegment: boolean;

  constructor(readonly encoding: Encoding) {
    const { operands, instruction } = encoding;
    this.hasModrm = usesModrm(encoding);
    this.registerOnly = operands.some((o) => o === 'Cd' || o === 'Dd');
    this.lockable = !!instruction.lock && /^[EM]/.test(operands[0] ?? '');
    this.repeat = instruction.repeat ?? 'none';
    const immediates = operands.map((o) => immediateOf[o] ?? Immediate.None).filter((i) => i !== Immediate.None);
    this.first = immediates[0] ?? Immediate.None;
    this.second = immediates[1] ?? Immediate.None;
    if (immediates.length > 2 || immediates.length === 2 && immediates[1] !== Immediate.Ib) {
      throw new Error(`instruction table: ${instruction.mnemonic} '${encoding.text}': a second immediate must be Ib`);
    }
    this.isSegment = operands.includes('Sw');
    this.regMask = this.isSegment ? (operands[0] === 'Sw' ? 0b111101 : 0b111111)
      : operands.includes('Cd') ? 0b1_0001_1101 : operands.includes('Dd') ? 0xff : 0xffff;
  }
}
type InstructionRepeat = 'none' | 'rep' | 'repz';

function usesModrm(e: Encoding): boolean {
  return e.modrm !== 'none' || e.modrmByte !== undefined;
}

/** How closely a row describes its bytes: of two rows that both fit, the more specific one is meant (NOP over XCHG eAX,eAX). */
function specificity(e: Encoding): number {
  return (e.modrmByte !== undefined ? 64 : 0) + (e.mandatoryPrefix ? 32 : 0) + (typeof e.modrm === 'number' ? 16 : 0)
    + (e.mod !== 'any' ? 8 : 0) + (e.operandSize ? 4 : 0) + (e.addressSize ? 2 : 0) + (e.registerInOpcode ? 0 : 1);
}

/** Index of a size in the operand-size and address-size dimensions. */
function sizeIndex(size: 16 | 32 | 64): number {
  return size === 16 ? 0 : size === 32 ? 1 : 2;
}

// Selection dimensions, in the order of the strides; DIMENSIONS is the number of values of each.
const DIM_PREFIX = 0, DIM_OPERAND = 1, DIM_ADDRESS = 2, DIM_REG = 3, DIM_MOD = 4, DIM_RM = 5, DIM_REX_B = 6;
const DIMENSIONS = [4, 3, 3, 8, 4, 8, 2];
/** Words per opcode in the header: first slot, seven strides; stride of modrm fields imply reading modrm first. */
const HEADER = 8;
const mandatoryPrefixes = [0, 0x66, 0xf3, 0xf2];

/** One point of the selection space: the value of every dimension. */
interface Selection {
  readonly prefix: number;
  readonly operand: number;
  readonly address: number;
  readonly reg: number;
  readonly mod: number;
  readonly rm: number;
  readonly rexB: number;
}

/** Slots of all opcodes of all maps for one kind of code (16/32-bit, or 64-bit). */
class OpcodeMaps {
  /** HEADER words for each of 4 maps × 256 opcodes. First slot is -1 for an opcode without rows. */
  readonly header = new Int32Array(4 * 256 * HEADER).fill(-1);
  /** Whether modrm must be read before selection, per map and opcode. */
  readonly readsModrm = new Uint8Array(4 * 256);
  readonly prefixes = new Uint8Array(256);
  /** Row number or -1. */
  slots = new Int16Array(0);
  /** Pairs of rows that claim the same bytes and of which neither is more specific: defects of the table. */
  readonly conflicts: string[] = [];

  constructor(rows: readonly Row[], readonly long: boolean) {
    const kinds: [number, Prefix][] = [[0x26, Prefix.ES], [0x2e, Prefix.CS], [0x36, Prefix.SS], [0x3e, Prefix.DS], [0x64, Prefix.FS],
      [0x65, Prefix.GS], [0x66, Prefix.OperandSize], [0x67, Prefix.AddressSize], [0xf0, Prefix.Lock], [0xf2, Prefix.Repne], [0xf3, Prefix.Rep]];
    for (const [byte, kind] of kinds) this.prefixes[byte] = kind;
    if (long) this.prefixes.fill(Prefix.Rex, 0x40, 0x50);

    const byOpcode = new Map<number, number[]>();
    rows.forEach(({ encoding }, number) => {
      if (long ? encoding.invalid64 : encoding.only64) return;
      for (let i = 0; i < (encoding.registerInOpcode ? 8 : 1); i++) {
        const key = encoding.map * 256 + encoding.opcode + i;
        byOpcode.set(key, [...byOpcode.get(key) ?? [], number]);
      }
    });
    const slots: number[] = [];
    for (const [key, candidates] of byOpcode) this.#fill(key, candidates, rows, slots);
    this.slots = Int16Array.from(slots);
  }

  #fill(key: number, candidates: readonly number[], rows: readonly Row[], slots: number[]): void {
    const encodings = candidates.map((n) => rows[n].encoding);
    const matters = [
      encodings.some((e) => e.mandatoryPrefix !== 0 || e.noPrefix || e.noRepeat),
      encodings.some((e) => e.operandSize !== undefined),
      encodings.some((e) => e.addressSize !== undefined),
      encodings.some((e) => typeof e.modrm === 'number' || e.modrmByte !== undefined),
      encodings.some((e, i) => (e.mod !== 'any' && !rows[candidates[i]].registerOnly) || e.modrmByte !== undefined),
      encodings.some((e) => e.modrmByte !== undefined),
      this.long && encodings.some((e) => e.registerInOpcode) && encodings.some((e) => !e.registerInOpcode),
    ];
    this.readsModrm[key] = encodings.some(usesModrm) ? 1 : 0;
    const first = slots.length;
    this.header[key * HEADER] = first;
    let count = 1;
    for (let d = 0; d < DIMENSIONS.length; d++) {
      this.header[key * HEADER + 1 + d] = matters[d] ? count : 0;
      if (matters[d]) count *= DIMENSIONS[d];
    }
    for (let i = 0; i < count; i++) {
      const value = (d: number) => (matters[d] ? Math.floor(i / this.header[key * HEADER + 1 + d]) % DIMENSIONS[d] : 0);
      slots.push(this.#choose(candidates, rows, {
        prefix: value(DIM_PREFIX), operand: value(DIM_OPERAND), address: value(DIM_ADDRESS),
        reg: value(DIM_REG), mod: value(DIM_MOD), rm: value(DIM_RM), rexB: value(DIM_REX_B),
      }));
    }
  }

  #choose(candidates: readonly number[], rows: readonly Row[], s: Selection): number {
    let best = -1;
    let bestScore = -1;
    for (const n of candidates) {
      const e = rows[n].encoding;
      // A mandatory prefix that no row asks for is an ordinary prefix; then the row without one applies.
      if (e.mandatoryPrefix !== 0 && mandatoryPrefixes[s.prefix] !== e.mandatoryPrefix) continue;
      if (e.noPrefix && s.prefix !== 0 || e.noRepeat && s.prefix > 1) continue;
      if (e.operandSize !== undefined && sizeIndex(e.operandSize) !== (e.defaults64 && this.long && s.operand === 1 ? 2 : s.operand)) continue;
      if (e.addressSize !== undefined && sizeIndex(e.addressSize) !== s.address) continue;
      if (typeof e.modrm === 'number' && e.modrm !== s.reg) continue;
      if (e.modrmByte !== undefined && e.modrmByte !== (s.mod << 6 | s.reg << 3 | s.rm)) continue;
      if (!rows[n].registerOnly && (e.mod === 'reg' && s.mod !== 3 || e.mod === 'mem' && s.mod === 3)) continue;
      // 41 90 is XCHG R8,rAX, not NOP (SDM Vol. 2, NOP).
      if (s.rexB === 1 && !e.registerInOpcode && e.mandatoryPrefix === 0) continue;
      const score = specificity(e);
      if (score === bestScore) this.conflicts.push(`'${rows[best].encoding.text}' (${rows[best].encoding.instruction.mnemonic}) and '${e.text}' (${e.instruction.mnemonic})`);
      if (score > bestScore) [best, bestScore] = [n, score];
    }
    return best;
  }
}

// 16-bit addressing forms by rm (SDM Vol. 2, table 2-1): base and index register numbers.
const base16 = Int8Array.of(3, 3, 5, 5, 6, 7, 5, 3);
const index16 = Int8Array.of(6, 7, 6, 7, -1, -1, -1, -1);

export class Decoder {
  readonly #rows: readonly Row[];
  readonly #legacy: OpcodeMaps;
  readonly #long: OpcodeMaps;

  constructor(readonly table: InstructionTable) {
    this.#rows = table.encodings.map((e) => new Row(e));
    this.#legacy = new OpcodeMaps(this.#rows, false);
    this.#long = new OpcodeMaps(this.#rows, true);
  }

  /** Rows of the table that claim the same bytes; empty for a sound table. */
  get conflicts(): readonly string[] {
    return [...new Set([...this.#legacy.conflicts, ...this.#long.conflicts])];
  }

  /**
   * Decode the instruction at `bytes[offset]`, looking at no byte at or behind `end`. `out` is wholly written when the status is Ok;
   * otherwise only its length (the bytes looked at) is meaningful.
   */
  decode(bytes: Uint8Array, offset: number, end: number, mode: DecodeMode, out: Instruction): DecodeStatus {
    const codeSize = mode.codeSize;
    const long = codeSize === 64;
    const maps = long ? this.#long : this.#legacy;
    const prefixes = maps.prefixes;
    const limit = end < offset + MAX_LENGTH ? end : offset + MAX_LENGTH;
    let pos = offset;
    let segmentOverride = -1;
    let operandToggle = false, addressToggle = false, lock = false;
    let repeatPrefix = 0;
    let rex = 0;
    let opcode: number;
    for (;;) {
      if (pos >= limit) return this.#ranOut(offset, limit, out);
      opcode = bytes[pos++];
      const kind = prefixes[opcode];
      if (kind === Prefix.None) break;
      if (kind === Prefix.Rex) {
        rex = opcode;
        continue;
      }
      // REX counts only directly before the opcode (SDM Vol. 2, 2.2.1).
      rex = 0;
      if (kind <= Prefix.GS) {
        // In 64-bit mode the ES, CS, SS and DS overrides are ignored.
        if (!long || kind >= Prefix.FS) segmentOverride = kind - Prefix.ES;
      } else if (kind === Prefix.OperandSize) operandToggle = true;
      else if (kind === Prefix.AddressSize) addressToggle = true;
      else if (kind === Prefix.Lock) lock = true;
      else repeatPrefix = opcode;
    }
    let key = opcode;
    if (opcode === 0x0f) {
      if (pos >= limit) return this.#ranOut(offset, limit, out);
      opcode = bytes[pos++];
      key = 256 + opcode;
      if (opcode === 0x38 || opcode === 0x3a) {
        if (pos >= limit) return this.#ranOut(offset, limit, out);
        key = (opcode === 0x38 ? 512 : 768) + bytes[pos];
        opcode = bytes[pos++];
      }
    }
    const header = maps.header;
    const h = key * HEADER;
    const firstSlot = header[h];
    if (firstSlot < 0) {
      out.length = pos - offset;
      return DecodeStatus.Undefined;
    }
    let modrm = 0;
    if (maps.readsModrm[key]) {
      if (pos >= limit) return this.#ranOut(offset, limit, out);
      modrm = bytes[pos++];
    }
    let operandSize: 16 | 32 | 64 = long ? ((rex & 8) !== 0 ? 64 : operandToggle ? 16 : 32) : operandToggle === (codeSize === 16) ? 32 : 16;
    const addressSize: 16 | 32 | 64 = long ? (addressToggle ? 32 : 64) : addressToggle === (codeSize === 16) ? 32 : 16;
    const prefixIndex = repeatPrefix === 0xf3 ? 2 : repeatPrefix === 0xf2 ? 3 : operandToggle ? 1 : 0;
    const number = maps.slots[firstSlot + prefixIndex * header[h + 1]
      + sizeIndex(operandSize) * header[h + 2] + sizeIndex(addressSize) * header[h + 3]
      + (modrm >> 3 & 7) * header[h + 4] + (modrm >> 6) * header[h + 5] + (modrm & 7) * header[h + 6] + (rex & 1) * header[h + 7]];
    if (number < 0) {
      out.length = pos - offset;
      return DecodeStatus.Undefined;
    }
    const row = this.#rows[number];
    const encoding = row.encoding;
    // A mandatory 66 selects the row and does not size its operands.
    if (encoding.mandatoryPrefix === 0x66 && operandSize !== 64) operandSize = codeSize === 16 ? 16 : 32;
    // Near branches ignore 66 in 64-bit mode (SDM Vol. 1, 6.3.7).
    if (long && (encoding.forced64 || encoding.defaults64 && operandSize === 32)) operandSize = 64;

    out.encoding = encoding;
    out.codeSize = codeSize;
    out.operandSize = operandSize;
    out.addressSize = addressSize;
    out.lock = lock;
    out.rex = rex;
    out.segmentOverride = segmentOverride;
    out.repeat = repeatPrefix === 0 || row.repeat === 'none' ? 'none' : row.repeat === 'rep' ? 'rep' : repeatPrefix === 0xf3 ? 'repz' : 'repnz';
    out.opcodeRegister = encoding.registerInOpcode ? opcode & 7 | (rex & 1) << 3 : 0;
    out.ripRelative = false;
    out.memory = false;
    out.base = -1;
    out.index = -1;
    out.scale = 0;
    out.displacement = 0;
    out.displacementSize = 0;
    out.immediate = 0;
    out.immediateHigh = 0;
    out.immediate2 = 0;

    let segment = 3;
    if (row.hasModrm) {
      out.hasModrm = true;
      const mod = out.mod = modrm >> 6;
      let reg = modrm >> 3 & 7 | (rex & 4) << 1;
      if (row.isSegment) reg &= 7;
      out.reg = reg;
      out.rm = modrm & 7 | (rex & 1) << 3;
      if ((row.regMask >> reg & 1) === 0) {
        out.length = pos - offset;
        return DecodeStatus.Undefined;
      }
      if (mod !== 3 && !row.registerOnly) {
        out.memory = true;
        const rm = modrm & 7;
        let size = mod;
        if (addressSize === 16) {
          if (mod === 0 && rm === 6) size = 2;
          else {
            out.base = base16[rm];
            out.index = index16[rm];
            if (out.base === 5) segment = 2;
          }
        } else {
          if (mod === 2) size = 4;
          if (rm === 4) {
            if (pos >= limit) return this.#ranOut(offset, limit, out);
            const sib = bytes[pos++];
            const index = sib >> 3 & 7 | (rex & 2) << 2;
            if (index !== 4) {
              out.index = index;
              out.scale = sib >> 6;
            }
            const base = sib & 7;
            if (base === 5 && mod === 0) size = 4;
            else {
              out.base = base | (rex & 1) << 3;
              if (out.base === 4 || out.base === 5) segment = 2;
            }
          } else if (rm === 5 && mod === 0) {
            size = 4;
            out.ripRelative = long;
          } else {
            out.base = rm | (rex & 1) << 3;
            if (out.base === 5) segment = 2;
          }
        }
        out.displacementSize = size;
        if (size !== 0) {
          if (pos + size > limit) return this.#ranOut(offset, limit, out);
          out.displacement = size === 1 ? bytes[pos] << 24 >> 24 : size === 2 ? (bytes[pos] | bytes[pos + 1] << 8) << 16 >> 16
            : bytes[pos] | bytes[pos + 1] << 8 | bytes[pos + 2] << 16 | bytes[pos + 3] << 24;
          pos += size;
        }
      }
    } else {
      // The modrm byte belonged to another row of the same opcode.
      if (maps.readsModrm[key]) pos--;
      out.hasModrm = false;
      out.mod = 0;
      out.reg = 0;
      out.rm = 0;
    }

    if (row.first !== Immediate.None) {
      pos = this.#immediates(row, bytes, pos, limit, out);
      if (pos < 0) return this.#ranOut(offset, limit, out);
    }
    out.segment = segmentOverride >= 0 ? segmentOverride : segment;
    out.length = pos - offset;
    if (lock && !(row.lockable && out.memory)) return DecodeStatus.Undefined;
    return DecodeStatus.Ok;
  }

  /** Reads the row's immediates, offsets and targets. Returns the position behind them, or -1 when the bytes end before. */
  #immediates(row: Row, bytes: Uint8Array, pos: number, limit: number, out: Instruction): number {
    const wide = out.operandSize !== 16;
    switch (row.first) {
      case Immediate.None:
        break;
      case Immediate.Ib:
        if (pos + 1 > limit) return -1;
        out.immediate = bytes[pos++];
        break;
      case Immediate.Ibs:
      case Immediate.Jb:
        if (pos + 1 > limit) return -1;
        out.immediate = bytes[pos++] << 24 >> 24;
        break;
      case Immediate.Iw:
        if (pos + 2 > limit) return -1;
        out.immediate = bytes[pos] | bytes[pos + 1] << 8;
        pos += 2;
        break;
      case Immediate.Jz:
        if (pos + (wide ? 4 : 2) > limit) return -1;
        out.immediate = wide ? bytes[pos] | bytes[pos + 1] << 8 | bytes[pos + 2] << 16 | bytes[pos + 3] << 24
          : (bytes[pos] | bytes[pos + 1] << 8) << 16 >> 16;
        pos += wide ? 4 : 2;
        break;
      case Immediate.Iz:
      case Immediate.Ap:
      case Immediate.Iv: {
        if (pos + (wide ? 4 : 2) > limit) return -1;
        out.immediate = bytes[pos] | bytes[pos + 1] << 8;
        pos += 2;
        if (wide) {
          out.immediate |= bytes[pos] << 16 | bytes[pos + 1] << 24;
          pos += 2;
        }
        if (row.first === Immediate.Ap) {
          if (pos + 2 > limit) return -1;
          out.immediate2 = bytes[pos] | bytes[pos + 1] << 8;
          pos += 2;
        } else if (out.operandSize === 64) {
          out.immediateHigh = out.immediate >> 31;
          if (row.first === Immediate.Iv) {
            if (pos + 4 > limit) return -1;
            out.immediateHigh = bytes[pos] | bytes[pos + 1] << 8 | bytes[pos + 2] << 16 | bytes[pos + 3] << 24;
            pos += 4;
          }
        }
        break;
      }
      case Immediate.O: {
        const size = out.addressSize >> 3;
        if (pos + size > limit) return -1;
        out.memory = true;
        out.displacementSize = size;
        out.displacement = bytes[pos] | bytes[pos + 1] << 8;
        if (size >= 4) out.displacement |= bytes[pos + 2] << 16 | bytes[pos + 3] << 24;
        if (size === 8) out.immediateHigh = bytes[pos + 4] | bytes[pos + 5] << 8 | bytes[pos + 6] << 16 | bytes[pos + 7] << 24;
        pos += size;
        break;
      }
    }
    if (row.second !== Immediate.None) {
      // ENTER's nesting level: always a byte (see Row).
      if (pos + 1 > limit) return -1;
      out.immediate2 = bytes[pos++];
    }
    return pos;
  }

  #ranOut(offset: number, limit: number, out: Instruction): DecodeStatus {
    out.length = limit - offset;
    return limit - offset >= MAX_LENGTH ? DecodeStatus.TooLong : DecodeStatus.NeedMore;
  }
}
