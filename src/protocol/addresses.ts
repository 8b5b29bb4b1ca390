/**
 * Linear addresses in messages are numbers: a canonical 64-bit address is represented by its low 48 bits, which a number holds exactly (see
 * vmm/mmu/types.ts). People see it with bit 47 extended, as the processor has it.
 */

/** The address as a 64-bit register holds it. */
export function extendedAddress(address: number): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(address)));
}

/** The number that represents what a register holds. */
export function addressNumber(value: bigint): number {
  return Number(BigInt.asUintN(48, value));
}

/** Hexadecimal digits without a prefix: eight, or sixteen for what needs more. */
export function addressDigits(address: number): string {
  return address < 2 ** 32 ? address.toString(16).padStart(8, '0') : extendedAddress(address).toString(16).padStart(16, '0');
}
