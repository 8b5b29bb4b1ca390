/** GRUB and ISOLINUX from Debian on CDs, diskettes and hard disks, by the built-in BIOS and by SeaBIOS (which reaches the drives through their controllers), driven by the keyboard. */
import assert from 'node:assert/strict';
import { scancodesForText } from '../../src/protocol/keys';
import type { MachineConfiguration } from '../../src/protocol/messages';
import { readGuest } from '../support/guests';
import { isoImage } from '../support/iso';
import { PlayedGuest } from './played-guest';

/** Boot loaders poll the keyboard and wait by the clock: a slow clock makes the waiting short. */
const slow = { memoryMiB: 32, instructionsPerSecond: 20e6 } as const;

function type(guest: PlayedGuest, text: string): PlayedGuest {
  const { scancodes } = scancodesForText(text);
  // A keyboard has room for 16 bytes; people type more slowly than that.
  for (const code of scancodes) {
    guest.machine.keyboard([code]);
    guest.run(0.02);
  }
  return guest;
}

/** The CD's image is a hybrid one, which boots from hard disks as well. */
const grubDrives = [
  { image: 'grub-rescue-cdrom.iso', where: 'a CD', drive: 'cdrom', name: '(cd)' }, { image: 'grub-rescue-floppy.img', where: 'a diskette', drive: 'floppy', name: '(fd0)' },
  { image: 'grub-rescue-cdrom.iso', where: 'a hard disk', drive: 'hardDisk', name: '(hd0)' },
] as const;

describe('GRUB', () => {
  for (const { image, where, drive, name } of grubDrives) {
    it(`starts from ${where}, shows its menu and answers commands`, function () {
      const guest = new PlayedGuest(image, new Uint8Array(), { ...slow, [drive]: readGuest(this, image) }).untilText('GNU/Linux', 10);
      assert.match(guest.text, /GNU GRUB {2}version 2\.06-13\+deb12u2/);
      guest.press('ArrowDown').untilText('*GNU (aka GNU/Hurd)', 2);
      guest.press('KeyC').untilText('grub>', 3);
      type(guest, 'echo ring side\n').until('what was echoed', (lines) => lines.includes('ring side'), 2);
      type(guest, 'ls\n').untilText(name, 3);
      assert.deepEqual(guest.logged, []);
    });
  }
});

/** A CD that ISOLINUX boots into its menu. */
function isolinuxCd(test: Mocha.Context): Uint8Array {
  const module = (name: string) => [`ISOLINUX/${name.toUpperCase()}`, readGuest(test, name)] as const;
  const configuration = 'UI menu.c32\nMENU TITLE A menu of ours\nLABEL one\n  MENU LABEL First entry\n  COM32 cpuid.c32\nLABEL two\n  MENU LABEL Second entry\n  LOCALBOOT -1\n';
  return isoImage({
    ...Object.fromEntries(['ldlinux.c32', 'menu.c32', 'libutil.c32', 'libcom32.c32', 'cpuid.c32'].map(module)),
    'ISOLINUX/ISOLINUX.CFG': new TextEncoder().encode(configuration),
  }, { bytes: readGuest(test, 'isolinux.bin'), informationTable: true });
}

describe('ISOLINUX', () => {
  it('shows its menu, and runs what is chosen', function () {
    const guest = new PlayedGuest('menu.iso', isolinuxCd(this), slow).untilText('Second entry', 5);
    assert.match(guest.text, /│ +A menu of ours +│/);
    // The module complains, which shows that it was loaded from the CD and run.
    guest.press('ArrowDown').press('ArrowUp').press('Enter').untilText('Usage: cpuid.c32 leaf [counter]', 3);
    assert.deepEqual(guest.logged, []);
  });

  it('gives up the CD for the next boot device', function () {
    const guest = new PlayedGuest('menu.iso', isolinuxCd(this), slow).untilText('Second entry', 5);
    guest.press('ArrowDown').press('Enter').untilText('No bootable device.', 5);
  });
});

describe('SeaBIOS, through the controllers', () => {
  const started = (test: Mocha.Context, drives: Partial<MachineConfiguration>): PlayedGuest =>
    new PlayedGuest('SeaBIOS', new Uint8Array(), { ...slow, ...drives, bios: readGuest(test, 'bios-256k.bin'), vgaBios: readGuest(test, 'vgabios-stdvga.bin') });

  it('boots GRUB from the CD', function () {
    const guest = started(this, { cdrom: readGuest(this, 'grub-rescue-cdrom.iso') }).untilText('GNU/Linux', 20);
    assert.match(guest.logged.join('\n'), /DVD\/CD \[ata1-0: Ringside CD-ROM ATAPI-6 DVD\/CD\]/);
    guest.press('KeyC').untilText('grub>', 3);
    type(guest, 'ls\n').untilText('(cd)', 3);
  });

  it('boots GRUB from the hard disk', function () {
    const guest = started(this, { hardDisk: readGuest(this, 'grub-rescue-cdrom.iso') }).untilText('GNU/Linux', 20);
    assert.match(guest.logged.join('\n'), /ata0-0: Ringside hard disk ATA-6 Hard-Disk \(4 MiBytes\)/);
    guest.press('KeyC').untilText('grub>', 3);
    type(guest, 'ls\n').untilText('(hd0)', 3);
  });

  it('boots GRUB from the diskette', function () {
    const guest = started(this, { floppy: readGuest(this, 'grub-rescue-floppy.img') }).untilText('GNU/Linux', 60);
    assert.match(guest.logged.join('\n'), /Booting from Floppy/);
  });

  it('boots ISOLINUX from the CD', function () {
    started(this, { cdrom: isolinuxCd(this) }).untilText('Second entry', 20);
  });
});
