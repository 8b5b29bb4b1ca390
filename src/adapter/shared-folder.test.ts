/** The folder of a launch configuration as the machine gets it. */
import assert from 'node:assert/strict';
import type { FileAccess, FolderEntry } from './services';
import { readSharedFolder } from './shared-folder';

function access(folders: Readonly<Record<string, readonly FolderEntry[]>>): FileAccess {
  return {
    readFile: (path) => Promise.resolve(new TextEncoder().encode(path)),
    readFolder: (path) => (path in folders ? Promise.resolve(folders[path]) : Promise.reject(new Error('no such folder'))),
  };
}

const file = (name: string, bytes = 1): FolderEntry => ({ name, folder: false, bytes, modified: 5 });
const folder = (name: string): FolderEntry => ({ name, folder: true, bytes: 0, modified: 6 });

describe('launch configuration: sharedFolder', () => {
  it('is read as a whole', async () => {
    const { tag, files } = await readSharedFolder('/w/', access({ '/w/': [file('a'), folder('sub')], '/w/sub': [file('b'), folder('empty')], '/w/sub/empty': [] }));
    assert.equal(tag, 'share');
    assert.deepEqual(files.map(({ path, bytes, modified }) => [path, bytes && new TextDecoder().decode(bytes), modified]), [
      ['a', '/w/a', 5], ['sub', undefined, 6], ['sub/b', '/w/sub/b', 5], ['sub/empty', undefined, 6],
    ]);
  });

  it('is refused with a reason when it is too large, not there, or cannot be read here', async () => {
    await assert.rejects(readSharedFolder('/w', access({ '/w': [file('a', 40 << 20), file('b', 40 << 20)] })), /"sharedFolder": \/w cannot be shared: .*64 MiB/);
    await assert.rejects(readSharedFolder('/none', access({})), /\/none cannot be read: no such folder/);
    await assert.rejects(readSharedFolder('/w', { readFile: () => Promise.reject(new Error('no')) }), /folders cannot be read here/);
  });
});
