/** Between registers and memory operands: singles, doubles, integers of 16, 32 and 64 bits, packed decimals of 18 digits. */
import { nanOf1 } from './arithmetic';
import { double, fromFormat, fromInteger, kindOf, Kind, MAXIMUM, scaleOf, single, type Float80, type Format } from './format';
import { Fault, type Operation, Rounding, roundToFormat, roundToInteger } from './round';

/** Formats of memory operands, by the numbers that instructions give them. */
export const enum MemoryFormat { Single, Double, Extended, Integer16, Integer32, Integer64, Decimal }
const formats: Partial<Record<MemoryFormat, Format>> = { [MemoryFormat.Single]: single, [MemoryFormat.Double]: double };
const integerBits: Partial<Record<MemoryFormat, number>> = { [MemoryFormat.Integer16]: 16, [MemoryFormat.Integer32]: 32, [MemoryFormat.Integer64]: 64 };
const DECIMAL_DIGITS = 18;
/** The packed decimal indefinite. */
const DECIMAL_INDEFINITE = 0xffffc000000000000000n;

/** Bits of a memory operand as a value. A denormal single or double is normal here: `denormal` tells that it was one. */
export function fromMemory(format: MemoryFormat, bits: bigint): { readonly value: Float80; readonly denormal: boolean } {
  const float = formats[format];
  if (float) return fromFormat(bits, float);
  const width = integerBits[format];
  if (width) return { value: fromInteger(BigInt.asIntN(width, bits)), denormal: false };
  if (format === MemoryFormat.Decimal) return { value: fromDecimal(bits), denormal: false };
  return { value: fromExtended(bits), denormal: false };
}

export function fromExtended(bits: bigint): Float80 {
  const high = Number(bits >> 64n);
  return { sign: high & 0x8000 ? 1 : 0, exponent: high & MAXIMUM, significand: bits & 0xffffffffffffffffn };
}
export const toExtended = ({ sign, exponent, significand }: Float80): bigint => BigInt(sign << 15 | exponent) << 64n | significand;

/** Digits above 9 are not checked by the processor; they count as what they are. */
function fromDecimal(bits: bigint): Float80 {
  let value = 0n;
  for (let digit = DECIMAL_DIGITS - 1; digit >= 0; digit--) value = value * 10n + (bits >> BigInt(4 * digit) & 15n);
  return { ...fromInteger(value), sign: bits >> 79n & 1n ? 1 : 0 };
}

/** A register's value as the bits of a memory operand. With `chop` an integer is rounded towards zero whatever the control word says (FISTTP). */
export function toMemory(op: Operation, format: MemoryFormat, value: Float80, chop = false): bigint {
  const float = formats[format];
  if (float) return toFloat(op, float, value);
  if (format === MemoryFormat.Extended) return toExtended(value);
  const mode = chop ? Rounding.Chop : op.rounding;
  const integer = finiteInteger(op, mode, value);
  const width = integerBits[format];
  if (width) {
    if (integer !== undefined && BigInt.asIntN(width, integer) === integer) return BigInt.asUintN(width, integer);
    return outOfRange(op, 1n << BigInt(width - 1));
  }
  const magnitude = integer === undefined ? undefined : integer < 0n ? -integer : integer;
  if (magnitude === undefined || magnitude >= 10n ** BigInt(DECIMAL_DIGITS)) return outOfRange(op, DECIMAL_INDEFINITE);
  return BigInt(`0x${magnitude.toString()}`) | BigInt(value.sign) << 79n;
}

/** An invalid operation is all that is reported then. */
function outOfRange(op: Operation, indefinite: bigint): bigint {
  op.flags = Fault.Invalid;
  op.roundedUp = false;
  return indefinite;
}

function finiteInteger(op: Operation, mode: Rounding, value: Float80): bigint | undefined {
  switch (kindOf(value)) {
    case Kind.Zero: return 0n;
    // Nothing that large is an integer of any format.
    case Kind.Normal: case Kind.Denormal: return scaleOf(value) > 8 ? undefined : roundToInteger(op, mode, value, scaleOf(value));
    default: return undefined;
  }
}

function toFloat(op: Operation, format: Format, value: Float80): bigint {
  const fractionBits = format.precision - 1;
  const signBit = BigInt(value.sign) << BigInt(fractionBits + (format === single ? 8 : 11));
  const special = (fraction: bigint): bigint => BigInt(format.maximum) << BigInt(fractionBits) | fraction;
  const nan = nanOf1(op, value);
  if (nan) {
    const fraction = (nan.significand << 1n & 0xffffffffffffffffn) >> BigInt(64 - fractionBits);
    return special(fraction) | BigInt(nan.sign) << BigInt(fractionBits + (format === single ? 8 : 11));
  }
  if (value.significand === 0n) return signBit;
  if (kindOf(value) === Kind.Infinity) return signBit | special(0n);
  return signBit | roundToFormat(op, format, value, scaleOf(value));
}
