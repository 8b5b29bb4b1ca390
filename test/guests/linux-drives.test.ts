/** Debian's i386 kernel with its own drivers for the drives: ata_piix with bus-master DMA for disks, ATAPI for the CD, and the floppy driver. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpioArchive } from '../../tools/lib/cpio.mjs';
import { readGuest } from '../support/guests';
import { isoImage } from '../support/iso';
import { SerialGuest } from '../support/serial-guest';
import { randomSource } from '../support/guest';

/** In the order in which they need each other. */
const modules = [
  'crct10dif_common', 'crct10dif_generic', 'crc-t10dif', 'crc64', 'crc64_rocksoft_generic', 'crc64-rocksoft', 't10-pi', 'scsi_common', 'scsi_mod', 'libata', 'ata_piix', 'sd_mod', 'cdrom', 'sr_mod',
  'isofs', 'floppy',
] as const;

function random(bytes: number, seed: number): Uint8Array {
  const source = randomSource(seed);
  return Uint8Array.from({ length: bytes }, () => source(256));
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

describe('Linux\'s drivers', () => {
  it('find the drives, read all of them, write the disk and mount the CD', function () {
    const kernel = readGuest(this, 'vmlinuz-686'), root = readGuest(this, 'initramfs-i386');
    // The kernel unpacks one archive after the other.
    const drivers = cpioArchive([{ path: 'm', directory: true }, ...modules.map((name) => ({ path: `m/${name}.ko`, bytes: readGuest(this, `${name}.ko`) }))]);
    const padding = Buffer.alloc((4 - (root.length % 4)) % 4);
    const disk = random(1 << 20, 1), floppy = random(1440 * 1024, 2), text = random(300_000, 3);
    const guest = new SerialGuest('vmlinuz', kernel, {
      memoryMiB: 256, initrd: Buffer.concat([root, padding, drivers]), commandLine: 'console=ttyS0 cryptomgr.notests', hardDisk: disk, floppy, cdrom: isoImage({ 'DATA/TEXT.BIN': text }),
    });
    guest.untilText('guest# ', 120);
    const answer = (command: string): string => {
      guest.type(`${command}\n`);
      return guest.untilText('guest# ', 60).split('\n').slice(1).join('\n');
    };
    answer('dmesg -n 1');
    for (const name of modules) assert.doesNotMatch(answer(`insmod /m/${name}.ko`), /can't insert/);
    answer('sleep 1');
    const messages = answer('dmesg | grep -E "ata[0-9]|sd |sr |scsi|[Ff]loppy|fd0"');
    assert.match(messages, /ata1\.00: ATA-6: Ringside hard disk, 1\.0, max UDMA\/100/);
    assert.match(messages, /ata2\.00: ATAPI: Ringside CD-ROM, 1\.0/);
    assert.doesNotMatch(messages, /exception|failed command|timeout|lost interrupt/i);
    assert.match(answer('md5sum /dev/sda'), new RegExp(md5(disk)));
    const written = text.subarray(0, 512 * 400);
    answer('mkdir /cd; mount -t iso9660 /dev/sr0 /cd');
    assert.match(answer('md5sum /cd/data/text.bin'), new RegExp(md5(text)));
    answer('dd if=/cd/data/text.bin of=/dev/sda bs=512 seek=100 count=400 conv=fsync; echo 3 > /proc/sys/vm/drop_caches');
    assert.match(answer('dd if=/dev/sda bs=512 skip=100 count=400 2>/dev/null | md5sum'), new RegExp(md5(written)));
    const changed = guest.machine.changedDrive('hardDisk')!;
    assert.equal(md5(changed.subarray(51200, 51200 + written.length)), md5(written));
    assert.match(answer('dd if=/dev/fd0 bs=18k count=10 2>/dev/null | md5sum'), new RegExp(md5(floppy.subarray(0, 180 * 1024))));
    assert.doesNotMatch(answer('dmesg | tail -40'), /exception|failed command|timeout|lost interrupt|I\/O error/i);
    // The floppy driver without DMA: it moves each byte when the controller asks for it by an interrupt.
    assert.doesNotMatch(answer('/bin/busybox rmmod floppy && insmod /m/floppy.ko floppy=nodma'), /can't/);
    answer('sleep 1; echo 3 > /proc/sys/vm/drop_caches');
    assert.match(answer('dd if=/dev/fd0 bs=18k skip=3 count=2 2>/dev/null | md5sum'), new RegExp(md5(floppy.subarray(54 * 1024, 90 * 1024))));
    answer('dd if=/cd/data/text.bin of=/dev/fd0 bs=512 seek=36 count=36 conv=fsync');
    assert.equal(md5(guest.machine.changedDrive('floppy')!.subarray(36 * 512, 72 * 512)), md5(text.subarray(0, 36 * 512)));
    assert.doesNotMatch(answer('dmesg | tail -40'), /exception|failed command|timeout|lost interrupt|long rw|I\/O error/i);
    guest.type('poweroff -f\n');
    guest.untilEnd(20);
  }).timeout(240_000);
});
