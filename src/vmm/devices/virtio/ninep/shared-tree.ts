/**
 * The folder that a guest shares: a snapshot of a folder of the user, in memory. What the guest changes stays here; files are copied when they
 * are first written to. Names have no slashes and a folder's parent is a node, so that no path leads out of the tree.
 */

export const enum Errno {
  Permission = 1, NoEntry = 2, IoError = 5, BadFile = 9, NoMemory = 12, Exists = 17, NotFolder = 20, IsFolder = 21, Invalid = 22, FileTooBig = 27, NoSpace = 28, NameTooLong = 36,
  NotEmpty = 39, Protocol = 71, Unsupported = 95,
}

/** An operation failed as a guest's program sees it. */
export class FileError extends Error {
  constructor(readonly errno: Errno) {
    super(`error ${errno}`);
  }
}

/** One file or folder of the snapshot: a path with slashes, relative to the folder; without bytes it is a folder. */
export interface SharedFile {
  readonly path: string;
  readonly bytes?: Uint8Array;
  /** Permission bits. */
  readonly mode?: number;
  /** Seconds since 1970. */
  readonly modified?: number;
}

/** File types of st_mode. */
export const S_IFMT = 0o170000, S_IFDIR = 0o040000, S_IFREG = 0o100000, S_IFLNK = 0o120000;
const PERMISSIONS = 0o7777, FILE_MODE = 0o644, FOLDER_MODE = 0o755;
const NAME_BYTES_MAX = 255, TARGET_BYTES_MAX = 4095;
/** A guest may add so many nodes and bytes. */
const ADDED_NODES_MAX = 65_536, ADDED_BYTES_MAX = 256 << 20;
const GROWTH = 4096;

export interface Entry {
  readonly node: Node;
  /** Where a reader of the folder goes on behind this entry; grows with every entry that is made. */
  readonly cookie: number;
}

export interface Node {
  /** Number of the node, never used again. */
  readonly id: number;
  mode: number;
  modified: number;
  uid: number;
  gid: number;
  /** Counts changes. */
  version: number;
  parent: Node | undefined;
  /** A file's content: `size` bytes of it count. `own`: it is the guest's copy. */
  bytes: Uint8Array;
  size: number;
  own: boolean;
  /** Who holds the node besides its folder. */
  holders: number;
  /** A symbolic link's target. */
  target: string;
  readonly entries: Map<string, Entry>;
}

const encoder = new TextEncoder();

export class SharedTree {
  readonly root: Node;
  /** Nodes that a path leads to, by number. */
  private readonly nodes = new Map<number, Node>();
  private nextId = 1;
  /** The first two stand for the folder itself and its parent. */
  private nextCookie = 3;
  private initialNodes = 0;
  private addedBytes = 0;

  /** @param seconds time for what is changed, in seconds since 1970. @throws RangeError for a path that is none */
  constructor(files: readonly SharedFile[], private readonly seconds: () => number) {
    this.root = this.make(S_IFDIR | FOLDER_MODE);
    for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) this.place(file);
    this.initialNodes = this.nodes.size;
  }

  private place({ path, bytes, mode, modified }: SharedFile): void {
    const names = path.split('/');
    if (names.some((name) => !validName(name))) throw new RangeError(`${JSON.stringify(path)} is no path inside a folder`);
    let folder = this.root;
    for (const name of names.slice(0, -1)) {
      folder = folder.entries.get(name)?.node ?? this.add(folder, name, this.make(S_IFDIR | FOLDER_MODE));
      if (!isFolder(folder)) throw new RangeError(`${JSON.stringify(path)} lies in a file`);
    }
    const name = names[names.length - 1];
    const kind = bytes ? S_IFREG : S_IFDIR;
    let node = folder.entries.get(name)?.node;
    if (node && (bytes || !isFolder(node))) throw new RangeError(`${JSON.stringify(path)} is there twice`);
    node ??= this.add(folder, name, this.make(0));
    node.mode = kind | ((mode ?? (bytes ? FILE_MODE : FOLDER_MODE)) & PERMISSIONS);
    if (bytes) {
      node.bytes = bytes;
      node.size = bytes.length;
    }
    if (modified !== undefined) node.modified = Math.floor(modified);
  }

  private make(mode: number): Node {
    if (this.initialNodes && this.nodes.size >= this.initialNodes + ADDED_NODES_MAX) throw new FileError(Errno.NoSpace);
    const node: Node = {
      id: this.nextId++, mode, modified: this.seconds(), uid: 0, gid: 0, version: 0, parent: undefined, bytes: new Uint8Array(), size: 0, own: false, holders: 0, target: '', entries: new Map(),
    };
    this.nodes.set(node.id, node);
    return node;
  }

  private add(folder: Node, name: string, node: Node): Node {
    folder.entries.set(name, { node, cookie: this.nextCookie++ });
    node.parent = folder;
    return node;
  }

  node(id: number): Node | undefined {
    return this.nodes.get(id);
  }

  private touch(node: Node): void {
    node.modified = this.seconds();
    node.version = (node.version + 1) >>> 0;
  }

  // ---- names ----

  /** The node of a name in a folder. @throws FileError */
  lookUp(folder: Node, name: string): Node {
    if (!isFolder(folder)) throw new FileError(Errno.NotFolder);
    if (name === '.') return folder;
    if (name === '..') return folder.parent ?? this.root;
    return folder.entries.get(name)?.node ?? fail(Errno.NoEntry);
  }

  private free(folder: Node, name: string): void {
    if (!isFolder(folder)) throw new FileError(Errno.NotFolder);
    // A folder that has been removed gets nothing more.
    if (folder !== this.root && !folder.parent) throw new FileError(Errno.NoEntry);
    if (encoder.encode(name).length > NAME_BYTES_MAX) throw new FileError(Errno.NameTooLong);
    if (!validName(name)) throw new FileError(Errno.Invalid);
    if (folder.entries.has(name)) throw new FileError(Errno.Exists);
  }

  /** Makes a file or folder. @throws FileError */
  create(folder: Node, name: string, kind: number, mode: number, gid: number): Node {
    this.free(folder, name);
    const node = this.add(folder, name, this.make(kind | (mode & PERMISSIONS)));
    node.gid = gid;
    this.touch(folder);
    return node;
  }

  link(folder: Node, name: string, target: string, gid: number): Node {
    if (target === '') throw new FileError(Errno.NoEntry);
    if (encoder.encode(target).length > TARGET_BYTES_MAX) throw new FileError(Errno.NameTooLong);
    const node = this.create(folder, name, S_IFLNK, 0o777, gid);
    node.target = target;
    node.size = encoder.encode(target).length;
    return node;
  }

  /** @param kind the caller means a folder, a file, or takes both. @throws FileError */
  remove(folder: Node, name: string, kind: 'folder' | 'file' | 'any'): void {
    if (!isFolder(folder)) throw new FileError(Errno.NotFolder);
    const node = folder.entries.get(name)?.node ?? fail(Errno.NoEntry);
    if (isFolder(node)) {
      if (kind === 'file') throw new FileError(Errno.IsFolder);
      if (node.entries.size > 0) throw new FileError(Errno.NotEmpty);
    } else if (kind === 'folder') {
      throw new FileError(Errno.NotFolder);
    }
    folder.entries.delete(name);
    node.parent = undefined;
    this.nodes.delete(node.id);
    this.touch(folder);
    this.discard(node);
  }

  hold(node: Node): Node {
    node.holders++;
    return node;
  }

  release(node: Node): void {
    node.holders--;
    this.discard(node);
  }

  /** A file without a name and without anybody who has it open needs no room. */
  private discard(node: Node): void {
    if (node.parent || node === this.root || node.holders > 0 || !node.own) return;
    this.addedBytes -= node.bytes.length;
    node.bytes = new Uint8Array();
    node.own = false;
    node.size = 0;
  }

  nameOf(node: Node): string | undefined {
    for (const [name, entry] of node.parent?.entries ?? []) if (entry.node === node) return name;
    return undefined;
  }

  /** Moves, in place of what has the new name already, as rename(2) does. @throws FileError */
  rename(from: Node, oldName: string, to: Node, newName: string): void {
    if (!isFolder(from) || !isFolder(to)) throw new FileError(Errno.NotFolder);
    const node = from.entries.get(oldName)?.node ?? fail(Errno.NoEntry);
    for (let above: Node | undefined = to; above; above = above.parent) if (above === node) throw new FileError(Errno.Invalid);
    const there = to.entries.get(newName)?.node;
    if (there === node) return;
    if (there) {
      if (isFolder(there) && !isFolder(node)) throw new FileError(Errno.IsFolder);
      this.remove(to, newName, isFolder(node) ? 'folder' : 'file');
    }
    this.free(to, newName);
    from.entries.delete(oldName);
    this.add(to, newName, node);
    this.touch(from);
    this.touch(to);
  }

  // ---- contents ----

  read(node: Node, offset: number, count: number): Uint8Array {
    if (offset >= node.size) return new Uint8Array();
    return node.bytes.subarray(offset, Math.min(node.size, offset + count));
  }

  write(node: Node, offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > ADDED_BYTES_MAX) throw new FileError(Errno.FileTooBig);
    this.own(node, Math.max(node.size, end));
    node.bytes.set(bytes, offset);
    node.size = Math.max(node.size, end);
    this.touch(node);
  }

  resize(node: Node, size: number): void {
    if (isFolder(node)) throw new FileError(Errno.IsFolder);
    if (size > ADDED_BYTES_MAX) throw new FileError(Errno.FileTooBig);
    this.own(node, size);
    // What is cut off reads as zeros when the file grows again.
    if (size < node.size) node.bytes.fill(0, size, node.size);
    node.size = size;
    this.touch(node);
  }

  setAttributes(node: Node, changes: { mode?: number; uid?: number; gid?: number; modified?: number }): void {
    if (changes.mode !== undefined) node.mode = (node.mode & S_IFMT) | (changes.mode & PERMISSIONS);
    if (changes.uid !== undefined) node.uid = changes.uid;
    if (changes.gid !== undefined) node.gid = changes.gid;
    if (changes.modified !== undefined) node.modified = changes.modified;
    node.version = (node.version + 1) >>> 0;
  }

  /** Gives a file bytes of its own with room for `size`. */
  private own(node: Node, size: number): void {
    if (node.own && node.bytes.length >= size) return;
    const room = Math.ceil(Math.max(size, node.own ? Math.min(2 * node.bytes.length, ADDED_BYTES_MAX) : 0) / GROWTH) * GROWTH;
    const more = room - (node.own ? node.bytes.length : 0);
    if (this.addedBytes + more > ADDED_BYTES_MAX) throw new FileError(Errno.NoSpace);
    const bytes = new Uint8Array(room);
    bytes.set(node.bytes.subarray(0, Math.min(node.size, size)));
    this.addedBytes += more;
    node.bytes = bytes;
    node.own = true;
  }

  get bytesFree(): number {
    return ADDED_BYTES_MAX - this.addedBytes;
  }

  get nodesFree(): number {
    return ADDED_NODES_MAX - (this.nodes.size - this.initialNodes);
  }

  get nodeCount(): number {
    return this.nodes.size;
  }
}

export const isFolder = (node: Node): boolean => (node.mode & S_IFMT) === S_IFDIR;
export const isLink = (node: Node): boolean => (node.mode & S_IFMT) === S_IFLNK;

function validName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

function fail(errno: Errno): never {
  throw new FileError(errno);
}
