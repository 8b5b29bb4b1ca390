/** Writes ISO 9660 volumes with an El Torito boot catalog (ECMA-119 and "El Torito" 1.0): files in folders with upper-case 8.3 names, enough for boot loaders. */

const SECTOR = 2048;
const SYSTEM_AREA = 16;

export interface BootImage {
  readonly bytes: Uint8Array;
  /** 0 no emulation, 1–3 diskette, 4 hard disk. */
  readonly media?: number;
  /** Sectors of 512 bytes; 4 unless given. */
  readonly sectors?: number;
  readonly segment?: number;
  /** Fill in the boot information table (at offset 8) that ISOLINUX and GRUB want. */
  readonly informationTable?: boolean;
}

interface Folder {
  readonly name: string;
  readonly parent: Folder | undefined;
  readonly folders: Map<string, Folder>;
  readonly files: Map<string, { readonly bytes: Uint8Array; at: number }>;
  at: number;
}

const both16 = (view: DataView, at: number, value: number): void => {
  view.setUint16(at, value, true);
  view.setUint16(at + 2, value, false);
};
const both32 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value, false);
};
const sectorsFor = (bytes: number): number => Math.max(1, Math.ceil(bytes / SECTOR));

function record(name: Uint8Array, at: number, length: number, folder: boolean): Uint8Array {
  const bytes = new Uint8Array((33 + name.length + 1) & ~1);
  const view = new DataView(bytes.buffer);
  bytes[0] = bytes.length;
  both32(view, 2, at);
  both32(view, 10, length);
  bytes.set([126, 1, 1, 0, 0, 0, 0], 18);
  bytes[25] = folder ? 2 : 0;
  both16(view, 28, 1);
  bytes[32] = name.length;
  bytes.set(name, 33);
  return bytes;
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

function folderOf(root: Folder, path: readonly string[]): Folder {
  let folder = root;
  for (const name of path) {
    let next = folder.folders.get(name);
    if (next === undefined) {
      next = { name, parent: folder, folders: new Map(), files: new Map(), at: 0 };
      folder.folders.set(name, next);
    }
    folder = next;
  }
  return folder;
}

function all(folder: Folder): Folder[] {
  return [folder, ...[...folder.folders.values()].flatMap(all)];
}

/** @param files by path ("ISOLINUX/ISOLINUX.CFG"). Their contents are on the disc in the order given, behind the boot image. */
export function isoImage(files: Readonly<Record<string, Uint8Array>>, boot?: BootImage): Uint8Array {
  const root: Folder = { name: '', parent: undefined, folders: new Map(), files: new Map(), at: 0 };
  for (const [path, bytes] of Object.entries(files)) {
    const parts = path.split('/');
    folderOf(root, parts.slice(0, -1)).files.set(parts.at(-1)!, { bytes, at: 0 });
  }
  // Primary descriptor, boot record, terminator; then the catalog, the path tables and the folders (one sector each).
  let next = SYSTEM_AREA + 3;
  const catalogAt = next++, littleAt = next++, bigAt = next++;
  const folders = all(root);
  for (const folder of folders) folder.at = next++;
  const bootAt = next;
  next += boot ? sectorsFor(boot.bytes.length) : 0;
  for (const folder of folders) {
    for (const file of folder.files.values()) {
      file.at = next;
      next += sectorsFor(file.bytes.length);
    }
  }
  const iso = new Uint8Array(next * SECTOR);
  const put = (at: number, bytes: Uint8Array): void => iso.set(bytes, at * SECTOR);

  const pathTable = (littleEndian: boolean): Uint8Array => {
    const entries = folders.map((folder) => {
      const name = folder.parent ? ascii(folder.name) : Uint8Array.of(0);
      const entry = new Uint8Array((8 + name.length + 1) & ~1);
      entry[0] = name.length;
      const view = new DataView(entry.buffer);
      view.setUint32(2, folder.at, littleEndian);
      view.setUint16(6, folder.parent ? folders.indexOf(folder.parent) + 1 : 1, littleEndian);
      entry.set(name, 8);
      return entry;
    });
    return Uint8Array.from(entries.flatMap((entry) => [...entry]));
  };
  const table = pathTable(true);
  put(littleAt, table);
  put(bigAt, pathTable(false));

  for (const folder of folders) {
    const entries = [
      record(Uint8Array.of(0), folder.at, SECTOR, true), record(Uint8Array.of(1), (folder.parent ?? folder).at, SECTOR, true),
      ...[...folder.folders.values()].map((inner) => ({ name: inner.name, bytes: record(ascii(inner.name), inner.at, SECTOR, true) }))
        .concat([...folder.files].map(([name, file]) => ({ name, bytes: record(ascii(`${name};1`), file.at, file.bytes.length, false) })))
        .sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ bytes }) => bytes),
    ];
    put(folder.at, Uint8Array.from(entries.flatMap((entry) => [...entry])));
    for (const file of folder.files.values()) put(file.at, file.bytes);
  }

  const primary = new Uint8Array(SECTOR);
  const view = new DataView(primary.buffer);
  primary.fill(0x20, 8, 72).fill(0x20, 190, 813);
  primary.set([1, ...ascii('CD001'), 1]);
  primary.set(ascii('TEST'), 40);
  both32(view, 80, next);
  both16(view, 120, 1);
  both16(view, 124, 1);
  both16(view, 128, SECTOR);
  both32(view, 132, table.length);
  view.setUint32(140, littleAt, true);
  view.setUint32(148, bigAt, false);
  primary.set(record(Uint8Array.of(0), root.at, SECTOR, true), 156);
  primary[881] = 1;
  put(SYSTEM_AREA, primary);

  if (boot) {
    const bootRecord = new Uint8Array(SECTOR);
    bootRecord.set([0, ...ascii('CD001'), 1, ...ascii('EL TORITO SPECIFICATION')]);
    new DataView(bootRecord.buffer).setUint32(0x47, catalogAt, true);
    put(SYSTEM_AREA + 1, bootRecord);
    put(catalogAt, bootCatalog(boot, bootAt));
    put(bootAt, boot.informationTable ? withInformationTable(boot.bytes, bootAt) : boot.bytes);
  }
  put(SYSTEM_AREA + 2, Uint8Array.from([255, ...ascii('CD001'), 1]));
  // Without a boot record there must be no hole among the descriptors.
  if (!boot) put(SYSTEM_AREA + 1, Uint8Array.from([255, ...ascii('CD001'), 1]));
  return iso;
}

function bootCatalog({ media = 0, sectors = 4, segment = 0 }: BootImage, bootAt: number): Uint8Array {
  const catalog = new Uint8Array(64);
  const view = new DataView(catalog.buffer);
  catalog[0] = 1;
  catalog.set([0x55, 0xaa], 30);
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += view.getUint16(at, true);
  view.setUint16(28, -sum & 0xffff, true);
  catalog[32] = 0x88;
  catalog[33] = media;
  view.setUint16(34, segment, true);
  view.setUint16(38, sectors, true);
  view.setUint32(40, bootAt, true);
  return catalog;
}

/** Sector of the primary descriptor and of the image, its length, and the sum of its words from offset 64 on. */
function withInformationTable(image: Uint8Array, at: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(image.length / 4) * 4);
  bytes.set(image);
  const view = new DataView(bytes.buffer);
  let sum = 0;
  for (let n = 64; n < bytes.length; n += 4) sum = (sum + view.getUint32(n, true)) >>> 0;
  [SYSTEM_AREA, at, image.length, sum].forEach((value, n) => view.setUint32(8 + 4 * n, value, true));
  bytes.fill(0, 24, 64);
  return bytes;
}
