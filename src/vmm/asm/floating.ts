/** Floating-point constants of dd, dq and dt in memory format, little endian. */
import { Problem, type Span } from './diagnostics';

export function floatBytes(value: number, unit: number, span: Span): number[] {
  const buffer = new DataView(new ArrayBuffer(10));
  switch (unit) {
    case 4: buffer.setFloat32(0, value, true); break;
    case 8: buffer.setFloat64(0, value, true); break;
    case 10: extended(value, buffer); break;
    default: throw new Problem('a floating-point constant needs dd, dq or dt', span);
  }
  return [...new Uint8Array(buffer.buffer, 0, unit)];
}

/** Double → x87 extended: the same value, with the integer bit written out. */
function extended(value: number, buffer: DataView): void {
  const double = new DataView(new ArrayBuffer(8));
  double.setFloat64(0, value);
  const bits = double.getBigUint64(0);
  const sign = Number(bits >> 63n) << 15;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  if (exponent === 0 && fraction === 0n) {
    buffer.setUint16(8, sign, true);
    return;
  }
  if (exponent === 0x7ff) {
    buffer.setBigUint64(0, (1n << 63n) | (fraction << 11n), true);
    buffer.setUint16(8, sign | 0x7fff, true);
    return;
  }
  let significand = exponent === 0 ? fraction << 11n : (1n << 63n) | (fraction << 11n);
  let power = (exponent === 0 ? 1 : exponent) - 1023 + 16383;
  while (!(significand >> 63n)) {
    significand <<= 1n;
    power -= 1;
  }
  buffer.setBigUint64(0, significand, true);
  buffer.setUint16(8, sign | power, true);
}
