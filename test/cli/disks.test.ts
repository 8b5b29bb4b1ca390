/** Disks and CDs on the command line: booted, left alone, and written back when asked. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { openDisk } from '../../src/vmm/machine/images/open';
import { descriptor, qcow2Image, vdiImage } from '../support/disk-images';
import { program } from '../support/guest';
import { isoImage } from '../support/iso';
import { writingSource } from '../support/writing-guest';
import { bootSector, inFolder, ringside } from './ringside';

const writer = program(writingSource()).bytes;

const raw = new Uint8Array(64 * 512);
raw.set(writer);
const vdi = vdiImage([0x11, 'free', 'zero', 'free']);
vdi.set(writer, 1024);

/** The first byte of sector 9. */
const ninth = (file: string): number => openDisk({ file, bytes: new Uint8Array(fs.readFileSync(file)) }).disk.read(9, 1)[0];

describe('ringside run: disks', () => {
  for (const [name, image] of [['disk.img', raw], ['disk.vdi', vdi]] as const) {
    it(`leaves ${name} as it is, and writes it back when asked`, async () => {
      await inFolder({ [name]: image }, async (folder) => {
        const file = path.join(folder, name);
        const { status, stdout, stderr } = await ringside(['run', file, '--screen', 'none']);
        assert.deepEqual([status, stdout], [0, 'AW'], stderr);
        assert.deepEqual(new Uint8Array(fs.readFileSync(file)), image);
        const again = await ringside(['run', '--hda', file, '--screen', 'none', '--write-back']);
        assert.equal(again.stdout, 'AW');
        assert.match(again.stderr, new RegExp(`${name.replace('.', '\\.')} was written back`));
        assert.equal(ninth(file), 0x42);
        assert.deepEqual(fs.readdirSync(folder), [name], 'nothing else is left');
      });
    });
  }

  it('boots from a virtio disk, which is a hard disk behind the others', async () => {
    await inFolder({ 'disk.vdi': vdi, 'data.img': new Uint8Array(8 * 512) }, async (folder) => {
      const file = (name: string): string => path.join(folder, name);
      const { stdout, stderr } = await ringside(['run', '--virtio-disk', file('disk.vdi'), '--screen', 'none', '--write-back']);
      assert.equal(stdout, 'AW', stderr);
      assert.equal(ninth(file('disk.vdi')), 0x42);
      const second = await ringside(['run', '--hda', file('data.img'), '--virtio-disk', file('disk.vdi')]);
      assert.match(second.stdout, /not a bootable disk \(no 55AA signature\)/);
    });
  });

  it('writes back through a link, with the file\'s rights, and not over another file', async () => {
    await inFolder({ 'disk.img': raw, 'disk.img.new': 'mine' }, async (folder) => {
      const file = (name: string): string => path.join(folder, name);
      fs.chmodSync(file('disk.img'), 0o640);
      fs.symlinkSync('disk.img', file('link.img'));
      const { stderr } = await ringside(['run', file('link.img'), '--screen', 'none', '--write-back']);
      assert.match(stderr, /link\.img was written back/);
      assert.equal(ninth(file('disk.img')), 0x42);
      assert.deepEqual([fs.lstatSync(file('link.img')).isSymbolicLink(), fs.statSync(file('disk.img')).mode & 0o777, fs.readFileSync(file('disk.img.new'), 'utf8')], [true, 0o640, 'mine']);
      assert.deepEqual(fs.readdirSync(folder).sort(), ['disk.img', 'disk.img.new', 'link.img']);
    });
  });

  it('names the file that cannot be written back, and writes the others', async () => {
    await inFolder({ 'gone.img': raw, 'other.img': raw, 'both.bin': program(writingSource('inc byte [done]\n inc dl\n cmp byte [done], 2\n jne again\n cli\n hlt\nagain: jmp 0x7c00\ndone: db 0')).bytes }, async (folder) => {
      const file = (name: string): string => path.join(folder, name);
      const running = ringside(['run', file('both.bin'), '--load-address', '0x7c00', '--hda', file('gone.img'), '--hdb', file('other.img'), '--screen', 'none', '--write-back', '--serial', file('begun')]);
      for (const end = Date.now() + 30_000; !fs.existsSync(file('begun')); await new Promise((resolve) => setTimeout(resolve, 5))) assert.ok(Date.now() < end);
      fs.rmSync(file('gone.img'));
      const { status, stdout, stderr } = await running;
      assert.deepEqual([status, stdout], [2, 'AWAW']);
      assert.match(stderr, /gone\.img cannot be written back: it does not exist/);
      assert.equal(ninth(file('other.img')), 0x42);
    });
  });

  it('refuses to write to what can only be read, before anything runs', async () => {
    await inFolder({ 'disk.qcow2': qcow2Image([0x41]) }, async (folder) => {
      const { status, stdout, stderr } = await ringside(['run', path.join(folder, 'disk.qcow2'), '--write-back']);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, /disk\.qcow2 is a qcow2 image, which can only be read[^]*qemu-img convert -O vdi/);
    });
  });

  it('names file and field of a damaged image, and the file that is missing beside it', async () => {
    await inFolder({ 'bad.vdi': vdiImage([0x11], { type: 7 }), 'child.qcow2': qcow2Image(['free', 'free'], { backing: 'base.img' }), 'far.vmdk': descriptor([['FLAT', 8, '../x.img', 0]]) }, async (folder) => {
      const file = (name: string): string => path.join(folder, name);
      for (const [parameters, reason] of [
        [['--hda', file('bad.vdi')], /bad\.vdi: VDI image: the image type is 7/], [[file('bad.vdi')], /bad\.vdi: VDI image: the image type is 7/],
        [['--hda', file('child.qcow2')], /base\.img cannot be read: it does not exist/], [[file('child.qcow2')], /base\.img cannot be read/],
        [['--hdb', file('far.vmdk'), file('bad.vdi')], /far\.vmdk: VMDK image: an extent is "\.\.\/x\.img", which is no plain file name/],
      ] as const) {
        const { status, stderr } = await ringside(['run', ...parameters]);
        assert.equal(status, 2);
        assert.match(stderr, reason);
      }
    });
  });

  it('boots from the files beside an image that it names, and from a backing image given by hand', async () => {
    const files = {
      'child.qcow2': qcow2Image(['free', 'free'], { backing: 'disk.vmdk' }), 'disk.vmdk': descriptor([['FLAT', 64, 'disk-flat.vmdk', 0]], { createType: 'monolithicFlat' }), 'disk-flat.vmdk': raw,
      'far.qcow2': qcow2Image(['free', 'free'], { backing: '/nowhere/base.img' }),
    };
    await inFolder(files, async (folder) => {
      const file = (name: string): string => path.join(folder, name);
      for (const parameters of [[file('disk.vmdk')], [file('child.qcow2')], ['--hda', file('child.qcow2')], ['--hda', file('far.qcow2'), '--hda-backing', file('disk.vmdk')], [file('far.qcow2'), '--hda-backing', file('disk.vmdk')]]) {
        const { stdout, stderr } = await ringside(['run', ...parameters, '--screen', 'none']);
        assert.equal(stdout, 'AW', `${parameters.join(' ')}: ${stderr}`);
      }
    });
  });
});

describe('ringside run: CDs', () => {
  const cd = isoImage({}, { bytes: program(bootSector(`mov al, dl\n and al, 0x5f\n out 0xe9, al\n mov al, '!'\n out 0xe9, al\n cli\n hlt`)).bytes, sectors: 1 });

  it('boots one by its name and one in the drive', async () => {
    await inFolder({ 'disc.iso': cd }, async (folder) => {
      const file = path.join(folder, 'disc.iso');
      for (const parameters of [[file], ['--cdrom', file]]) {
        const { status, stdout } = await ringside(['run', ...parameters, '--screen', 'none']);
        assert.deepEqual([status, stdout], [0, '@!'], 'DL is E0h');
      }
    });
  });
});
