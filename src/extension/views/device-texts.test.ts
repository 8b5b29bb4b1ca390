import { strict as assert } from 'node:assert';
import { addressText, fieldRows, valueText } from './device-texts';

describe('texts of device registers', () => {
  const row = { address: 0x3d5, index: 0x0c, bits: 16, name: 'Start', description: '', fields: [{ name: 'HIGH', bit: 8, width: 8 }, { name: 'ON', bit: 0, width: 1 }], value: 0x1201 };

  it('give values in the register\'s width and addresses as ports or memory', () => {
    assert.equal(valueText(row), '0x1201');
    assert.equal(valueText({ ...row, value: undefined }), '');
    assert.equal(addressText(row), 'port 0x3D5, index 0x0C');
    assert.equal(addressText({ ...row, index: undefined, address: 0xfec00000 }), 'address 0xFEC00000');
  });

  it('split values into fields', () => {
    assert.deepEqual(fieldRows(row), [{ name: 'HIGH (bits 15–8)', value: '0x12' }, { name: 'ON (bit 0)', value: '1' }]);
    assert.deepEqual(fieldRows({ ...row, fields: [{ name: 'TOP', bit: 31, width: 1 }], value: 0x80000000 }), [{ name: 'TOP (bit 31)', value: '1' }]);
    assert.deepEqual(fieldRows({ ...row, value: undefined }), []);
  });
});
