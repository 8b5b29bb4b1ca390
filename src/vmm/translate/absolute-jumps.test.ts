/**
 * Jumps to any 64-bit address, in the two forms that code generators use: PUSH imm32 (with a store of the upper half where it is needed) and
 * RET, and MOV RAX, imm64 with JMP RAX. The processor sign-extends what PUSH pushes, so the upper half must be stored unless it is the sign of
 * the lower one; a generator that leaves it out when it is zero goes astray between 2 and 4 GiB.
 */
import assert from 'node:assert/strict';
import { BareEngine } from '../../../test/support/guest';

const ORIGIN = 0x1000, TABLES = 0x310000, LANDING = 0x200000;
const word = (value: bigint): number[] => [0n, 8n, 16n, 24n].map((shift) => Number((value >> shift) & 0xffn));

const storeUpper = (target: bigint): number[] => [0xc7, 0x44, 0x24, 0x04, ...word(target >> 32n)];
/** PUSH imm32; [MOV dword [RSP+4], imm32;] RET. */
const pushReturn = (target: bigint): number[] =>
  [0x68, ...word(target), ...(BigInt.asUintN(64, BigInt.asIntN(32, target)) === target ? [] : storeUpper(target)), 0xc3];
/** The same with the wrong condition. */
const defective = (target: bigint): number[] => [0x68, ...word(target), ...(target >> 32n === 0n ? [] : storeUpper(target)), 0xc3];
const moveJump = (target: bigint): number[] => [0x48, 0xb8, ...word(target), ...word(target >> 32n), 0xff, 0xe0];

/** Maps the page of a canonical address to LANDING, which is full of HLT. */
function map(bare: BareEngine, linear: bigint): void {
  const { physical } = bare.mmu;
  let table = Number(bare.state.cr3);
  for (const shift of [39n, 30n, 21n]) {
    const at = table + Number((linear >> shift) & 511n) * 8;
    if (!(physical.read32(at) & 1)) {
      physical.write32(at, next | 3);
      next += 0x1000;
    }
    table = physical.read32(at) & ~0xfff;
  }
  physical.write32(table + Number((linear >> 12n) & 511n) * 8, LANDING | 3);
}
let next = TABLES;

function jump(code: readonly number[], targets: readonly bigint[]): bigint {
  const bare = new BareEngine().load({ bytes: Uint8Array.from(code), origin: ORIGIN, label: () => 0 }, 'long');
  bare.mmu.physical.writeBytes(LANDING, new Uint8Array(4096).fill(0xf4));
  next = TABLES;
  bare.mmu.physical.writeBytes(TABLES, new Uint8Array(0x40000));
  for (const target of targets) map(bare, target);
  bare.toHalt(10);
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(bare.state.rip)) - 1n);
}

const targets = [0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_f000n, 0xffff_8000_0000_0000n, 0xffff_ffff_8000_0000n, 0xffff_ffff_ffff_ffffn];

describe('long absolute jumps', () => {
  for (const target of targets) {
    it(`reach 0x${target.toString(16)} by PUSH and RET, and through a register`, () => {
      assert.equal(jump(pushReturn(target), [target]), target);
      assert.equal(jump(moveJump(target), [target]), target);
    });
  }
  it('go astray between 2 and 4 GiB when the upper half is left out because it is zero', () => {
    for (const target of [0x8000_0000n, 0xffff_ffffn]) {
      const extended = BigInt.asUintN(64, BigInt.asIntN(32, target));
      assert.equal(jump(defective(target), [target, extended]), extended);
    }
    assert.equal(jump(defective(0x7fff_ffffn), [0x7fff_ffffn]), 0x7fff_ffffn);
  });
});
