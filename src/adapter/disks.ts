/** What a guest has changed on its disks goes to the files that they came from, or to new ones. The files are those of the launch configuration. */
import type { MachineClient } from '../protocol/client';
import type { DiskJson } from '../protocol/dap';
import type { DiskSaveFormat, WritableDrive } from '../protocol/messages';
import { AdapterError, messageOf } from './adapter-error';
import type { LaunchConfig } from './launch-config';
import type { FileAccess } from './services';

const IDENTITY_BYTES = 32;
const formats: Readonly<Record<string, DiskSaveFormat>> = { vdi: 'vdi', img: 'raw', raw: 'raw', ima: 'raw', flp: 'raw', bin: 'raw', dd: 'raw', hdd: 'raw' };

/** The attribute and the file of a drive. */
function place(drive: WritableDrive, config: LaunchConfig): { readonly attribute: string; readonly path: string } {
  switch (drive) {
    case 'image': return { attribute: 'program', path: config.program };
    case 'floppy': return { attribute: 'fda', path: config.fda! };
    case 'hardDisk': return { attribute: 'hda', path: config.hda! };
    case 'secondDisk': return { attribute: 'hdb', path: config.hdb! };
    default: return { attribute: drive, path: config.virtioDisks[Number(/\d+/.exec(drive)![0])] };
  }
}

export async function disksOf(client: MachineClient, config: LaunchConfig): Promise<DiskJson[]> {
  return (await client.request('drives')).map((summary) => ({ ...summary, ...place(summary.drive, config) }));
}

/** Whether "writeBack" can be kept, before anything runs. @throws AdapterError that names the file */
export async function checkWriteBack(client: MachineClient, config: LaunchConfig, files: FileAccess): Promise<void> {
  if (!config.writeBack) return;
  if (!files.replaceFile) throw new AdapterError('launch.json: "writeBack": files cannot be written here', 'Leave it out.');
  for (const { drive, attribute, path, format, writable } of await disksOf(client, config)) {
    // A program that was assembled is not the file that was named.
    if (drive === 'image' && assembled(config)) continue;
    if (!writable) {
      throw new AdapterError(`launch.json: "writeBack": ${path} ("${attribute}") is a ${format} image, which can only be read`,
        'Leave "writeBack" out and use the command "Ringside: Save Changed Disk As…", or convert the image first: qemu-img convert -O vdi IN OUT.');
    }
  }
}

function assembled({ program }: LaunchConfig): boolean {
  return /\.(?:asm|nasm|s|inc)$/i.test(program);
}

/**
 * Writes every image that the guest has changed; one that fails does not keep the others from being written.
 * @returns the files that were written
 * @throws AdapterError that names those that were not
 */
export async function writeBack(client: MachineClient, config: LaunchConfig, files: FileAccess): Promise<string[]> {
  const written: string[] = [], problems: string[] = [];
  for (const { drive, path, changed } of await disksOf(client, config)) {
    if (!changed || (drive === 'image' && assembled(config))) continue;
    try {
      const bytes = await client.request('changedDrive', { drive });
      if (bytes) await files.replaceFile!(path, bytes);
      written.push(path);
    } catch (error) {
      problems.push(`${path} was not written back: ${messageOf(error)}`);
    }
  }
  if (problems.length > 0) throw new AdapterError(problems.join('\n'), 'Save it elsewhere with the command "Ringside: Save Changed Disk As…"; stopping once more gives it up.');
  return written;
}

/** Saves a disk as a new image, of the kind that its name says. @throws AdapterError */
export async function saveDisk(client: MachineClient, drive: WritableDrive, path: string, files: FileAccess): Promise<void> {
  if (!files.replaceFile) throw new AdapterError('Files cannot be written here');
  const extension = /\.(\w+)$/.exec(path)?.[1].toLowerCase() ?? 'img';
  const format = Object.hasOwn(formats, extension) ? formats[extension] : undefined;
  if (!format) throw new AdapterError(`${path}: a disk can be saved as a raw image (.img, .raw) or a VDI image (.vdi)`, 'Choose one of these names.');
  const bytes = await client.request('saveDrive', { drive, format, identity: crypto.getRandomValues(new Uint8Array(IDENTITY_BYTES)) });
  try {
    await files.replaceFile(path, bytes);
  } catch (error) {
    throw new AdapterError(`${path} cannot be written: ${messageOf(error)}`, 'Choose another place.');
  }
}
