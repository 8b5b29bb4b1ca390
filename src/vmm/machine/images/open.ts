/** From an image's bytes to a disk, by the format that the bytes show; and back to a file with what the guest has written. */
import type { NamedFile } from '../../../protocol/messages';
import { MachineError } from '../api';
import { CopyOnWriteDisk } from './copy-on-write';
import { SECTOR_BYTES, type PartName, type SectorSource, type Surroundings } from './disk-file';
import { Qcow2Image, isQcow2, qcow2Names } from './qcow2';
import { RawImage, changedRaw } from './raw';
import { VdiImage, isVdi } from './vdi';
import { isVmdk, openVmdk } from './vmdk';
import { isVmdkDescriptor, vmdkNames } from './vmdk-descriptor';

/** Files that one disk may consist of. */
const PARTS_MAX = 256;

export type DiskFormat = 'raw' | 'vdi' | 'qcow2' | 'vmdk';

export interface OpenDisk {
  readonly format: DiskFormat;
  /** It can be written back in its own format. */
  readonly writable: boolean;
  readonly disk: CopyOnWriteDisk;
  /** The image's bytes with what the guest has written. @throws MachineError for a format that can only be read. */
  changed(): Uint8Array;
}

/** The format by signature; raw is what has none. */
export function diskFormat(bytes: Uint8Array): DiskFormat {
  if (isVdi(bytes)) return 'vdi';
  if (isQcow2(bytes)) return 'qcow2';
  return isVmdk(bytes) || isVmdkDescriptor(bytes) ? 'vmdk' : 'raw';
}

/** Extents, and what the image holds differences to unless that is given by hand (`backed`). @throws MachineError for names that are paths, and for damaged headers */
function namesIn(file: string, bytes: Uint8Array, backed: boolean): readonly PartName[] {
  switch (diskFormat(bytes)) {
    case 'qcow2': return backed ? [] : qcow2Names(file, bytes);
    case 'vmdk': return vmdkNames(file, bytes, backed);
    case 'vdi':
    case 'raw': return [];
  }
}

/**
 * The files that an image names, those that these name, and so on: yields each name, wants the bytes of the file with it beside the image.
 * @param backed what the image holds differences to is given by hand.
 * @throws MachineError for names that are paths, and for damaged headers
 */
export function* imageParts(file: string, bytes: Uint8Array, backed = false): Generator<string, readonly NamedFile[], Uint8Array> {
  const parts = new Map<string, NamedFile>();
  const waiting = [...namesIn(file, bytes, backed)];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { name, raw } = next;
    if (parts.has(name)) continue;
    if (parts.size >= PARTS_MAX) throw new MachineError('disk-image', `${file}: it consists of more than ${PARTS_MAX} files`, 'Convert it to one file first: qemu-img convert -O raw IN OUT.');
    const part = { name, bytes: yield name };
    parts.set(name, part);
    if (!raw) waiting.push(...namesIn(name, part.bytes, false));
  }
  return [...parts.values()];
}

/** @param above images that hold differences to this one, directly or not. */
function openSource(file: string, bytes: Uint8Array, parts: readonly NamedFile[], backing: SectorSource | undefined, above: readonly string[], raw = false): SectorSource {
  const part = (name: string): Uint8Array | undefined => parts.find((one) => one.name === name)?.bytes;
  const around: Surroundings = {
    ...(backing && { backing }),
    bytes: part,
    disk: (name, isRaw) => {
      const found = part(name);
      if (found && above.includes(name)) throw new MachineError('disk-image', `${file}: it holds the differences to ${JSON.stringify(name)}, which in the end holds differences to itself`, 'Give one of them another backing file: qemu-img rebase.');
      return found && openSource(name, found, parts, undefined, [...above, name], isRaw);
    },
  };
  switch (raw ? 'raw' : diskFormat(bytes)) {
    case 'vdi': return new VdiImage(file, bytes, backing);
    case 'qcow2': return new Qcow2Image(file, bytes, around);
    case 'vmdk': return openVmdk(file, bytes, around);
    case 'raw': return new RawImage(bytes, SECTOR_BYTES);
  }
}

/** An image with the files that it names ({@link imageParts}). */
export interface DiskImageFiles {
  /** For messages. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly parts?: readonly NamedFile[];
}

/**
 * @param backing the image that this one holds differences to, instead of the one that it names.
 * @throws MachineError that names the file and the field.
 */
export function openDisk({ file, bytes, parts = [] }: DiskImageFiles, backing?: DiskImageFiles): OpenDisk {
  const format = diskFormat(bytes);
  const parent = backing && openSource(backing.file, backing.bytes, backing.parts ?? [], undefined, []);
  const source = openSource(file, bytes, parts, parent, []);
  const disk = new CopyOnWriteDisk(source);
  return {
    format, disk, writable: format === 'raw' || format === 'vdi',
    changed: () => {
      if (source instanceof VdiImage) return source.changed(disk);
      if (format === 'raw') return changedRaw(bytes, disk);
      throw new MachineError('write-back', `${file}: ${format} images can be read only`, 'Save the changed disk as a raw or VDI image, or convert it before: qemu-img convert -O vdi IN OUT.');
    },
  };
}
