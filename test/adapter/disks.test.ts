/** What a guest writes to its disks: kept when the launch configuration says so, saved by request, never lost silently. */
import assert from 'node:assert/strict';
import { openDisk } from '../../src/vmm/machine/images/open';
import { qcow2Image, vdiImage } from '../support/disk-images';
import { program } from '../support/guest';
import { writingSource } from '../support/writing-guest';
import { mainPath, withSession } from './support';

const disk = (then?: string): Uint8Array => {
  const bytes = new Uint8Array(64 * 512);
  bytes.set(program(writingSource(then)).bytes);
  return bytes;
};
const raw = disk(), endless = disk('jmp $');
const vdi = vdiImage([0x11, 'free']);
vdi.set(raw.subarray(0, 512), 1024);
const files = {
  [mainPath]: '', '/project/disk.img': raw, '/project/disk.vdi': vdi, '/locked/disk.img': raw, '/project/endless.img': endless, '/project/code.bin': program(writingSource()).bytes,
  '/project/child.qcow2': qcow2Image(['free', 'free'], { backing: 'endless.img' }),
};
const ninth = (bytes: Uint8Array): number => openDisk({ file: 'x', bytes }).disk.read(9, 1)[0];

describe('disks that a guest changes', () => {
  it('stay as they are', withSession(files, async (session) => {
    await session.launch({ program: '/project/disk.img' });
    await session.run();
    await session.event('terminated');
    assert.equal(session.output('stdout'), 'AW');
    assert.deepEqual(session.written, {});
  }));

  const cases: readonly (readonly [attribute: string, args: Readonly<Record<string, unknown>>, written: string])[] = [
    ['program', { program: '/project/disk.img' }, '/project/disk.img'], ['program', { program: '/project/disk.vdi' }, '/project/disk.vdi'],
    ['hda', { program: '/project/code.bin', loadAddress: '0x7c00', hda: '/project/disk.img', hdb: '/project/endless.img' }, '/project/disk.img'],
    ['fda', { program: '/project/code.bin', loadAddress: '0x7c00', fda: '/project/disk.img' }, '/project/disk.img'],
  ];
  for (const [attribute, args, written] of cases) {
    it(`are written back at the end when "writeBack" says so, those that were changed: ${attribute} ${written}`, withSession(files, async (session) => {
      await session.launch({ ...args, writeBack: true });
      await session.run();
      await session.event('terminated');
      assert.deepEqual(Object.keys(session.written), [written]);
      assert.equal(attribute === 'fda' ? session.written[written][9 * 512] : ninth(session.written[written]), 0x42);
      assert.match(session.output('console'), new RegExp(`${written.replaceAll('.', '\\.')} was written back`));
    }));
  }

  it('are written back when the session is stopped, and before a restart', withSession(files, async (session) => {
    await session.launch({ program: '/project/endless.img', writeBack: true });
    await session.run();
    await session.until('the guest has written', () => session.output('stdout').includes('W'));
    await session.dap.customRequest('restart', {});
    assert.equal(ninth(session.written['/project/endless.img']), 0x42);
    await session.until('the guest has written again', () => session.output('stdout').endsWith('AWAW'));
    delete session.written['/project/endless.img'];
    await session.dap.customRequest('terminate');
    await session.event('terminated');
    assert.equal(ninth(session.written['/project/endless.img']), 0x42);
  }));

  it('are kept in the machine when their file cannot be written, and can be saved elsewhere', withSession(files, async (session) => {
    await session.launch({ program: '/locked/disk.img', writeBack: true });
    await session.run();
    const { body } = await session.stopped();
    assert.match(body.text ?? '', /\/locked\/disk\.img was not written back: no permission\. Save it elsewhere/);
    const { disks } = (await session.dap.customRequest('ringside/disks')).body;
    assert.deepEqual(disks, [{ drive: 'image', format: 'raw', writable: true, changed: true, attribute: 'program', path: '/locked/disk.img' }]);
    await session.dap.customRequest('ringside/saveDisk', { drive: 'image', path: '/project/other.img' });
    assert.equal(ninth(session.written['/project/other.img']), 0x42);
    await session.dap.customRequest('terminate');
    await session.event('terminated');
  }));

  it('of formats that can only be read are refused before anything runs, and saved as raw or VDI images', withSession(files, async (session) => {
    await assert.rejects(session.launch({ program: '/project/child.qcow2', writeBack: true }), /"writeBack": \/project\/child\.qcow2 \("program"\) is a qcow2 image, which can only be read/);
  }));

  it('are saved as images of the kind that the name says', withSession(files, async (session) => {
    await session.launch({ program: '/project/child.qcow2' });
    await session.run();
    await session.until('the guest has written', () => session.output('stdout').includes('W'));
    for (const [name, size] of [['saved.img', 2 * 4096], ['saved.vdi', 1024 + (1 << 20)]] as const) {
      await session.dap.customRequest('ringside/saveDisk', { drive: 'image', path: `/project/${name}` });
      const bytes = session.written[`/project/${name}`];
      assert.equal(bytes.length, size);
      const { disk: saved, format } = openDisk({ file: name, bytes });
      assert.deepEqual([format, saved.sectors, saved.read(9, 1)[511], saved.read(0, 1)[511]], [name.endsWith('vdi') ? 'vdi' : 'raw', 16, 0x42, 0xaa]);
    }
    for (const [args, reason] of [
      [{ drive: 'image', path: '/project/x.qcow2' }, /raw image \(\.img, \.raw\) or a VDI image/], [{ drive: 'image', path: '/locked/x.img' }, /\/locked\/x\.img cannot be written: no permission/],
      [{ drive: 'hardDisk', path: '/project/x.img' }, /no disk "hardDisk"/],
    ] as const) await assert.rejects(session.dap.customRequest('ringside/saveDisk', args), reason);
  }));
});
