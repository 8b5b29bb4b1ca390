/** What `--share` reads of a folder, and what it refuses. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { sharedFolder } from '../../src/cli/shared-folder';
import { inFolder, ringside } from './ringside';

describe('ringside run --share', () => {
  it('takes files, folders, modes and times, and leaves symbolic links out', async () => {
    await inFolder({ 'a.txt': 'first', 'run.sh': '#!/bin/sh' }, async (folder) => {
      fs.mkdirSync(path.join(folder, 'sub', 'deep'), { recursive: true });
      fs.writeFileSync(path.join(folder, 'sub', 'deep', 'b.txt'), 'second');
      fs.chmodSync(path.join(folder, 'run.sh'), 0o750);
      fs.utimesSync(path.join(folder, 'a.txt'), 1000, 2000);
      fs.symlinkSync('/etc', path.join(folder, 'outside'));
      const { tag, files } = sharedFolder(`${folder}=work`);
      assert.equal(tag, 'work');
      assert.deepEqual(files.map((file) => file.path).sort(), ['a.txt', 'run.sh', 'sub', 'sub/deep', 'sub/deep/b.txt']);
      const named = (name: string) => files.find((file) => file.path === name)!;
      assert.deepEqual([named('a.txt').modified, named('run.sh').mode, named('sub').bytes], [2000, 0o750, undefined]);
      assert.equal(new TextDecoder().decode(named('sub/deep/b.txt').bytes), 'second');
      assert.equal(sharedFolder(folder).tag, 'share');
      return Promise.resolve();
    });
  });

  it('refuses too much, what is not there, and an empty tag, before the guest starts', async () => {
    await inFolder({ 'a.txt': '' }, async (folder) => {
      fs.truncateSync(path.join(folder, 'a.txt'), (64 << 20) + 1);
      const { status, stderr } = await ringside(['run', path.join('samples', 'hello.asm'), '--share', folder]);
      assert.equal(status, 2);
      assert.match(stderr, /cannot be shared: its files have more than 64 MiB/);
      fs.rmSync(path.join(folder, 'a.txt'));
      for (let n = 0; n <= 10_000; n++) fs.closeSync(fs.openSync(path.join(folder, `${n}`), 'w'));
      assert.throws(() => sharedFolder(folder), /more than 10,000 files/);
      assert.throws(() => sharedFolder(path.join(folder, 'none')), /none cannot be read: it does not exist/);
      assert.throws(() => sharedFolder(`${folder}=`), /is not FOLDER or FOLDER=TAG/);
    });
  }).timeout(20_000);

  it('refuses a reach that is none', async () => {
    const { status, stderr } = await ringside(['run', path.join('samples', 'hello.asm'), '--network', 'moon']);
    assert.equal(status, 2);
    assert.match(stderr, /none, loopback, internet/);
  });
});
