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

  it('boots a hard disk', function () {
    const disk = new Uint8Array(0x400000);
    disk.set(assembleSample('hello.asm').bytes);
    const guest = new PlayedGuest('hello.img', disk, { bios: readGuest(this, 'bios.bin'), vgaBios: readGuest(this, 'vgabios-stdvga.bin'), memoryMiB: 64 });
    guest.untilText('Hello from the first sector!', 5);
  });
});
