/** From an image's bytes to a disk, by the format that the bytes show; and back to a file with what the guest has written. */
import { MachineError } from '../api';
import { CopyOnWriteDisk } from './copy-on-write';
import { SECTOR_BYTES, type SectorSource } from './disk-file';
import { Qcow2Image, isQcow2 } from './qcow2';
import { RawImage, changedRaw } from './raw';
import { VdiImage, isVdi } from './vdi';
import { VmdkImage, isVmdk, isVmdkDescriptor, refuseDescriptor } from './vmdk';

export type DiskFormat = 'raw' | 'vdi' | 'qcow2' | 'vmdk';

export interface OpenDisk {
  readonly format: DiskFormat;
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

function openSource(file: string, bytes: Uint8Array, backing: SectorSource | undefined): SectorSource {
  switch (diskFormat(bytes)) {
    case 'vdi': return new VdiImage(file, bytes, backing);
    case 'qcow2': return new Qcow2Image(file, bytes, backing);
    case 'vmdk': return isVmdkDescriptor(bytes) ? refuseDescriptor(file, bytes) : new VmdkImage(file, bytes);
    case 'raw': return new RawImage(bytes, SECTOR_BYTES);
  }
}

/**
 * @param file for messages.
 * @param backing the image that this one holds differences to.
 * @throws MachineError that names the file and the field.
 */
export function openDisk(file: string, bytes: Uint8Array, backing?: { readonly file: string; readonly bytes: Uint8Array }): OpenDisk {
  const format = diskFormat(bytes);
  const parent = backing && openSource(backing.file, backing.bytes, undefined);
  const source = openSource(file, bytes, parent);
  const disk = new CopyOnWriteDisk(source);
  return {
    format, disk,
    changed: () => {
      if (source instanceof VdiImage) return source.changed(disk);
      if (format === 'raw') return changedRaw(bytes, disk);
      throw new MachineError('write-back', `${file}: ${format} images can be read only`, 'Convert it to a raw or VDI image to keep what the guest writes: qemu-img convert -O vdi IN OUT.');
    },
  };
}
