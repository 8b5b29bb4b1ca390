/** A whole disk as a new image, whatever format it was read from: raw, or a growing VDI without its empty blocks. */
import type { DiskSaveFormat } from '../../../protocol/messages';
import { MachineError } from '../api';
import type { CopyOnWriteDisk } from './copy-on-write';
import { DamagedSector, SECTOR_BYTES } from './disk-file';
import { VDI_BLOCK_BYTES, vdiFrom } from './vdi-writer';

const BYTES_MAX = 2 ** 31;
/** Larger disks would take too long to look through. */
const DISK_BYTES_MAX = 2 ** 37;

/**
 * @param identity 32 random bytes: an image's identities must be no other one's.
 * @throws MachineError that names the disk when it is too large or cannot be read.
 */
export function savedDisk(file: string, disk: CopyOnWriteDisk, format: DiskSaveFormat, identity: Uint8Array): Uint8Array {
  const refuse = (problem: string, advice: string): never => {
    throw new MachineError('save', `${file}: ${problem}; it was not saved`, advice);
  };
  const bytes = disk.sectors * disk.sectorSize;
  if (bytes > DISK_BYTES_MAX) refuse('it is larger than 128 GiB', 'Write its changes back instead ("writeBack").');
  const blocks = blocksOf(disk, refuse);
  if (format === 'vdi') {
    return vdiFrom(bytes, blocks, identity) ?? refuse('it holds more than 2 GiB', 'Write its changes back instead ("writeBack").');
  }
  if (bytes > BYTES_MAX) refuse('as a raw image it has more than 2 GiB', 'Save it as a VDI image, which leaves out what is empty.');
  const result = new Uint8Array(bytes);
  for (const { number, data } of blocks) result.set(data, number * VDI_BLOCK_BYTES);
  return result;
}

/** The blocks that are not empty, in order. */
function* blocksOf(disk: CopyOnWriteDisk, refuse: (problem: string, advice: string) => never): Generator<{ readonly number: number; readonly data: Uint8Array }> {
  const perBlock = VDI_BLOCK_BYTES / disk.sectorSize;
  for (let number = 0; number * perBlock < disk.sectors; number++) {
    let data: Uint8Array;
    try {
      data = disk.read(number * perBlock, Math.min(perBlock, disk.sectors - number * perBlock));
    } catch (error) {
      if (!(error instanceof DamagedSector)) throw error;
      return refuse(`the sectors from ${number * perBlock} on cannot be read (${error.message})`, 'Repair the image with the program that made it.');
    }
    if (!isEmpty(data)) yield { number, data };
  }
}

function isEmpty(data: Uint8Array): boolean {
  const words = new Float64Array(data.buffer, data.byteOffset, data.length >> 3);
  // Any bit that is set makes a number other than +0: -0 is told from it by its reciprocal.
  for (let n = 0; n < words.length; n++) if (words[n] !== 0 || 1 / words[n] < 0) return false;
  return data.length % SECTOR_BYTES === 0;
}
