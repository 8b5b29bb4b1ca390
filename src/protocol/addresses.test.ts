import assert from 'node:assert/strict';
import { addressDigits, addressNumber, extendedAddress } from './addresses';

describe('addresses in messages', () => {
  const rows: readonly (readonly [number, bigint, string])[] = [
    [0x7c00, 0x7c00n, '00007c00'],
    [0xffffffff, 0xffffffffn, 'ffffffff'],
    [0x7f1234567000, 0x7f1234567000n, '00007f1234567000'],
    [0xffff81000000, 0xffff_ffff_8100_0000n, 'ffffffff81000000'],
    [0x800000000000, 0xffff_8000_0000_0000n, 'ffff800000000000'],
  ];
  for (const [address, value, digits] of rows) {
    it(`${digits} is ${address.toString(16)} in 48 bits`, () => {
      assert.equal(extendedAddress(address), value);
      assert.equal(addressNumber(value), address);
      assert.equal(addressDigits(address), digits);
    });
  }
});
