import { strict as assert } from 'node:assert';
import { MachineError } from '../api';
import type { BootState, MemoryChunk } from './boot-state';
import { loadLinux, type LinuxOptions } from './linux';
import { linuxImage, type LinuxImageSpec } from './test-linux-image';
import { IDENTITY_MAP_BYTES } from './long-mode';
import { memoryMap } from './memory-map';

const MiB = 0x100000;
const RAM = 64 * MiB;

function load(spec: LinuxImageSpec = {}, options: Partial<LinuxOptions> = {}): BootState {
  return loadLinux({ file: 'vmlinuz', bytes: linuxImage(spec), ramBytes: RAM, ...options });
}

function error(call: () => unknown, pattern: RegExp): void {
  assert.throws(call, (e: unknown) => {
    assert.ok(e instanceof MachineError, String(e));
    assert.match(e.message, /^vmlinuz: /);
    assert.match(e.message, pattern);
    assert.ok(e.advice);
    return true;
  });
}

function chunk(state: BootState, what: string): MemoryChunk {
  return state.chunks.find((one) => one.what === what) ?? assert.fail(`no chunk "${what}" among ${state.chunks.map((one) => one.what).join(', ')}`);
}

function zeroPage(state: BootState): DataView {
  const { bytes } = chunk(state, 'zero page');
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

describe('Linux loader', () => {
  it('enters the kernel in 32-bit protected mode with ESI at the zero page', () => {
    const state = load({ fields: { prefAddress: 16 * MiB, initSize: MiB } });
    const { registers } = state;
    assert.ok(registers);
    assert.deepEqual([state.kind, registers.eip, registers.eflags, registers.cr0, registers.efer], ['linux', 16 * MiB, 2, 0x11, undefined]);
    assert.deepEqual(registers.general, [0, 0, 0, 0, 0x10000, 0, chunk(state, 'zero page').address, 0]);
    assert.deepEqual(registers.segments.map(({ selector, limit }) => [selector, limit]), [0x18, 0x10, 0x18, 0x18, 0x18, 0x18].map((selector) => [selector, 0xffffffff]));
    const table = chunk(state, 'descriptor table');
    assert.deepEqual(registers.gdtr, { base: table.address, limit: table.bytes.length - 1 });
    assert.equal(new DataView(table.bytes.buffer).getBigUint64(0x10, true), 0x00cf9b000000ffffn);
    assert.deepEqual([chunk(state, 'vmlinuz').address, chunk(state, 'vmlinuz').bytes.length], [16 * MiB, 0x3000]);
  });

  it('fills the zero page: setup header, memory map, text screen', () => {
    const state = load({ fields: { prefAddress: 16 * MiB, initSize: MiB } }, { commandLine: 'console=ttyS0', initrd: new Uint8Array(5000).fill(7) });
    const view = zeroPage(state);
    assert.equal(view.getUint32(0x202, true), 0x53726448);
    assert.deepEqual([view.getUint8(0x210), view.getUint8(0x211), view.getUint32(0x214, true)], [0xff, 0x81, 16 * MiB]);
    const ramdisk = chunk(state, 'initial ramdisk');
    assert.deepEqual([view.getUint32(0x218, true), view.getUint32(0x21c, true)], [ramdisk.address, 5000]);
    assert.equal(ramdisk.address, RAM - 2 * 4096);
    const line = chunk(state, 'command line');
    assert.equal(view.getUint32(0x228, true), line.address);
    assert.equal(new TextDecoder().decode(line.bytes), 'console=ttyS0\0');
    const map = memoryMap(RAM);
    assert.equal(view.getUint8(0x1e8), map.length);
    map.forEach(({ base, bytes, type }, n) => {
      const at = 0x2d0 + 20 * n;
      assert.deepEqual([Number(view.getBigUint64(at, true)), Number(view.getBigUint64(at + 8, true)), view.getUint32(at + 16, true)], [base, bytes, type]);
    });
    assert.deepEqual([view.getUint8(6), view.getUint8(7), view.getUint8(14), view.getUint8(15), view.getUint16(16, true)], [3, 80, 25, 1, 16]);
    // Nothing of the image outside the header: the sentinel at 1EFh has to be zero.
    assert.equal(view.getUint8(0x1ef), 0);
  });

  it('moves a relocatable kernel down when its preferred place is not there, and keeps the ramdisk off the kernel', () => {
    const spec = { fields: { prefAddress: 128 * MiB, initSize: 8 * MiB, kernelAlignment: 4 * MiB } };
    assert.equal(load(spec).registers?.eip, 4 * MiB);
    error(() => load(spec, { ramBytes: 8 * MiB }), /init_size/);
    error(() => load({ ...spec, relocatable: false }), /128|0x8000000/);
    error(() => load(spec, { initrd: new Uint8Array(53 * MiB) }), /initial ramdisk \(55574528 bytes\)/);
    error(() => load({ fields: { ...spec.fields, initrdAddrMax: 0xbfffff } }, { initrd: new Uint8Array(4096) }), /initrd_addr_max/);
    assert.equal(chunk(load({ fields: { initSize: MiB, prefAddress: MiB, initrdAddrMax: 0xffffff } }, { initrd: new Uint8Array(4096) }), 'initial ramdisk').address, 16 * MiB - 4096);
  });

  it('enters at startup_64 with memory mapped one to one when asked', () => {
    const state = load({ xloadflags: 1, fields: { prefAddress: 16 * MiB, initSize: MiB } }, { entry: 'long' });
    const { registers } = state;
    const tables = chunk(state, 'page tables');
    assert.deepEqual([registers?.eip, registers?.cr3, registers?.cr4, registers?.efer, registers?.cr0], [16 * MiB + 0x200, tables.address, 0x20, 0x500, 0x80000011]);
    assert.equal(registers?.segments[1].attributes, 0xa09b);
    assert.equal(tables.bytes.length, IDENTITY_MAP_BYTES);
    const view = new DataView(tables.bytes.buffer);
    for (const address of [0, 16 * MiB, 0xffe00000]) {
      const pdpte = view.getUint32(view.getUint32(0, true) - 3 - tables.address + 8 * Math.floor(address / 2 ** 30), true);
      assert.equal(view.getUint32(pdpte - 3 - tables.address + 8 * ((address >>> 21) & 511), true), (address | 0x83) >>> 0);
    }
    error(() => load({}, { entry: 'long' }), /no 64-bit entry/);
    error(() => load({ xloadflags: 1, bytes: 0x200 }, { entry: 'long' }), /has only 512 bytes/);
  });

  it('starts the real-mode set-up code of images that have nothing else', () => {
    for (const spec of [{ version: 0x0207 }, { version: 0x0202, relocatable: false }, { version: 0x020b }]) {
      const state = load(spec, { commandLine: 'x' });
      const setup = chunk(state, 'vmlinuz set-up code');
      assert.deepEqual([setup.address, state.registers?.eip, state.registers?.segments[1].base], [0x80000, 0, 0x80200]);
      assert.equal(new DataView(setup.bytes.buffer).getUint32(0x228, true), chunk(state, 'command line').address);
      assert.equal(chunk(state, 'vmlinuz').address, MiB);
    }
    assert.equal(load({ version: 0x0208, fields: { payloadLength: 5 } }).registers?.eip, MiB);
    assert.equal(chunk(load({ version: 0x0202, loadflags: 0 }), 'vmlinuz').address, 0x10000);
    error(() => load({ version: 0x0202, loadflags: 0, bytes: 0x71000 }), /LOADED_HIGH/);
  });

  it('names the field that is wrong', () => {
    const damaged = (patch: (view: DataView) => void, length?: number): (() => BootState) => () => {
      const bytes = linuxImage().slice(0, length);
      patch(new DataView(bytes.buffer));
      return loadLinux({ file: 'vmlinuz', bytes, ramBytes: RAM });
    };
    const nothing = (): void => undefined;
    error(damaged((v) => v.setUint16(0x206, 0x0201, true)), /boot protocol 2\.01/);
    error(damaged((v) => v.setUint16(0x1fe, 0, true)), /boot_flag is 0x0/);
    error(damaged((v) => v.setUint8(0x1f1, 200)), /setup_sects is 200/);
    error(damaged((v) => v.setUint8(0x1f1, 60)), /setup_sects is 60, but the file ends/);
    error(damaged((v) => v.setUint8(0x201, 2)), /jump at 0x200/);
    error(damaged((v) => v.setUint32(0x230, 0x3000, true)), /kernel_alignment is 0x3000/);
    error(damaged((v) => v.setUint32(0x25c, 1, true)), /pref_address/);
    error(damaged((v) => v.setUint32(0x260, 0xffffffff, true)), /init_size/);
    error(damaged(nothing, 0x210), /ends inside the setup header/);
    error(damaged(nothing, 0x600), /no kernel behind the set-up code/);
    error(() => load({}, { commandLine: 'x'.repeat(2048) }), /at most 2047 characters/);
    error(() => load({ version: 0x0202 }, { commandLine: 'x'.repeat(256) }), /at most 255/);
    assert.ok(load({}, { commandLine: 'x'.repeat(2047) }));
  });
});
