/** The shared folder, mounted and used by the messages of 9P2000.L. */
import assert from 'node:assert/strict';
import { MessageReader, MessageWriter } from './ninep/message';
import { Errno, SharedTree } from './ninep/shared-tree';
import { VirtioShare } from './share';
import { TestDriver } from './test-driver';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const STATFS = 8, LOPEN = 12, LCREATE = 14, SYMLINK = 16, RENAME = 20, READLINK = 22, GETATTR = 24, SETATTR = 26, XATTRWALK = 30, READDIR = 40, FSYNC = 50, LOCK = 52, GETLOCK = 54, LINK = 70,
  MKDIR = 72, RENAMEAT = 74, UNLINKAT = 76, VERSION = 100, AUTH = 102, ATTACH = 104, FLUSH = 108, WALK = 110, READ = 116, WRITE = 118, CLUNK = 120, REMOVE = 122;
const O_WRONLY = 1, O_RDWR = 2, O_TRUNC = 0o1000, NOFID = 0xffffffff;

const hello = bytesOf('hello, world\n');
const files = [
  { path: 'docs/a.txt', bytes: hello, mode: 0o600, modified: 1234 }, { path: 'docs/b.txt', bytes: bytesOf('b') }, { path: 'empty' }, { path: 'run.sh', bytes: bytesOf('#!/bin/sh\n'), mode: 0o755 },
];

class Client {
  readonly tree = new SharedTree(files, () => 5000);
  readonly driver = new TestDriver(new VirtioShare('work', this.tree, () => 5000)).start(1);

  constructor(mount = true) {
    if (!mount) return;
    this.call(VERSION, (m) => m.u32(8192).text('9P2000.L'));
    this.call(ATTACH, (m) => m.u32(0).u32(NOFID).text('root').text('').u32(0));
  }

  /** The answer's fields, or the error number. */
  try(type: number, fields: (message: MessageWriter) => unknown, room = 8192): MessageReader | Errno {
    const message = new MessageWriter();
    fields(message);
    const answer = this.driver.request(0, [{ bytes: message.finish(type, 7).slice() }, { room }]);
    const reader = new MessageReader(answer);
    assert.equal(reader.u32(), answer.length);
    const answered = reader.u8();
    assert.equal(reader.u16(), 7);
    if (answered === 7) return reader.u32();
    assert.equal(answered, type + 1);
    return reader;
  }

  call(type: number, fields: (message: MessageWriter) => unknown, room?: number): MessageReader {
    const answer = this.try(type, fields, room);
    return typeof answer === 'number' ? assert.fail(`message ${type}: error ${answer}`) : answer;
  }

  fails(errno: Errno, type: number, fields: (message: MessageWriter) => unknown): void {
    assert.equal(this.try(type, fields), errno, `message ${type}`);
  }

  walk(from: number, to: number, ...names: string[]): MessageReader | Errno {
    return this.try(WALK, (m) => {
      m.u32(from).u32(to).u16(names.length);
      for (const name of names) m.text(name);
    });
  }

  open(fid: number, flags: number, ...names: string[]): void {
    assert.ok(typeof this.walk(0, fid, ...names) !== 'number');
    this.call(LOPEN, (m) => m.u32(fid).u32(flags));
  }

  read(fid: number, offset = 0, count = 1000): string {
    const answer = this.call(READ, (m) => m.u32(fid).u64(offset).u32(count));
    return textOf(answer.blob(answer.u32()));
  }

  write(fid: number, offset: number, text: string): number {
    return this.call(WRITE, (m) => m.u32(fid).u64(offset).u32(text.length).blob(bytesOf(text))).u32();
  }

  clunk(fid: number): void { this.call(CLUNK, (m) => m.u32(fid)); }

  attributes(fid: number): { mode: number; size: number; modified: number } {
    const answer = this.call(GETATTR, (m) => m.u32(fid).u64(0x7ff));
    answer.u64();
    answer.blob(13);
    const mode = answer.u32();
    answer.blob(8 + 8 + 8);
    const size = answer.u64();
    answer.blob(8 + 8 + 16);
    return { mode, size, modified: answer.u64() };
  }

  list(fid: number, count = 4000): string[] {
    const names: string[] = [];
    for (let offset = 0; ;) {
      const answer = this.call(READDIR, (m) => m.u32(fid).u64(offset).u32(count));
      let left = answer.u32();
      if (left === 0) return names;
      while (left > 0) {
        answer.blob(13);
        offset = answer.u64();
        answer.u8();
        const name = answer.text();
        names.push(name);
        left -= 24 + bytesOf(name).length;
      }
    }
  }
}

describe('virtio: shared folder', () => {
  it('announces its tag', () => {
    const { driver } = new Client(false);
    assert.equal(driver.get(0x2000, 2), 4);
    assert.equal(textOf(Uint8Array.from([0, 1, 2, 3], (n) => driver.get(0x2002 + n, 1))), 'work');
  });

  it('agrees on version and size of messages', () => {
    const client = new Client(false);
    const answer = client.call(VERSION, (m) => m.u32(1 << 30).text('9P2000.L'));
    assert.equal(answer.u32(), 512 << 10);
    assert.equal(answer.text(), '9P2000.L');
    const other = client.call(VERSION, (m) => m.u32(8192).text('9P2000.u'));
    assert.equal(other.u32(), 8192);
    assert.equal(other.text(), 'unknown');
    client.fails(Errno.Invalid, VERSION, (m) => m.u32(10).text('9P2000.L'));
    client.fails(Errno.Unsupported, AUTH, (m) => m.u32(1).text('').text('').u32(0));
  });

  it('lists folders, in pieces too, and reads files', () => {
    const client = new Client();
    client.open(1, 0);
    assert.deepEqual(client.list(1).sort(), ['.', '..', 'docs', 'empty', 'run.sh']);
    assert.deepEqual(client.list(1, 40).sort(), ['.', '..', 'docs', 'empty', 'run.sh']);
    client.open(2, 0, 'docs', 'a.txt');
    assert.equal(client.read(2), 'hello, world\n');
    assert.equal(client.read(2, 7, 5), 'world');
    assert.equal(client.read(2, 13), '');
    assert.equal(client.read(2, 2 ** 60), '');
    assert.deepEqual(client.attributes(2), { mode: 0o100600, size: 13, modified: 1234 });
    assert.deepEqual(client.attributes(1).mode, 0o040755);
  });

  it('writes to a copy', () => {
    const client = new Client();
    client.open(1, O_RDWR, 'docs', 'a.txt');
    assert.equal(client.write(1, 7, 'reader'), 6);
    assert.equal(client.read(1), 'hello, reader');
    assert.equal(client.write(1, 5000, '!'), 1);
    assert.equal(client.read(1, 13, 3), '\0\0\0');
    assert.deepEqual(client.attributes(1), { mode: 0o100600, size: 5001, modified: 5000 });
    client.call(SETATTR, (m) => m.u32(1).u32(8).u32(0).u32(0).u32(0).u64(5).u64(0).u64(0).u64(0).u64(0));
    assert.equal(client.read(1), 'hello');
    client.call(SETATTR, (m) => m.u32(1).u32(8).u32(0).u32(0).u32(0).u64(8).u64(0).u64(0).u64(0).u64(0));
    assert.equal(client.read(1), 'hello\0\0\0', 'what was cut off is gone');
    assert.equal(textOf(hello), 'hello, world\n', 'the user\'s bytes');
    client.clunk(1);
    client.open(1, O_RDWR | O_TRUNC, 'docs', 'a.txt');
    assert.equal(client.read(1), '');
  });

  it('creates, renames and removes', () => {
    const client = new Client();
    client.walk(0, 1, 'docs');
    client.call(LCREATE, (m) => m.u32(1).text('new.txt').u32(O_WRONLY).u32(0o640).u32(0));
    client.write(1, 0, 'new');
    client.fails(Errno.BadFile, READ, (m) => m.u32(1).u64(0).u32(1));
    client.clunk(1);
    client.call(MKDIR, (m) => m.u32(0).text('sub').u32(0o700).u32(0));
    client.fails(Errno.Exists, MKDIR, (m) => m.u32(0).text('sub').u32(0o700).u32(0));
    client.walk(0, 1, 'docs');
    client.walk(0, 2, 'sub');
    client.call(RENAMEAT, (m) => m.u32(1).text('new.txt').u32(2).text('moved.txt'));
    client.open(3, 0, 'sub', 'moved.txt');
    assert.equal(client.read(3), 'new');
    client.call(RENAME, (m) => m.u32(3).u32(1).text('b.txt'));
    client.open(4, 0, 'docs', 'b.txt');
    assert.equal(client.read(4), 'new', 'in place of the file that had the name');
    client.fails(Errno.IsFolder, UNLINKAT, (m) => m.u32(0).text('sub').u32(0));
    client.fails(Errno.NotFolder, UNLINKAT, (m) => m.u32(1).text('b.txt').u32(0x200));
    client.fails(Errno.NotEmpty, UNLINKAT, (m) => m.u32(0).text('docs').u32(0x200));
    client.call(UNLINKAT, (m) => m.u32(1).text('b.txt').u32(0));
    assert.equal(client.read(4), 'new', 'who has it open reads on');
    client.call(UNLINKAT, (m) => m.u32(0).text('sub').u32(0x200));
    client.fails(Errno.NoEntry, LCREATE, (m) => m.u32(2).text('x').u32(0).u32(0).u32(0));
    client.walk(0, 5, 'empty');
    client.call(REMOVE, (m) => m.u32(5));
    client.fails(Errno.BadFile, GETATTR, (m) => m.u32(5).u64(0));
    client.fails(Errno.Permission, REMOVE, (m) => m.u32(0));
  });

  it('keeps a reader\'s place in a folder from which files are removed', () => {
    const client = new Client();
    client.walk(0, 1, 'empty');
    for (let n = 0; n < 20; n++) {
      client.walk(1, 2);
      client.call(LCREATE, (m) => m.u32(2).text(`f${n}`).u32(O_WRONLY).u32(0o644).u32(0));
      client.clunk(2);
    }
    client.open(3, 0, 'empty');
    const seen: string[] = [];
    for (let offset = 0; ;) {
      const answer = client.call(READDIR, (m) => m.u32(3).u64(offset).u32(60));
      let left = answer.u32();
      if (left === 0) break;
      while (left > 0) {
        answer.blob(13);
        offset = answer.u64();
        answer.u8();
        const name = answer.text();
        left -= 24 + name.length;
        seen.push(name);
        if (name.startsWith('f')) client.call(UNLINKAT, (m) => m.u32(1).text(name).u32(0));
      }
    }
    assert.equal(seen.length, 22);
    client.clunk(3);
    client.open(3, 0, 'empty');
    assert.deepEqual(client.list(3), ['.', '..']);
  });

  it('has symbolic links, which the guest follows itself', () => {
    const client = new Client();
    client.call(SYMLINK, (m) => m.u32(0).text('link').text('../../etc/passwd').u32(0));
    client.walk(0, 1, 'link');
    assert.equal(client.call(READLINK, (m) => m.u32(1)).text(), '../../etc/passwd');
    client.fails(Errno.Invalid, LOPEN, (m) => m.u32(1).u32(0));
    const beyond = client.walk(0, 2, 'link', 'x');
    assert.ok(typeof beyond !== 'number' && beyond.u16() === 1, 'as far as it leads');
    client.fails(Errno.BadFile, GETATTR, (m) => m.u32(2).u64(0));
    client.fails(Errno.Invalid, READLINK, (m) => m.u32(0));
  });

  it('is not left by any path', () => {
    const client = new Client();
    client.open(1, 0, '..', '..', 'docs', '..');
    assert.ok(client.list(1).includes('run.sh'));
    assert.equal(client.walk(0, 2, '/etc'), Errno.NoEntry);
    for (const name of ['', '.', '..', 'a/b', '/', 'a\0b']) {
      client.fails(Errno.Invalid, MKDIR, (m) => m.u32(0).text(name).u32(0).u32(0));
      client.fails(Errno.Invalid, RENAMEAT, (m) => m.u32(0).text('run.sh').u32(0).text(name));
    }
    client.fails(Errno.NameTooLong, MKDIR, (m) => m.u32(0).text('n'.repeat(256)).u32(0).u32(0));
    client.walk(0, 3, 'docs');
    client.fails(Errno.Invalid, RENAMEAT, (m) => m.u32(0).text('docs').u32(3).text('inside'));
    assert.throws(() => new SharedTree([{ path: '../x', bytes: hello }], () => 0), /no path inside/);
    assert.throws(() => new SharedTree([{ path: '/x', bytes: hello }], () => 0), /no path inside/);
    assert.throws(() => new SharedTree([{ path: 'x', bytes: hello }, { path: 'x/y', bytes: hello }], () => 0), /lies in a file/);
  });

  it('answers the rest of the protocol', () => {
    const client = new Client();
    client.call(FLUSH, (m) => m.u16(1));
    client.open(1, O_RDWR, 'run.sh');
    client.call(FSYNC, (m) => m.u32(1).u32(0));
    assert.equal(client.call(LOCK, (m) => m.u32(1).u8(1).u32(0).u64(0).u64(0).u32(1).text('x')).u8(), 0);
    const lock = client.call(GETLOCK, (m) => m.u32(1).u8(1).u64(1).u64(2).u32(3).text('me'));
    assert.deepEqual([lock.u8(), lock.u64(), lock.u64(), lock.u32(), lock.text()], [2, 1, 2, 3, 'me']);
    client.fails(Errno.Unsupported, XATTRWALK, (m) => m.u32(1).u32(9).text('security.selinux'));
    client.fails(Errno.Permission, LINK, (m) => m.u32(0).u32(1).text('hard'));
    client.fails(Errno.Unsupported, 200, (m) => m.u32(0));
    const statfs = client.call(STATFS, (m) => m.u32(0));
    assert.deepEqual([statfs.u32(), statfs.u32(), statfs.u64()], [0x01021997, 4096, 65536]);
  });

  it('bounds fids, walks, room and messages', () => {
    const client = new Client();
    client.fails(Errno.Invalid, WALK, (m) => m.u32(0).u32(0x7fffffff).u16(17));
    client.fails(Errno.Protocol, WALK, (m) => m.u32(0).u32(1).u16(3).text('docs'));
    client.fails(Errno.BadFile, CLUNK, (m) => m.u32(99));
    client.fails(Errno.Invalid, ATTACH, (m) => m.u32(0).u32(NOFID).text('').text('').u32(0));
    let n = 1;
    while (typeof client.walk(0, n) !== 'number') n++;
    assert.equal(client.walk(0, n), Errno.NoMemory);
    assert.equal(n, 8192);
    // No room for an answer, and a message without a head.
    assert.equal(client.driver.request(0, [{ bytes: new MessageWriter().u32(0).u64(0).finish(GETATTR, 7).slice() }, { room: 5 }]).length, 0);
    assert.equal(client.driver.request(0, [{ bytes: Uint8Array.of(1, 2, 3) }, { room: 50 }]).length, 0);
    assert.equal(client.try(GETATTR, (m) => m.u32(0).u64(0), 20), Errno.Protocol);
    client.call(VERSION, (m) => m.u32(8192).text('9P2000.L'));
    client.call(ATTACH, (m) => m.u32(0).u32(NOFID).text('').text('').u32(0));
    client.open(1, O_RDWR, 'run.sh');
    client.fails(Errno.Protocol, WRITE, (m) => m.u32(1).u64(0).u32(0xffffffff));
    client.fails(Errno.FileTooBig, WRITE, (m) => m.u32(1).u64(2 ** 40).u32(1).u8(1));
    client.fails(Errno.FileTooBig, SETATTR, (m) => m.u32(1).u32(8).u32(0).u32(0).u32(0).u64(2 ** 62).u64(0).u64(0).u64(0).u64(0));
  });

  it('gives the room of removed files back, and no more than it has', () => {
    const { tree } = new Client();
    const free = tree.bytesFree;
    for (let n = 0; n < 100; n++) {
      const node = tree.create(tree.root, 'big', 0o100000, 0o644, 0);
      tree.resize(node, 100 << 20);
      tree.remove(tree.root, 'big', 'file');
    }
    assert.equal(tree.bytesFree, free);
    const [one, two, three] = ['1', '2', '3'].map((name) => tree.create(tree.root, name, 0o100000, 0o644, 0));
    tree.resize(one, 100 << 20);
    tree.resize(two, 100 << 20);
    assert.throws(() => tree.resize(three, 100 << 20), { errno: Errno.NoSpace });
  });

  it('keeps its fids through save and restore', () => {
    const client = new Client();
    client.open(1, 0, 'docs', 'a.txt');
    const { model } = client.driver;
    const state = JSON.stringify(model.save());
    model.reset();
    client.fails(Errno.BadFile, GETATTR, (m) => m.u32(1).u64(0));
    model.restore(JSON.parse(state));
    assert.equal(client.read(1, 0, 5), 'hello');
  });
});
