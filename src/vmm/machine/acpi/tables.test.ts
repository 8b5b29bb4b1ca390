import assert from 'node:assert/strict';
import { machine } from '../../../../test/support/guest';
import { acpiFirmwareFiles } from './tables';
import { ACPI_ROOT_POINTER, FIRMWARE_TABLES, FIRMWARE_TABLES_BYTES } from '../loaders/memory-map';

const options = { processors: 3, serialPorts: 2 } as const;
const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** Memory in which firmware has put tables, walked as an operating system does. */
class Tables {
  constructor(private readonly read: (address: number, length: number) => Uint8Array) {}

  dword(address: number): number {
    return new DataView(this.read(address, 4).slice().buffer).getUint32(0, true);
  }

  /** A table with its checksum verified. */
  table(address: number): Uint8Array {
    const bytes = this.read(address, this.dword(address + 4)).slice();
    assert.equal(sum(bytes), 0, `checksum of ${ascii(bytes.subarray(0, 4))}`);
    return bytes;
  }

  /** Tables by signature, from a root pointer; those of RSDT and XSDT are the same. */
  all(root: number): Map<string, Uint8Array> {
    const pointer = this.read(root, 36);
    assert.equal(ascii(pointer.subarray(0, 8)), 'RSD PTR ');
    assert.deepEqual([sum(pointer.subarray(0, 20)), sum(pointer)], [0, 0]);
    const entries = (address: number, width: number): number[] => {
      const bytes = this.table(address);
      return Array.from({ length: (bytes.length - 36) / width }, (_, n) => this.dword(address + 36 + width * n));
    };
    const addresses = entries(this.dword(root + 16), 4);
    assert.deepEqual(entries(this.dword(root + 24), 8), addresses);
    const found = new Map(addresses.map((address) => [ascii(this.read(address, 4)), this.table(address)]));
    const fadt = found.get('FACP')!;
    const dsdt = new DataView(fadt.buffer).getUint32(40, true), facs = new DataView(fadt.buffer).getUint32(36, true);
    assert.equal(new DataView(fadt.buffer).getUint32(140, true), dsdt);
    found.set('DSDT', this.table(dsdt));
    assert.deepEqual([facs % 64, ascii(this.read(facs, 4))], [0, 'FACS']);
    return found;
  }
}

describe('ACPI tables', () => {
  const guest = machine('jmp $', { processors: 3 });
  const found = new Tables((address, length) => guest.bytes(address, length)).all(ACPI_ROOT_POINTER);

  it('lie in memory that the memory map gives to ACPI', () => {
    assert.deepEqual([...found.keys()].sort(), ['APIC', 'DSDT', 'FACP', 'HPET']);
    assert.ok(ACPI_ROOT_POINTER + 36 <= FIRMWARE_TABLES + FIRMWARE_TABLES_BYTES);
  });

  it('describe the fixed hardware', () => {
    const fadt = new DataView(found.get('FACP')!.buffer);
    assert.equal(fadt.byteLength, 244);
    assert.deepEqual([fadt.getUint16(46, true), fadt.getUint32(48, true), fadt.getUint32(56, true), fadt.getUint32(64, true), fadt.getUint32(76, true), fadt.getUint32(80, true)],
      [9, 0xb2, 0x600, 0x604, 0x608, 0x60c]);
    assert.deepEqual([fadt.getUint8(116), fadt.getUint32(120, true), fadt.getUint8(128)], [1, 0xcf9, 6], 'reset register');
  });

  it('list processors, the I/O APIC and the overrides', () => {
    const madt = found.get('APIC')!;
    const entries: number[][] = [];
    for (let at = 44; at < madt.length; at += madt[at + 1]) entries.push([...madt.subarray(at, at + madt[at + 1])]);
    assert.deepEqual(entries, [
      [0, 8, 0, 0, 1, 0, 0, 0], [0, 8, 1, 1, 1, 0, 0, 0], [0, 8, 2, 2, 1, 0, 0, 0],
      [1, 12, 3, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0], [2, 10, 0, 9, 9, 0, 0, 0, 13, 0],
      [4, 6, 255, 0, 0, 1],
    ]);
  });

  it('come out the same when a BIOS places them by the loader\'s script', () => {
    const files = new Map(acpiFirmwareFiles(options).map(({ name, bytes }) => [name, bytes]));
    const names = ['etc/acpi/rsdp', 'etc/acpi/tables', 'etc/table-loader'];
    assert.deepEqual([...files.keys()].sort(), names);
    const memory = new Uint8Array(0x40000);
    const places = new Map([['etc/acpi/tables', 0x10000], ['etc/acpi/rsdp', 0x30010]]);
    for (const [name, at] of places) memory.set(files.get(name)!, at);
    const view = new DataView(memory.buffer);
    const script = files.get('etc/table-loader')!;
    for (let at = 0; at < script.length; at += 128) {
      const entry = new DataView(script.buffer, at, 128);
      const name = (offset: number): string => ascii(script.subarray(at + offset, at + offset + 56)).replace(/\0.*/s, '');
      const place = places.get(name(4))!;
      const command = entry.getUint32(0, true);
      if (command === 1) assert.equal(place % entry.getUint32(60, true), 0);
      else if (command === 2) {
        const field = place + entry.getUint32(116, true);
        view.setUint32(field, view.getUint32(field, true) + places.get(name(60))!, true);
      } else {
        assert.equal(command, 3);
        const first = place + entry.getUint32(64, true);
        memory[place + entry.getUint32(60, true)] = -sum(memory.subarray(first, first + entry.getUint32(68, true)));
      }
    }
    const placed = new Tables((address, length) => memory.subarray(address, address + length)).all(0x30010);
    assert.equal(placed.get('APIC')!.length, found.get('APIC')!.length);
  });
});

describe('MultiProcessor table', () => {
  it('is found in the ROM and sums to zero', () => {
    const guest = machine('jmp $', { processors: 2 });
    const rom = guest.bytes(0xf0000, 0x10000);
    const at = Array.from({ length: 0x1000 }, (_, n) => 16 * n).find((n) => ascii(rom.subarray(n, n + 4)) === '_MP_')!;
    assert.equal(sum(rom.subarray(at, at + 16)), 0);
    const address = guest.dword(0xf0000 + at + 4);
    const length = guest.word(address + 4);
    const bytes = guest.bytes(address, length);
    assert.deepEqual([ascii(bytes.subarray(0, 4)), sum(bytes)], ['PCMP', 0]);
    const counts = [0, 0, 0, 0, 0];
    for (let entry = 44; entry < length; entry += bytes[entry] === 0 ? 20 : 8) counts[bytes[entry]]++;
    assert.deepEqual(counts, [2, 2, 1, 16 + 64, 2]);
    assert.equal(counts.reduce((total, count) => total + count), guest.word(address + 34));
  });
});
