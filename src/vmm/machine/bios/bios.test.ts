import { strict as assert } from 'node:assert';
import { MemoryDisk, floppyDisk, hardDiskGeometry } from '../disk';
import { Reg, Seg } from './bios-cpu';
import { BDA } from './layout';
import { Trap, rom } from './rom';
import { Bench } from './test-bench';

const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));

/** Each sector begins with its number. */
function numbered(sectors: number): MemoryDisk {
  const bytes = new Uint8Array(sectors * 512);
  const view = new DataView(bytes.buffer);
  for (let n = 0; n < sectors; n++) view.setUint32(512 * n, n, true);
  bytes.set([0x55, 0xaa], 510);
  return new MemoryDisk(bytes);
}

function withDisks(): Bench {
  const hard = numbered(16 * 63 * 10);
  const { disk, geometry, cmosType } = floppyDisk(new Uint8Array(0));
  return new Bench(new Map([[0, { disk, geometry, cmosType }], [0x80, { disk: hard, geometry: hardDiskGeometry(hard) }]]));
}

describe('BIOS power-on', () => {
  it('sets vectors, data areas and the screen', () => {
    const bench = withDisks();
    const { memory } = bench;
    for (let vector = 0; vector < 0x60; vector++) assert.notEqual(memory.read32(4 * vector), 0, `vector ${vector.toString(16)}`);
    assert.equal(memory.read32(4 * 0x10), 0xf000f065);
    assert.equal(memory.read16(BDA.memoryKiB), 639);
    assert.equal(memory.read16(BDA.ebdaSegment), 0x9fc0);
    assert.equal(memory.read8(BDA.videoMode), 3);
    assert.equal(memory.read8(BDA.diskCount), 1);
    assert.equal(bench.int(0x11).ax & 0x231, 0x221);
    assert.equal(bench.int(0x12).ax, 639);
    const screen = bench.vga.text()!;
    assert.deepEqual([...screen.cells.slice(0, 2)], [0x20, 7]);
    assert.equal(screen.cursor.visible, true);
  });

  it('opens the interrupts of timer and keyboard at vectors 8 and 9', () => {
    const bench = new Bench();
    bench.clock.advanceSeconds(0.06);
    assert.equal(bench.pic.interruptRequested, true);
    assert.equal(bench.pic.acknowledge(), 8);
  });

  it('serves stubs of the ROM only', () => {
    const bench = new Bench();
    const offset = [...rom.traps].find(([, trap]) => trap === 0x12)![0];
    bench.cpu.selectors[Seg.CS] = 0x1000;
    bench.cpu.eip = offset;
    assert.equal(bench.bios.trap(bench.cpu), false);
    bench.cpu.selectors[Seg.CS] = 0xf000;
    bench.cpu.eip = offset + 1;
    assert.equal(bench.bios.trap(bench.cpu), false);
    // The same bytes through another CS.
    bench.cpu.selectors[Seg.CS] = 0xf010;
    bench.cpu.eip = offset - 0x100;
    assert.equal(bench.bios.trap(bench.cpu), true);
  });

  it('has stubs that do not overlap and end the way they should', () => {
    for (const offset of rom.traps.keys()) assert.deepEqual([...rom.bytes.subarray(offset - 2, offset)], [0xe6, 0xec]);
    for (const vector of [0x10, 0x13, 0x16]) {
      const [offset] = [...rom.traps].find(([, trap]) => trap === vector)!;
      assert.deepEqual([...rom.bytes.subarray(offset, offset + 5)], [0xcf, 0xfb, 0xf4, 0xeb, 0xf9]);
    }
    assert.deepEqual([...rom.bytes.subarray(0xfff0, 0xfff5)], [0xea, 0x5b, 0xe0, 0x00, 0xf0]);
    assert.equal(rom.bytes[0xfffe], 0xfc);
  });
});

describe('BIOS boot', () => {
  it('loads the first sector of the hard disk when there is no floppy', () => {
    const hard = numbered(100);
    const bench = new Bench(new Map([[0x80, { disk: hard, geometry: hardDiskGeometry(hard) }]]));
    const at = rom.labels.get('boot')!;
    bench.enter(Trap.boot);
    assert.equal(bench.cpu.registers[Reg.DX], 0x80);
    assert.equal(bench.memory.read16(0x7dfe), 0xaa55);
    assert.ok(bench.cpu.eip > at && bench.cpu.eip < rom.labels.get('bootFailed')!);
  });

  it('passes over a floppy without signature, saying so', () => {
    const bench = withDisks();
    bench.enter(Trap.boot);
    assert.equal(bench.cpu.registers[Reg.DX], 0x80);
    assert.match(bench.line(1), /Floppy: not a bootable disk \(no 55AA signature\)/);
  });

  it('says that there is no bootable device', () => {
    const bench = new Bench();
    bench.enter(Trap.boot);
    assert.equal(bench.cpu.eip, rom.labels.get('bootFailed'));
    bench.enter(Trap.noBoot);
    assert.equal(bench.line(1), 'No bootable device.');
  });
});

describe('INT 10h', () => {
  it('prints by teletype, wraps and scrolls', () => {
    const bench = new Bench();
    for (const c of text('Hello\r\nworld')) bench.int(0x10, { eax: 0x0e00 | c });
    assert.deepEqual([bench.line(0), bench.line(1)], ['Hello', 'world']);
    assert.deepEqual(bench.vga.text()!.cursor, { visible: true, column: 5, row: 1 });
    for (let n = 0; n < 24; n++) bench.int(0x10, { eax: 0x0e0a });
    assert.equal(bench.line(0), 'world');
    for (let n = 0; n < 76; n++) bench.int(0x10, { eax: 0x0e2e });
    assert.equal(bench.int(0x10, { eax: 0x0300 }).dx, 0x1801, 'wrapped at the right edge');
    bench.int(0x10, { eax: 0x0e08 });
    assert.equal(bench.int(0x10, { eax: 0x0300 }).dx, 0x1800);
  });

  it('writes characters with attributes at the cursor and reads them back', () => {
    const bench = new Bench();
    bench.int(0x10, { eax: 0x0200, edx: 0x0203 });
    bench.int(0x10, { eax: 0x0958, ebx: 0x001e, ecx: 3 });
    assert.equal(bench.line(2), '   XXX');
    assert.equal(bench.int(0x10, { eax: 0x0800 }).ax, 0x1e58);
    bench.int(0x10, { eax: 0x0a59, ecx: 1 });
    assert.equal(bench.int(0x10, { eax: 0x0800 }).ax, 0x1e59);
  });

  it('scrolls windows up and down and clears them', () => {
    const bench = new Bench();
    for (let row = 0; row < 5; row++) {
      bench.int(0x10, { eax: 0x0200, edx: row << 8 });
      bench.int(0x10, { eax: 0x0a41 + row, ecx: 10 });
    }
    bench.int(0x10, { eax: 0x0601, ebx: 0x0700, ecx: 0x0102, edx: 0x0304 });
    assert.deepEqual([0, 1, 2, 3, 4].map((row) => bench.line(row)), ['AAAAAAAAAA', 'BBCCCBBBBB', 'CCDDDCCCCC', 'DD   DDDDD', 'EEEEEEEEEE']);
    bench.int(0x10, { eax: 0x0702, ebx: 0x0700, ecx: 0x0000, edx: 0x184f });
    assert.deepEqual([0, 1, 2].map((row) => bench.line(row)), ['', '', 'AAAAAAAAAA']);
    bench.int(0x10, { eax: 0x0600, ebx: 0x1700, ecx: 0x0000, edx: 0xffff });
    assert.equal(bench.line(2), '');
    assert.equal(bench.vga.text()!.cells[1], 0x17);
  });

  it('sets modes, refusing unknown ones', () => {
    const bench = new Bench();
    bench.int(0x10, { eax: 0x0001 });
    assert.equal(bench.vga.text()!.columns, 40);
    assert.equal(bench.int(0x10, { eax: 0x0f00 }).ax, 0x2801);
    bench.int(0x10, { eax: 0x0055 });
    bench.int(0x10, { eax: 0x0055 });
    assert.deepEqual(bench.logged, ['BIOS: there is no video mode 55h; the mode stays what it is']);
    assert.equal(bench.int(0x10, { eax: 0x0f00 }).al, 1);
    bench.int(0x10, { eax: 0x0003 });
    bench.int(0x10, { eax: 0x0e41 });
    bench.int(0x10, { eax: 0x0083 });
    assert.equal(bench.line(0), 'A', 'bit 7 keeps the screen');
    assert.equal(bench.int(0x10, { eax: 0x1a00 }).ax & 0xff, 0x1a);
  });

  it('hides the cursor, shows pages, loads the 8-line font', () => {
    const bench = new Bench();
    bench.int(0x10, { eax: 0x0100, ecx: 0x2000 });
    assert.equal(bench.vga.text()!.cursor.visible, false);
    bench.int(0x10, { eax: 0x0100, ecx: 0x0607 });
    assert.equal(bench.vga.text()!.cursor.visible, true);
    bench.int(0x10, { eax: 0x0200, ebx: 0x0100, edx: 0x0000 });
    bench.int(0x10, { eax: 0x0950, ebx: 0x0107, ecx: 1 });
    assert.equal(bench.line(0), '');
    bench.int(0x10, { eax: 0x0501 });
    assert.equal(bench.line(0), 'P');
    bench.int(0x10, { eax: 0x1112 });
    assert.equal(bench.vga.text()!.rows, 50);
  });

  it('writes strings with and without attributes', () => {
    const bench = new Bench();
    bench.memory.writeBytes(0x20010, text('Hi\r\nyou'));
    bench.int(0x10, { eax: 0x1301, ebx: 0x002f, ecx: 7, edx: 0x0302, es: 0x2000, ebp: 0x10 });
    assert.deepEqual([bench.line(3), bench.line(4)], ['  Hi', 'you']);
    assert.deepEqual(bench.vga.text()!.cursor, { visible: true, column: 3, row: 4 });
    bench.memory.writeBytes(0x20010, text('a\x01b\x02'));
    bench.int(0x10, { eax: 0x1302, ecx: 2, edx: 0x0600, es: 0x2000, ebp: 0x10 });
    assert.deepEqual([...bench.vga.text()!.cells.slice(960, 964)], [0x61, 1, 0x62, 2]);
    assert.equal(bench.vga.text()!.cursor.row, 4, 'the cursor stays');
  });
});

describe('PCI in the BIOS', () => {
  it('is there, finds devices and classes, and reads and writes configuration space', () => {
    const bench = new Bench();
    const check = bench.int(0x1a, { eax: 0xb101 });
    assert.deepEqual([check.ah, check.al, check.carry, check.bx, check.cx & 0xff, bench.cpu.registers[Reg.DX]], [0, 1, false, 0x0210, 0, 0x20494350]);
    assert.deepEqual([bench.int(0x1a, { eax: 0xb102, ecx: 0x7000, edx: 0x8086 }).bx, bench.int(0x1a, { eax: 0xb103, ecx: 0x060000 }).bx], [8, 0]);
    assert.deepEqual([bench.int(0x1a, { eax: 0xb102, ecx: 0x7000, edx: 0x8086, esi: 1 }).ah, bench.int(0x1a, { eax: 0xb102, edx: 0xffff }).ah], [0x86, 0x83]);
    bench.int(0x1a, { eax: 0xb10a, ebx: 8 });
    assert.equal(bench.cpu.registers[Reg.CX], 0x70008086);
    bench.int(0x1a, { eax: 0xb10b, ebx: 8, edi: 0x61, ecx: 5 });
    assert.equal(bench.int(0x1a, { eax: 0xb109, ebx: 8, edi: 0x60 }).cx, 0x050a);
    assert.deepEqual([bench.int(0x1a, { eax: 0xb109, ebx: 8, edi: 0x61 }).ah, bench.int(0x1a, { eax: 0xb1ff }).ah], [0x87, 0x81]);
    assert.equal(bench.int(0x1a, { eax: 0xb109, ebx: 0x100 }).cx, 0xffff, 'another bus');
  });

  it('gives windows addresses and functions an interrupt', () => {
    const bench = new Bench();
    const device = { id: 'card', title: 'Card', reset: () => undefined, save: () => null, restore: () => undefined };
    const bar = (kind: 'io' | 'memory', bytes: number, address?: number) => ({ kind, bytes, address, read: () => 0, write: () => undefined });
    bench.pci.add({
      device, slot: 3, function: 0, vendorId: 1, deviceId: 1, classCode: 0x020000, interruptPin: 1,
      bars: [bar('io', 16), bar('io', 64), bar('memory', 4096), bar('memory', 0x100000), bar('memory', 0x10000, 0xe0000000)],
    });
    bench.bios.powerOn();
    const place = 3 << 3;
    assert.deepEqual([0, 1, 2, 3, 4].map((n) => bench.pci.readConfiguration(place, 0x10 + 4 * n, 4)), [0xc001, 0xc041, 0xf0000000, 0xf0100000, 0xe0000000]);
    assert.equal(bench.pci.readConfiguration(place, 0x3c, 1), 11);
    assert.equal(bench.pci.readConfiguration(place, 4, 2), 7);
  });

  it('has an interrupt routing table with a right checksum', () => {
    const at = 0xc000, bytes = rom.bytes.subarray(at, at + 32 + 16 * 16);
    assert.equal(String.fromCharCode(...bytes.subarray(0, 4)), '$PIR');
    assert.equal(bytes[6] | bytes[7] << 8, bytes.length);
    assert.equal(bytes.reduce((sum, byte) => sum + byte, 0) & 0xff, 0);
    assert.deepEqual([...bytes.subarray(64, 70)], [0, 3 << 3, 0x62, 0xf8, 0xde, 0x63]);
  });
});

describe('INT 13h', () => {
  it('reads and writes by cylinder, head and sector', () => {
    const bench = withDisks();
    const read = bench.int(0x13, { eax: 0x0203, ebx: 0x1000, ecx: 0x0102, edx: 0x0180, es: 0x100 });
    assert.deepEqual([read.ax, read.carry], [3, false]);
    assert.equal(bench.memory.read32(0x2000), (16 + 1) * 63 + 1);
    bench.memory.write32(0x2000, 0xdeadbeef);
    assert.equal(bench.int(0x13, { eax: 0x0301, ebx: 0x1000, ecx: 0x0001, edx: 0x0000, es: 0x100 }).ax, 1);
    bench.int(0x13, { eax: 0x0201, ebx: 0x5000, ecx: 0x0001, edx: 0x0000 });
    assert.equal(bench.memory.read32(0x5000), 0xdeadbeef);
  });

  it('answers bad requests with a code in AH, carry, and the data area', () => {
    const bench = withDisks();
    for (const [inputs, status] of [
      [{ eax: 0x0200, ecx: 1, edx: 0x80 }, 0x01],
      [{ eax: 0x02ff, ecx: 1, edx: 0x80 }, 0x01],
      [{ eax: 0x0201, ecx: 0, edx: 0x80 }, 0x01],
      [{ eax: 0x0201, ecx: 0xffff, edx: 0x80 }, 0x04],
      [{ eax: 0x0201, ecx: 1, edx: 0xff80 }, 0x04],
      [{ eax: 0x0202, ecx: 0x093f, edx: 0x0f80 }, 0x04],
      [{ eax: 0x0201, ecx: 1, edx: 0x81 }, 0x01],
      [{ eax: 0x0201, ecx: 1, edx: 0x01 }, 0x80],
      [{ eax: 0x0201, ecx: 0x0013, edx: 0x00 }, 0x04],
      [{ eax: 0x7700, edx: 0x80 }, 0x01],
    ] as const) {
      const result = bench.int(0x13, inputs);
      assert.deepEqual([result.ah, result.carry], [status, true], JSON.stringify(inputs));
      assert.equal(bench.int(0x13, { eax: 0x0100, edx: inputs.edx & 0xff }).ah, status);
    }
    const small = numbered(100);
    const tiny = new Bench(new Map([[0x80, { disk: small, geometry: hardDiskGeometry(small) }]]), 0x100000);
    assert.equal(tiny.int(0x13, { eax: 0x0201, ebx: 0xffff, ecx: 1, edx: 0x80, es: 0xffff }).ah, 0x09, 'beyond RAM');
  });

  it('tells geometry and type', () => {
    const bench = withDisks();
    const hard = bench.int(0x13, { eax: 0x0800, edx: 0x80 });
    assert.deepEqual([hard.cx, hard.dx, hard.ah], [0x093f, 0x0f01, 0]);
    const floppy = bench.int(0x13, { eax: 0x0800, edx: 0 });
    assert.deepEqual([floppy.cx, floppy.dx, floppy.bx, floppy.es, floppy.di], [0x4f12, 0x0101, 4, 0xf000, 0xefc7]);
    assert.equal(bench.int(0x13, { eax: 0x0800, edx: 0x85 }).carry, true);
    const type = bench.int(0x13, { eax: 0x1500, edx: 0x80 });
    assert.deepEqual([type.ah, type.cx * 65536 + type.dx], [3, 10080]);
    assert.equal(bench.int(0x13, { eax: 0x1500, edx: 0 }).ah, 1);
    assert.equal(bench.int(0x13, { eax: 0x1500, edx: 0x90 }).ah, 0);
  });

  it('reads every sector of a small image by its cylinder, head and sector, and none behind', () => {
    for (const sectors of [1, 3, 64, 1008, 1009, 2500]) {
      const small = numbered(sectors);
      const bench = new Bench(new Map([[0x80, { disk: small, geometry: hardDiskGeometry(small) }]]));
      for (const block of [0, 1, 62, 63, 1007, 1008, 2016, 2499, sectors - 1, sectors, sectors + 700]) {
        const cylinder = Math.floor(block / 1008), head = Math.floor(block / 63) % 16, sector = block % 63 + 1;
        const read = bench.int(0x13, { eax: 0x0201, ebx: 0x1000, ecx: cylinder << 8 | sector, edx: head << 8 | 0x80 });
        assert.equal(read.carry, block >= sectors, `sector ${block} of ${sectors}`);
        if (block > 0 && block < sectors) assert.equal(bench.memory.read32(0x1000), block);
      }
      const type = bench.int(0x13, { eax: 0x1500, edx: 0x80 });
      assert.ok(type.cx * 65536 + type.dx <= sectors);
    }
  });

  it('offers the extensions on the hard disk', () => {
    const bench = withDisks();
    const { memory } = bench;
    const check = bench.int(0x13, { eax: 0x4100, ebx: 0x55aa, edx: 0x80 });
    assert.deepEqual([check.bx, check.cx & 1, check.carry], [0xaa55, 1, false]);
    assert.equal(bench.int(0x13, { eax: 0x4100, ebx: 0x55aa, edx: 0 }).carry, true);
    const packet = (count: number, offset: number, segment: number, low: number, high = 0, size = 16): void => {
      memory.write16(0x600, size);
      memory.write16(0x602, count);
      memory.write16(0x604, offset);
      memory.write16(0x606, segment);
      memory.write32(0x608, low);
      memory.write32(0x60c, high);
    };
    const transfer = (ah: number) => bench.int(0x13, { eax: ah << 8, edx: 0x80, esi: 0x600 });
    packet(2, 0x0000, 0x0900, 5000);
    assert.deepEqual([transfer(0x42).carry, memory.read32(0x9000), memory.read32(0x9200)], [false, 5000, 5001]);
    memory.write32(0x9000, 77);
    assert.equal(transfer(0x43).carry, false);
    packet(1, 0, 0x0a00, 5000);
    transfer(0x42);
    assert.equal(memory.read32(0xa000), 77);
    packet(1, 0xffff, 0xffff, 9, 0, 24);
    memory.write32(0x610, 0x200000);
    memory.write32(0x614, 0);
    assert.equal(transfer(0x42).carry, false);
    assert.equal(memory.read32(0x200000), 9, 'a flat address');
    for (const [count, segment, low, high, size, status] of [
      [1, 0x900, 10080, 0, 16, 4], [2, 0x900, 10079, 0, 16, 4], [1, 0x900, 0, 0xffffffff, 16, 4], [0xffff, 0x900, 0, 0, 16, 1], [1, 0x900, 0, 0, 8, 1],
    ]) {
      packet(count, 0, segment, low, high, size);
      const result = transfer(0x42);
      assert.deepEqual([result.ah, result.carry], [status, true]);
      if (size === 16) assert.equal(memory.read16(0x602), 0);
    }
    packet(0, 0, 0x900, 0);
    assert.equal(transfer(0x42).carry, false, 'nothing to move');
    packet(1, 0xffff, 0xffff, 0, 0, 24);
    memory.write32(0x610, 0xffffff00);
    assert.equal(transfer(0x42).ah, 9, 'a flat address outside RAM');
    memory.write16(0x600, 30);
    assert.equal(transfer(0x48).carry, false);
    assert.deepEqual([memory.read32(0x604), memory.read32(0x608), memory.read32(0x60c), memory.read32(0x610), memory.read16(0x618)], [10, 16, 63, 10080, 512]);
  });
});

describe('INT 15h', () => {
  it('lists memory by E820', () => {
    const bench = new Bench(new Map(), 64 << 20);
    let ebx = 0;
    const entries: number[][] = [];
    do {
      bench.int(0x15, { eax: 0xe820, ebx, ecx: 20, edx: 0x534d4150, edi: 0x8000 });
      assert.equal(bench.cpu.registers[Reg.AX], 0x534d4150);
      entries.push([bench.memory.read32(0x8000), bench.memory.read32(0x8008), bench.memory.read32(0x8010)]);
      ebx = bench.cpu.registers[Reg.BX];
    } while (ebx !== 0 && entries.length < 10);
    assert.deepEqual(entries, [[0, 0x9fc00, 1], [0x9fc00, 0x400, 2], [0xe0000, 0x1000, 4], [0xe1000, 0xf000, 3], [0xf0000, 0x10000, 2], [0x100000, 63 << 20, 1]]);
    for (const bad of [{ ebx: 6 }, { ebx: 0xffffffff }, { ecx: 19 }, { edx: 0 }]) {
      assert.equal(bench.int(0x15, { eax: 0xe820, ebx: 0, ecx: 20, edx: 0x534d4150, ...bad }).carry, true, JSON.stringify(bad));
    }
  });

  it('tells extended memory by 88h and E801', () => {
    const bench = new Bench(new Map(), 64 << 20);
    assert.equal(bench.int(0x15, { eax: 0x8800 }).ax, 0xfc00);
    const e801 = bench.int(0x15, { eax: 0xe801 });
    assert.deepEqual([e801.ax, e801.bx, e801.cx, e801.dx], [0x3c00, 768, 0x3c00, 768]);
  });

  it('gates A20 and moves blocks', () => {
    const bench = new Bench();
    assert.equal(bench.int(0x15, { eax: 0x2400 }).carry, false);
    assert.equal(bench.keyboard.a20, false);
    assert.equal(bench.int(0x15, { eax: 0x2402 }).al, 0);
    bench.int(0x15, { eax: 0x2401 });
    assert.equal(bench.int(0x15, { eax: 0x2402 }).al, 1);
    const { memory } = bench;
    memory.write32(0x9000, 0x12345678);
    const descriptor = (at: number, base: number): void => { memory.write16(at + 2, base); memory.write8(at + 4, base >> 16); memory.write8(at + 7, base >>> 24); };
    descriptor(0x610, 0x9000);
    descriptor(0x618, 0x300000);
    assert.equal(bench.int(0x15, { eax: 0x8700, ecx: 2, esi: 0x600 }).ah, 0);
    assert.equal(memory.read32(0x300000), 0x12345678);
    descriptor(0x618, 0xfffffff0);
    assert.equal(bench.int(0x15, { eax: 0x8700, ecx: 0x8000, esi: 0x600 }).carry, true);
    assert.equal(bench.int(0x15, { eax: 0x8700, ecx: 0xffff, esi: 0x600 }).carry, true);
  });

  it('waits in virtual time, one caller at a time', () => {
    const bench = new Bench();
    assert.equal(bench.int(0x15, { eax: 0x8600, ecx: 0, edx: 10_000 }).waits, true);
    assert.ok(bench.clock.pending > 0);
    bench.clock.advanceSeconds(0.005);
    assert.equal(bench.enter(0x15).waits, true);
    bench.cpu.registers[Reg.SP] -= 0x20;
    assert.equal(bench.enter(0x15).ah, 0x83);
    bench.cpu.registers[Reg.SP] += 0x20;
    bench.clock.advanceSeconds(0.006);
    const end = bench.int(0x15, { eax: 0x8600, ecx: 0, edx: 10_000 });
    assert.deepEqual([end.waits, end.carry, end.ah], [false, false, 0]);
  });

  it('refuses what it has not', () => {
    const bench = new Bench();
    for (const eax of [0x5300, 0x5301, 0xe881, 0xd800, 0xff00]) {
      const result = bench.int(0x15, { eax });
      assert.deepEqual([result.ah, result.carry], [0x86, true]);
    }
    const table = bench.int(0x15, { eax: 0xc000 });
    assert.deepEqual([table.es, table.bx, bench.memory.read8(0xf0000 + table.bx + 2)], [0xf000, 0xe6f5, 0xfc]);
  });
});

describe('INT 09h and 16h', () => {
  it('turns keys into words and waits for them', () => {
    const bench = new Bench();
    assert.equal(bench.int(0x16, { eax: 0x0000 }).waits, true);
    assert.equal(bench.int(0x16, { eax: 0x0100 }).zero, true);
    bench.type(0x1e, 0x9e);
    const peek = bench.int(0x16, { eax: 0x0100 }, 0x40);
    assert.deepEqual([peek.zero, peek.ax], [false, 0x1e61]);
    assert.equal(bench.int(0x16, { eax: 0x0000 }).ax, 0x1e61);
    assert.equal(bench.int(0x16, { eax: 0x0000 }).waits, true);
  });

  it('knows shift, control, alt, caps and the key pad', () => {
    const bench = new Bench();
    const word = (...codes: number[]): number => { bench.type(...codes); return bench.int(0x16, { eax: 0x1000 }).ax; };
    assert.equal(word(0x2a, 0x1e, 0x9e, 0xaa), 0x1e41);
    assert.equal(word(0x1d, 0x2e, 0xae, 0x9d), 0x2e03);
    assert.equal(word(0x38, 0x10, 0x90, 0xb8), 0x1000);
    bench.type(0x3a, 0xba);
    assert.equal(bench.int(0x16, { eax: 0x0200 }).al, 0x40);
    assert.equal(bench.keyboard.leds, 4);
    assert.equal(word(0x1e, 0x9e), 0x1e41);
    assert.equal(word(0x02, 0x82), 0x0231, 'Caps Lock leaves digits alone');
    bench.type(0x3a, 0xba);
    assert.equal(word(0x48, 0xc8), 0x4800);
    bench.type(0x45, 0xc5);
    assert.equal(word(0x48, 0xc8), 0x4838);
    assert.equal(word(0x38, 0x4d, 0xcd, 0x4c, 0xcc, 0xb8), 0x0041, 'Alt 65');
    assert.equal(word(0x3b, 0xbb), 0x3b00);
    assert.equal(word(0xe0, 0x48, 0xe0, 0xc8), 0x48e0);
    bench.type(0xe0, 0x48, 0xe0, 0xc8);
    assert.equal(bench.int(0x16, { eax: 0x0000 }).ax, 0x4800, 'without the mark for AH=00h');
    assert.equal(word(0x1c, 0x9c), 0x1c0d);
    assert.equal(word(0x01, 0x81), 0x011b);
  });

  it('keeps fifteen keys and takes words from programs', () => {
    const bench = new Bench();
    for (let n = 0; n < 20; n++) bench.type(0x1e, 0x9e);
    let count = 0;
    while (!bench.int(0x16, { eax: 0x0000 }).waits) count++;
    assert.equal(count, 15);
    assert.equal(bench.int(0x16, { eax: 0x0500, ecx: 0x1234 }).al, 0);
    assert.equal(bench.int(0x16, { eax: 0x1000 }).ax, 0x1234);
  });

  it('survives senseless buffer pointers', () => {
    const bench = new Bench();
    for (const [head, tail] of [[0, 0xffff], [0xffff, 0x1f], [0x1f, 0x20], [0x40, 0x1e]]) {
      bench.memory.write16(BDA.keyHead, head);
      bench.memory.write16(BDA.keyTail, tail);
      assert.equal(bench.int(0x16, { eax: 0x0100 }).zero, true);
      bench.type(0x1e, 0x9e);
      assert.equal(bench.int(0x16, { eax: 0x0000 }).ax, 0x1e61);
    }
  });

  it('restarts on Ctrl-Alt-Del and breaks on Ctrl-Break', () => {
    const bench = new Bench();
    bench.type(0x1d, 0x38);
    bench.cpu.registers[Reg.AX] = 0x53;
    bench.enter(Trap.key);
    assert.equal(bench.cpu.eip, rom.labels.get('post'));
    assert.equal(bench.memory.read16(BDA.warmBoot), 0x1234);
    bench.type(0xb8);
    for (const code of [0xe0, 0x46]) {
      bench.cpu.registers[Reg.AX] = code;
      bench.enter(Trap.key);
    }
    assert.equal(bench.cpu.eip, rom.labels.get('keyBreak'));
    assert.equal(bench.memory.read8(BDA.breakFlag), 0x80);
  });
});

describe('INT 08h and 1Ah', () => {
  it('counts ticks over midnight', () => {
    const bench = new Bench();
    const start = bench.int(0x1a, { eax: 0x0000 });
    assert.equal(start.cx * 65536 + start.dx, Math.floor(((4 * 60 + 5) * 60 + 6) * 0x1800b0 / 86400));
    bench.int(0x1a, { eax: 0x0100, ecx: 0x18, edx: 0x00af });
    bench.enter(Trap.tick);
    const after = bench.int(0x1a, { eax: 0x0000 });
    assert.deepEqual([after.cx, after.dx, after.al], [0, 0, 1]);
    assert.equal(bench.int(0x1a, { eax: 0x0000 }).al, 0);
  });

  it('reads and sets the real-time clock', () => {
    const bench = new Bench();
    const time = bench.int(0x1a, { eax: 0x0200 }), date = bench.int(0x1a, { eax: 0x0400 });
    assert.deepEqual([time.cx, time.dx, date.cx, date.dx], [0x0405, 0x0600, 0x2001, 0x0203]);
    bench.int(0x1a, { eax: 0x0300, ecx: 0x2359, edx: 0x5900 });
    bench.int(0x1a, { eax: 0x0500, ecx: 0x1999, edx: 0x1231 });
    bench.clock.advanceSeconds(1);
    assert.deepEqual([bench.int(0x1a, { eax: 0x0400 }).cx, bench.int(0x1a, { eax: 0x0200 }).cx], [0x2000, 0]);
    assert.equal(bench.int(0x1a, { eax: 0x9900 }).carry, true);
  });
});

describe('other services', () => {
  it('INT 14h sends and receives', () => {
    const bench = new Bench();
    bench.int(0x14, { eax: 0x00e3 });
    bench.int(0x14, { eax: 0x0141 });
    assert.deepEqual(bench.serial, [0x41]);
    assert.equal(bench.int(0x14, { eax: 0x0200 }).ah, 0x80);
    bench.uart.receive(text('z'));
    assert.equal(bench.int(0x14, { eax: 0x0200 }).ax, 0x007a);
    assert.equal(bench.int(0x14, { eax: 0x0300, edx: 7 }).ah, 0x80);
  });

  it('reports an exception without handler once, and ends stray interrupts', () => {
    const bench = new Bench();
    bench.memory.write16(0x7b00, 0x1234);
    bench.memory.write16(0x7b02, 0x0050);
    bench.enter(Trap.unexpected + 6);
    bench.enter(Trap.unexpected + 6);
    assert.deepEqual(bench.logged, ['BIOS: invalid opcode at 0050:1234, and the guest has set no handler for vector 06h']);
    bench.pic.ports[0].write(0x21, 0, 1);
    bench.pic.irq[5](true);
    assert.equal(bench.pic.acknowledge(), 0x0d);
    bench.enter(Trap.unexpected + 0x0d);
    bench.pic.ports[0].write(0x20, 0x0b, 1);
    assert.equal(bench.pic.ports[0].read(0x20, 1), 0);
    assert.equal(bench.logged.length, 1);
  });

  it('answers every function with any registers without failing', () => {
    const bench = withDisks();
    let seed = 11;
    const random = (): number => { seed = (seed * 48271) % 2147483647; return ((seed << 3) ^ (seed >> 5)) >>> 0; };
    for (let n = 0; n < 4_000; n++) {
      const vector = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1a][n % 9];
      bench.int(vector, {
        eax: random(), ebx: random(), ecx: random(), edx: (random() & ~0x7f) >>> 0, esi: random(), edi: random(), ebp: random(),
        es: random() & 0xffff, ds: random() & 0xffff,
      });
      if (n % 100 === 0) bench.memory.writeBytes(0x400, Uint8Array.from({ length: 256 }, () => random() & 0xff));
      if (n % 1000 === 0) assert.ok(bench.vga.text()!.rows > 0);
    }
  });
});
