/** SSE4.2's string comparisons (SDM Vol. 2B, 4.1): every element of one operand against every one of the other, summed up by the immediate. */
import { STRING_EXPLICIT, STRING_MASK } from '../isa/rows/sse4';
import { Flag } from './bits';
import type { Callout } from './callouts';
import { XMM } from './layout';
import type { CpuState } from './state';

const EAX = 0, ECX = 1, EDX = 2;
const enum Aggregation { EqualAny, Ranges, EqualEach, EqualOrdered }

/** Elements of an operand as numbers. */
function elementsOf(state: CpuState, at: number, words: boolean, signed: boolean): number[] {
  return Array.from({ length: words ? 8 : 16 }, (_, n) => {
    const value = words ? state.u16[(at >> 1) + n] : state.u8[at + n];
    return signed ? (words ? (value << 16) >> 16 : (value << 24) >> 24) : value;
  });
}

/** Valid elements: up to the first zero, or as many as the absolute value of a register says. */
function validLength(state: CpuState, list: readonly number[], register: number, control: number, wide: boolean): number {
  if (!(control & STRING_EXPLICIT)) {
    const end = list.indexOf(0);
    return end < 0 ? list.length : end;
  }
  const length = wide ? Number(BigInt.asIntN(64, state.get64(register))) : state.get32(register) | 0;
  return Math.min(Math.abs(length), list.length);
}

/** The comparison's bits, one for each element of the second operand. */
function compare(first: readonly number[], firstLength: number, second: readonly number[], secondLength: number, aggregation: Aggregation): number {
  const count = second.length;
  let result = 0;
  for (let j = 0; j < count; j++) {
    let bit = false;
    switch (aggregation) {
      case Aggregation.EqualAny:
        for (let i = 0; i < firstLength && j < secondLength; i++) bit ||= first[i] === second[j];
        break;
      case Aggregation.Ranges:
        for (let i = 0; i + 1 < firstLength && j < secondLength; i += 2) bit ||= first[i] <= second[j] && second[j] <= first[i + 1];
        break;
      case Aggregation.EqualEach:
        bit = j < firstLength && j < secondLength ? first[j] === second[j] : j >= firstLength && j >= secondLength;
        break;
      case Aggregation.EqualOrdered:
        bit = true;
        // What lies beyond the second operand's register is not looked at.
        for (let i = 0; i < firstLength && j + i < count; i++) bit &&= j + i < secondLength && first[i] === second[j + i];
        break;
    }
    if (bit) result |= 1 << j;
  }
  return result;
}

export const comparePackedStrings: Callout = (cpu, { operandSize }, firstAt, secondAt, control) => {
  const { state } = cpu;
  const words = (control & 1) !== 0, signed = (control & 2) !== 0;
  const first = elementsOf(state, firstAt, words, signed), second = elementsOf(state, secondAt, words, signed);
  const count = first.length, all = (1 << count) - 1;
  const firstLength = validLength(state, first, EAX, control, operandSize === 64), secondLength = validLength(state, second, EDX, control, operandSize === 64);
  let bits = compare(first, firstLength, second, secondLength, (control >> 2) & 3);
  const polarity = (control >> 4) & 3;
  if (polarity === 1) bits ^= all;
  else if (polarity === 3) bits ^= (1 << secondLength) - 1;
  bits &= all;
  if (control & STRING_MASK) {
    state.u8.fill(0, XMM, XMM + 16);
    if ((control & 0x40) === 0) state.u32[XMM >> 2] = bits;
    else for (let n = 0; n < count; n++) if (bits >> n & 1) state.u8.fill(0xff, XMM + n * 16 / count, XMM + (n + 1) * 16 / count);
  } else {
    const index = bits === 0 ? count : (control & 0x40) === 0 ? 31 - Math.clz32(bits & -bits) : 31 - Math.clz32(bits);
    state.set32(ECX, index);
  }
  const flags = (bits !== 0 ? Flag.CF : 0) | (secondLength < count ? Flag.ZF : 0) | (firstLength < count ? Flag.SF : 0) | (bits & 1 ? Flag.OF : 0);
  state.eflags = (state.eflags & ~Flag.Arithmetic) | flags;
  return 0;
};
