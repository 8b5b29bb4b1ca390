/**
 * A 9P2000.L server in front of a SharedTree: one message in, one message out. Fids, the size of messages and what a walk may do are bounded;
 * what a client gets wrong is an error code.
 */
import { MessageReader, MessageWriter, QID_BYTES } from './message';
import { Errno, FileError, isFolder, isLink, S_IFDIR, S_IFMT, S_IFREG, type Node, type SharedTree } from './shared-tree';

/** Requests by number; an answer has the next number. */
const enum Request {
  Statfs = 8, Lopen = 12, Lcreate = 14, Symlink = 16, Mknod = 18, Rename = 20, Readlink = 22, Getattr = 24, Setattr = 26, Xattrwalk = 30, Xattrcreate = 32, Readdir = 40, Fsync = 50, Lock = 52,
  Getlock = 54, Link = 70, Mkdir = 72, Renameat = 74, Unlinkat = 76, Version = 100, Auth = 102, Attach = 104, Flush = 108, Walk = 110, Read = 116, Write = 118, Clunk = 120, Remove = 122,
}
const RLERROR = 7;
const DIALECT = '9P2000.L';
export const MESSAGE_BYTES_MAX = 512 << 10;
const MESSAGE_BYTES_MIN = 256, HEADER_BYTES = 7, IO_HEADER_BYTES = 11;
const FIDS_MAX = 8192, WALK_NAMES_MAX = 16;
const NO_FID = 0xffffffff;
const BLOCK = 4096, NAME_BYTES_MAX = 255;
const V9FS_MAGIC = 0x01021997;
/** Flags of open(2) as the protocol has them, and of unlinkat(2). */
const O_ACCMODE = 3, O_TRUNC = 0o1000, O_APPEND = 0o2000, AT_REMOVEDIR = 0x200;
/** What getattr answers: everything but birth time and generation. */
const ATTRIBUTES = 0x7ff;
const SetAttribute = { mode: 1, uid: 2, gid: 4, size: 8, modified: 0x20, modifiedGiven: 0x100 } as const;
const UNLOCKED = 2;
/** Types in readdir's entries (DT_DIR, DT_LNK, DT_REG): the upper bits of st_mode. */
const entryType = (node: Node): number => node.mode >>> 12;

interface Fid {
  readonly node: Node;
  /** open(2)'s flags, once it is open. */
  flags: number | undefined;
}

export interface FidState {
  readonly fid: number;
  readonly node: number;
  readonly flags: number | null;
}

export class NinepServer {
  private readonly fids = new Map<number, Fid>();
  private messageBytes = MESSAGE_BYTES_MAX;

  /** @param seconds time of day, for files that are set to "now" */
  constructor(private readonly tree: SharedTree, private readonly seconds: () => number) {}

  reset(): void {
    for (const fid of [...this.fids.keys()]) this.forget(fid);
    this.messageBytes = MESSAGE_BYTES_MAX;
  }

  save(): { messageBytes: number; fids: FidState[] } {
    return { messageBytes: this.messageBytes, fids: [...this.fids].map(([fid, { node, flags }]) => ({ fid, node: node.id, flags: flags ?? null })) };
  }

  restore({ messageBytes, fids }: { messageBytes: number; fids: readonly FidState[] }): void {
    this.reset();
    this.messageBytes = messageBytes;
    for (const { fid, node: id, flags } of fids) {
      const node = this.tree.node(id);
      if (node) this.fids.set(fid, { node: this.tree.hold(node), flags: flags ?? undefined });
    }
  }

  /** The answer to a message, of at most `room` bytes; undefined when not even an error fits or the message has no head. */
  answer(message: Uint8Array, room: number): Uint8Array | undefined {
    if (message.length < HEADER_BYTES || room < IO_HEADER_BYTES) return undefined;
    const reader = new MessageReader(message);
    const size = reader.u32(), type = reader.u8(), tag = reader.u16();
    const failed = (errno: number): Uint8Array => new MessageWriter().u32(errno).finish(RLERROR, tag);
    try {
      if (size > message.length || size > this.messageBytes) throw new FileError(Errno.Protocol);
      const writer = new MessageWriter();
      this.serve(type, reader, writer, Math.min(room, this.messageBytes));
      const result = writer.finish(type + 1, tag);
      return result.length <= room ? result : failed(Errno.Protocol);
    } catch (error) {
      if (error instanceof FileError) return failed(error.errno);
      throw error;
    }
  }

  private serve(type: Request, from: MessageReader, to: MessageWriter, room: number): void {
    const { tree } = this;
    switch (type) {
      case Request.Version: {
        const wanted = from.u32(), dialect = from.text();
        if (wanted < MESSAGE_BYTES_MIN) throw new FileError(Errno.Invalid);
        this.reset();
        this.messageBytes = Math.min(wanted, MESSAGE_BYTES_MAX);
        to.u32(this.messageBytes).text(dialect === DIALECT ? DIALECT : 'unknown');
        return;
      }
      case Request.Attach:
        to.qid(this.define(from.u32(), tree.root));
        return;
      case Request.Flush:
      case Request.Fsync:
        // Every request is finished before the next one is looked at, and nothing is kept back.
        return;
      case Request.Walk: return this.walk(from, to);
      case Request.Clunk:
        this.fid(from.u32(), (_, number) => this.forget(number));
        return;
      case Request.Remove:
        this.fid(from.u32(), ({ node }, number) => {
          try {
            const name = tree.nameOf(node);
            if (name === undefined) throw new FileError(node === tree.root ? Errno.Permission : Errno.NoEntry);
            tree.remove(node.parent!, name, 'any');
          } finally {
            this.forget(number);
          }
        });
        return;
      case Request.Lopen: {
        const fid = this.fid(from.u32()), flags = from.u32();
        if (fid.flags !== undefined) throw new FileError(Errno.Invalid);
        if (isLink(fid.node)) throw new FileError(Errno.Invalid);
        if (isFolder(fid.node) && flags & O_ACCMODE) throw new FileError(Errno.IsFolder);
        if (flags & O_TRUNC && flags & O_ACCMODE) tree.resize(fid.node, 0);
        fid.flags = flags;
        to.qid(fid.node).u32(this.iounit);
        return;
      }
      case Request.Lcreate: {
        const number = from.u32(), { node: folder } = this.fid(number);
        const name = from.text(), flags = from.u32(), mode = from.u32(), gid = from.u32();
        const node = tree.create(folder, name, S_IFREG, mode, gid);
        // The fid of the folder becomes the file's.
        this.forget(number);
        this.define(number, node);
        this.fid(number).flags = flags;
        to.qid(node).u32(this.iounit);
        return;
      }
      case Request.Read: {
        const { node, flags } = this.fid(from.u32()), offset = from.u64(), count = from.u32();
        if (flags === undefined || (flags & O_ACCMODE) === 1) throw new FileError(Errno.BadFile);
        if (isFolder(node)) throw new FileError(Errno.IsFolder);
        const bytes = tree.read(node, offset, Math.min(count, room - IO_HEADER_BYTES));
        to.u32(bytes.length).blob(bytes);
        return;
      }
      case Request.Write: {
        const { node, flags } = this.fid(from.u32()), offset = from.u64(), bytes = from.blob(from.u32());
        if (flags === undefined || (flags & O_ACCMODE) === 0) throw new FileError(Errno.BadFile);
        tree.write(node, flags & O_APPEND ? node.size : offset, bytes);
        to.u32(bytes.length);
        return;
      }
      case Request.Readdir: {
        const { node, flags } = this.fid(from.u32()), offset = from.u64(), count = from.u32();
        if (flags === undefined) throw new FileError(Errno.BadFile);
        to.u32(0);
        this.entries(node, offset, Math.min(count, room - IO_HEADER_BYTES), to);
        return;
      }
      case Request.Getattr: return this.getAttributes(from, to);
      case Request.Setattr: return this.setAttributes(from);
      case Request.Statfs:
        this.fid(from.u32());
        to.u32(V9FS_MAGIC).u32(BLOCK);
        to.u64(Math.floor(tree.bytesFree / BLOCK)).u64(Math.floor(tree.bytesFree / BLOCK)).u64(Math.floor(tree.bytesFree / BLOCK));
        to.u64(tree.nodeCount + tree.nodesFree).u64(tree.nodesFree).u64(0).u32(NAME_BYTES_MAX);
        return;
      case Request.Mkdir: {
        const { node } = this.fid(from.u32()), name = from.text(), mode = from.u32(), gid = from.u32();
        to.qid(tree.create(node, name, S_IFDIR, mode, gid));
        return;
      }
      case Request.Mknod: {
        const { node } = this.fid(from.u32()), name = from.text(), mode = from.u32();
        from.u64();
        if ((mode & S_IFMT) !== S_IFREG) throw new FileError(Errno.Permission);
        to.qid(tree.create(node, name, S_IFREG, mode, from.u32()));
        return;
      }
      case Request.Symlink: {
        const { node } = this.fid(from.u32()), name = from.text(), target = from.text();
        to.qid(tree.link(node, name, target, from.u32()));
        return;
      }
      case Request.Readlink: {
        const { node } = this.fid(from.u32());
        if (!isLink(node)) throw new FileError(Errno.Invalid);
        to.text(node.target);
        return;
      }
      case Request.Rename: {
        const { node } = this.fid(from.u32()), { node: folder } = this.fid(from.u32());
        const name = tree.nameOf(node);
        if (name === undefined) throw new FileError(Errno.NoEntry);
        tree.rename(node.parent!, name, folder, from.text());
        return;
      }
      case Request.Renameat: {
        const { node: folder } = this.fid(from.u32()), name = from.text();
        tree.rename(folder, name, this.fid(from.u32()).node, from.text());
        return;
      }
      case Request.Unlinkat: {
        const { node } = this.fid(from.u32()), name = from.text();
        tree.remove(node, name, from.u32() & AT_REMOVEDIR ? 'folder' : 'file');
        return;
      }
      case Request.Lock:
        // One client: the guest's kernel settles its processes' locks among themselves.
        this.fid(from.u32());
        to.u8(0);
        return;
      case Request.Getlock: {
        this.fid(from.u32());
        from.u8();
        to.u8(UNLOCKED).u64(from.u64()).u64(from.u64()).u32(from.u32()).text(from.text());
        return;
      }
      case Request.Link:
        throw new FileError(Errno.Permission);
      default:
        throw new FileError(Errno.Unsupported);
    }
  }

  /** Bytes of one read or write. */
  private get iounit(): number {
    return this.messageBytes - IO_HEADER_BYTES - 13;
  }

  // ---- fids ----

  private fid(number: number, use?: (fid: Fid, number: number) => void): Fid {
    const fid = this.fids.get(number);
    if (!fid) throw new FileError(Errno.BadFile);
    use?.(fid, number);
    return fid;
  }

  private define(number: number, node: Node): Node {
    if (number === NO_FID || this.fids.has(number)) throw new FileError(Errno.Invalid);
    if (this.fids.size >= FIDS_MAX) throw new FileError(Errno.NoMemory);
    this.fids.set(number, { node: this.tree.hold(node), flags: undefined });
    return node;
  }

  private forget(number: number): void {
    const fid = this.fids.get(number);
    this.fids.delete(number);
    if (fid) this.tree.release(fid.node);
  }

  /** Goes along names as far as they lead. The new fid is made when all of them do. */
  private walk(from: MessageReader, to: MessageWriter): void {
    const number = from.u32(), target = from.u32(), count = from.u16();
    const { node: start, flags } = this.fid(number);
    if (count > WALK_NAMES_MAX || (flags !== undefined && target === number)) throw new FileError(Errno.Invalid);
    const names = Array.from({ length: count }, () => from.text());
    const nodes: Node[] = [];
    let at = start;
    for (const name of names) {
      try {
        at = this.tree.lookUp(at, name);
      } catch (error) {
        if (nodes.length === 0 || !(error instanceof FileError)) throw error;
        break;
      }
      nodes.push(at);
    }
    if (nodes.length === count) {
      this.tree.hold(at);
      if (target === number) this.forget(number);
      try {
        this.define(target, at);
      } finally {
        this.tree.release(at);
      }
    }
    to.u16(nodes.length);
    for (const node of nodes) to.qid(node);
  }

  // ---- folders and attributes ----

  private entries(folder: Node, offset: number, count: number, to: MessageWriter): void {
    if (!isFolder(folder)) throw new FileError(Errno.NotFolder);
    let left = count;
    /** False: no room. */
    const add = (node: Node, cookie: number, name: string): boolean => {
      if (cookie <= offset) return true;
      left -= QID_BYTES + 8 + 1 + 2 + utf8Length(name);
      if (left < 0) return false;
      to.qid(node).u64(cookie).u8(entryType(node)).text(name);
      return true;
    };
    let more = add(folder, 1, '.') && add(folder.parent ?? this.tree.root, 2, '..');
    if (more) {
      for (const [name, { node, cookie }] of folder.entries) {
        more = add(node, cookie, name);
        if (!more) break;
      }
    }
    to.patchCount();
  }

  private getAttributes(from: MessageReader, to: MessageWriter): void {
    const { node } = this.fid(from.u32());
    to.u64(ATTRIBUTES).qid(node).u32(node.mode).u32(node.uid).u32(node.gid);
    to.u64(isFolder(node) ? 2 : 1).u64(0).u64(node.size).u64(BLOCK).u64(Math.ceil(node.size / 512));
    for (let n = 0; n < 3; n++) to.u64(node.modified).u64(0);
    to.u64(0).u64(0).u64(0).u64(node.version);
  }

  private setAttributes(from: MessageReader): void {
    const { node } = this.fid(from.u32()), valid = from.u32();
    const mode = from.u32(), uid = from.u32(), gid = from.u32(), size = from.u64();
    // The time of the last access is not kept.
    from.u64();
    from.u64();
    const modified = from.u64();
    if (valid & SetAttribute.size) this.tree.resize(node, size);
    this.tree.setAttributes(node, {
      ...(valid & SetAttribute.mode && { mode }), ...(valid & SetAttribute.uid && { uid }), ...(valid & SetAttribute.gid && { gid }),
      ...(valid & SetAttribute.modified && { modified: valid & SetAttribute.modifiedGiven ? modified : this.seconds() }),
    });
  }
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
