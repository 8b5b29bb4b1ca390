/** DIV and IDIV of 128 bits by 64 (SDM Vol. 2A): the dividends for which 64-bit arithmetic does not do. */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { GuestFault } from './exceptions';
import { GPR, WIDE_ARGUMENTS } from './layout';

const RAX = GPR >> 3, RDX = (GPR >> 3) + 2;

/** RDX:RAX by the divisor (wide, not zero): the quotient to RAX, the remainder to RDX; #DE when the quotient does not fit. */
export function divideWide({ state }: Cpu, _site: CalloutSite, _low: number, signed: number): number {
  const { u64 } = state;
  const dividend = (u64[RDX] << 64n) | u64[RAX];
  const divisor = u64[WIDE_ARGUMENTS >> 3];
  const [x, y] = signed ? [BigInt.asIntN(128, dividend), BigInt.asIntN(64, divisor)] : [dividend, divisor];
  const quotient = x / y;
  if (quotient !== (signed ? BigInt.asIntN(64, quotient) : BigInt.asUintN(64, quotient))) throw new GuestFault(0, undefined, 'the quotient does not fit in 64 bits');
  u64[RAX] = quotient;
  u64[RDX] = x % y;
  return 0;
}
