/** Virtio devices on the whole board: present when configured, found through PCI, shown in the Devices view, refused with a reason. */
import assert from 'node:assert/strict';
import type { MachineConfiguration } from '../../protocol/messages';
import { program } from '../../../test/support/guest';
import { createMachine } from './machine';
import type { MachineApi } from './api';

/** Halts after it has stored vendor and device of slots 4 to 8 at 600h. */
const scan = program(`bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov di, 0x600
  mov ebx, 0x80002000
  mov cx, 5
next:
  mov eax, ebx
  mov dx, 0xcf8
  out dx, eax
  mov dx, 0xcfc
  in eax, dx
  mov [di], eax
  add di, 4
  add ebx, 0x800
  loop next
  hlt`).bytes;

function machine(options: Partial<MachineConfiguration>): MachineApi {
  return createMachine({ name: 'scan', image: scan, boot: 'flat', memoryMiB: 4, mmu: 'shadow', pace: 'max', ...options }, { serial: () => undefined, debugPort: () => undefined, log: () => undefined });
}

function devices(options: Partial<MachineConfiguration>): number[] {
  const guest = machine(options);
  guest.run(100_000);
  const { bytes } = guest.readMemory('physical', 0x600, 20);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [0, 1, 2, 3, 4].map((n) => view.getUint32(4 * n, true));
}

const sharedFolder = { tag: 'work', files: [{ path: 'a', bytes: Uint8Array.of(1) }] };
const all: Partial<MachineConfiguration> = { virtioDisks: [new Uint8Array(512), new Uint8Array(1024)], virtioConsole: true, network: 'loopback', sharedFolder };

describe('machine: virtio', () => {
  it('has the devices that are configured, in slots from 4 on, and no others', () => {
    const none = 0xffffffff, device = (type: number): number => ((0x1040 + type) * 0x10000 + 0x1af4);
    assert.deepEqual(devices({}), [none, none, none, none, none]);
    assert.deepEqual(devices({ network: 'none' })[0], none);
    assert.deepEqual(devices(all), [device(2), device(2), device(3), device(1), device(9)]);
    assert.deepEqual(devices({ virtioConsole: true })[0], device(3));
  });

  it('shows their registers', () => {
    const guest = machine(all);
    const shown = guest.devices().filter(({ id }) => id.startsWith('virtio'));
    assert.equal(shown.length, 5);
    assert.equal(new Set(shown.map(({ id }) => id)).size, 5);
    for (const { registers } of shown) for (const { name, value = 0, bits } of registers) assert.ok(value >= 0 && value < 2 ** bits, name);
    assert.equal(shown[0].registers.find(({ name }) => name === 'num_queues')?.value, 1);
  });

  it('starts over with a reset', () => {
    const guest = machine(all);
    guest.run(100_000);
    guest.reset();
    guest.run(100_000);
    assert.equal(guest.awaitsHost, false);
    assert.equal(guest.serialInput(4, Uint8Array.of(1, 2)), 2);
    assert.equal(machine({}).serialInput(4, Uint8Array.of(1, 2)), 2, 'without a console nobody listens');
  });

  it('refuses what it cannot be with the field\'s name', () => {
    assert.throws(() => machine({ sharedFolder: { ...sharedFolder, tag: '' } }), /sharedFolder: the tag has 0 bytes/);
    assert.throws(() => machine({ sharedFolder: { ...sharedFolder, files: [{ path: '../a' }] } }), /sharedFolder: "\.\.\/a" is no path/);
    assert.throws(() => machine({ virtioDisks: new Array<Uint8Array>(9).fill(new Uint8Array(512)) }), /virtioDisks: there are 9/);
    assert.throws(() => machine({ network: 'moon' as 'none' }), /network is 'moon'/);
  });
});
