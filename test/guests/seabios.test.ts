/** SeaBIOS and its VGA BIOS from Debian in the place of the built-in BIOS: it finds the board's devices by itself. */
import assert from 'node:assert/strict';
import { readGuest } from '../support/guests';
import { assembleSample } from '../samples/guest';
import { PlayedGuest } from './played-guest';

function started(test: Mocha.Context, image: string): PlayedGuest {
  return new PlayedGuest('SeaBIOS', new Uint8Array(), { bios: readGuest(test, image), vgaBios: readGuest(test, 'vgabios-stdvga.bin'), memoryMiB: 64 });
}

describe('SeaBIOS as the user\'s BIOS', () => {
  for (const image of ['bios.bin', 'bios-256k.bin']) {
    it(`${image} greets on the screen and in the log`, function () {
      const guest = started(this, image).untilText('SeaBIOS (version 1.16.2', 1);
      assert.match(guest.logged.join('\n'), /BIOS: SeaBIOS \(version 1\.16\.2/);
      assert.match(guest.logged.join('\n'), /Running on QEMU \(i440fx\)/);
      assert.match(guest.logged.join('\n'), /qemu\/e820: addr 0x0000000000000000 len 0x0000000004000000 \[RAM\]/);
      guest.untilText('No bootable device', 5);
    });
  }

  it('starts the other processors, and puts the ACPI tables into place', function () {
    const guest = new PlayedGuest('SeaBIOS', new Uint8Array(), { bios: readGuest(this, 'bios-256k.bin'), vgaBios: readGuest(this, 'vgabios-stdvga.bin'), memoryMiB: 64, processors: 3 });
    guest.untilText('SeaBIOS (version 1.16.2', 2);
    assert.match(guest.logged.join('\n'), /Found 3 cpu\(s\) max supported 3 cpu\(s\)/);
    const { bytes } = guest.machine.readMemory('physical', 0xf0000, 0x10000);
    const at = Array.from({ length: 0x1000 }, (_, n) => 16 * n).find((offset) => String.fromCharCode(...bytes.subarray(offset, offset + 8)) === 'RSD PTR ')!;
    assert.equal(bytes.subarray(at, at + 36).reduce((sum, byte) => (sum + byte) & 0xff, 0), 0);
    const rsdt = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(16, true);
    const table = guest.machine.readMemory('physical', rsdt, 48).bytes;
    assert.equal(String.fromCharCode(...table.subarray(0, 4)), 'RSDT');
    assert.equal(table.reduce((sum, byte) => (sum + byte) & 0xff, 0), 0);
  });

  it('boots a hard disk', function () {
    const disk = new Uint8Array(0x400000);
    disk.set(assembleSample('hello.asm').bytes);
    const guest = new PlayedGuest('hello.img', disk, { bios: readGuest(this, 'bios.bin'), vgaBios: readGuest(this, 'vgabios-stdvga.bin'), memoryMiB: 64 });
    guest.untilText('Hello from the first sector!', 5);
  });

  it('boots a virtio disk, by its own driver', function () {
    const disk = new Uint8Array(0x400000);
    disk.set(assembleSample('hello.asm').bytes);
    const guest = new PlayedGuest('SeaBIOS', new Uint8Array(), { bios: readGuest(this, 'bios-256k.bin'), vgaBios: readGuest(this, 'vgabios-stdvga.bin'), memoryMiB: 64, virtioDisks: [disk] });
    guest.untilText('Hello from the first sector!', 5);
  });
});
