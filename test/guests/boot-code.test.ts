/** Boot code of SYSLINUX and GRUB on disks without an operating system, and SYSLINUX's programs that show what a BIOS does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { ringside } from '../cli/ringside';
import { guestFile, readGuest } from '../support/guests';
import { PlayedGuest } from './played-guest';

const LONGEST_SECONDS = 5;
const SECTOR_BYTES = 512;

/** The boot code in the first sector of a disk that has nothing else, no partitions either. */
function installed(code: Uint8Array, sectors: number): Uint8Array {
  const disk = new Uint8Array(sectors * SECTOR_BYTES);
  disk.set(code);
  disk.set([0x55, 0xaa], SECTOR_BYTES - 2);
  return disk;
}

describe('boot code from Debian packages, on a disk without an operating system', () => {
  const messages: readonly (readonly [guest: string, sectors: number, message: RegExp])[] = [
    ['mbr.bin', 4096, /^Missing operating system\.$/m],
    ['altmbr.bin', 4096, /^Missing operating system\.$/m],
    ['gptmbr.bin', 4096, /^Missing OS$/m],
    // GRUB's next sector is not there at all: it would run whatever it holds.
    ['boot.img', 1, /^GRUB Read Error$/m],
  ];
  for (const [name, sectors, message] of messages) {
    it(`${name} says so, and gives up`, function () {
      const guest = new PlayedGuest(name, installed(readGuest(this, name), sectors)).run(LONGEST_SECONDS);
      assert.match(guest.text, message);
      // INT 18h: back to the BIOS, which has nothing else to boot.
      assert.match(guest.text, /No bootable device\./);
      assert.equal(guest.ended, 'halted');
      assert.deepEqual(guest.logged, []);
    });
  }

  for (const name of ['mbr.bin', 'altmbr.bin', 'boot.img']) {
    it(`${name} says so from the command line, as the file that it is`, async function () {
      readGuest(this, name);
      const { status, stdout, stderr } = await ringside(['run', guestFile(name).path!, '--timeout', '20']);
      assert.match(stdout, name === 'boot.img' ? /GRUB Read Error/ : /Missing operating system\./, stderr);
      assert.equal(status, 0);
    });
  }

  it('lnxboot.img is refused as a Linux loader without a kernel behind it', async function () {
    readGuest(this, 'lnxboot.img');
    const { status, stderr } = await ringside(['run', guestFile('lnxboot.img').path!]);
    assert.equal(status, 2);
    assert.match(stderr, /lnxboot\.img: setup_sects is 1, .*no kernel behind/);
  });

  it('cdboot.img misses the boot information of a CD', function () {
    assert.match(new PlayedGuest('cdboot.img', readGuest(this, 'cdboot.img')).run(0.1).text, /no boot info/);
  });
});

describe('what SYSLINUX finds out about the BIOS', () => {
  it('handoff.bin: the registers of a boot sector', function () {
    const guest = new PlayedGuest('handoff.bin', readGuest(this, 'handoff.bin')).run(0.5);
    assert.match(guest.text, /^DL: 80 {2}DS: 0000 {2}SI: 0000$/m);
    assert.match(guest.text, /^ES: 0000 {2}DI: 0000$/m);
    assert.match(guest.text, /^Press any key$/m);
  });

  it('geodsp: sectors by cylinder, head and sector, and by number', function () {
    readGuest(this, 'geodsp1s.img.xz');
    const { error, stdout } = spawnSync('xz', ['--decompress', '--stdout', guestFile('geodsp1s.img.xz').path!], { maxBuffer: 32 << 20 });
    if (error) {
      console.log(`      geodsp1s.img.xz: cannot be decompressed: ${error.message}`);
      return this.skip();
    }
    // Every sector holds its number. 16,129 sectors are 16 cylinders of 16 heads and 63 sectors, and one sector more.
    const guest = new PlayedGuest('geodsp1s.img', new Uint8Array(stdout)).run(1);
    assert.deepEqual(guest.lines.filter((line) => line !== ''), [
      '80CHS 000F,0F,3F', '@CHS 0000,01,01:0000003F', '@CHS 0001,00,01:000003F0', '@EDD 0000003F:0000003F', '@EDD 00003EC1:00003EC1', 'D=EDD', 'end',
    ]);
  });
});
