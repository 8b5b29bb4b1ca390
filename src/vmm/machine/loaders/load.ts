/** From a machine's configuration to its BootState: picks the loader, by the configuration or by the file's contents. */
import type { ImageField, MachineConfiguration } from '../../../protocol/messages';
import { MachineError } from '../api';
import { BOOT_ADDRESS } from '../bios/layout';
import { CR0_ET, realModeSegment, type BootDrive, type BootState, type DriveImage, type DriveImages } from './boot-state';
import { detect, driveFor, isCd } from './detect';
import { loadLinux } from './linux';
import { loadMultiboot } from './multiboot';
import { loadMultiboot2 } from './multiboot2';
import type { Module } from './placement';
import { loadPvh } from './pvh';

const hex = (value: number): string => `0x${value.toString(16)}`;
const REAL_MODE_END = 0x100000, SCREEN_AND_ROM = 0xa0000;

type Configuration = Pick<MachineConfiguration, 'name' | 'image' | 'boot' | 'loadAddress' | 'entry' | 'commandLine' | 'modules' | 'initrd' | 'floppy' | 'hardDisk' | 'secondDisk' | 'hardDiskBacking' | 'cdrom' | 'bios' | 'virtioDisks' | 'imageParts'>;

const loaders = { multiboot: loadMultiboot, multiboot2: loadMultiboot2, pvh: loadPvh };

/** Throws MachineError for input that cannot be started. */
export function prepareBoot(configuration: Configuration, ramBytes: number): BootState {
  const { name, image } = configuration;
  const drives = drivesOf(configuration);
  // A machine with drives and no program boots from them.
  if (image.length === 0 && (configuration.boot === 'auto' || configuration.boot === 'disk') && (drives.floppy ?? drives.hardDisk ?? drives.cdrom ?? drives.virtioDisks?.[0]) !== undefined) return { kind: 'disk', chunks: [], drives };
  if (image.length === 0 && configuration.bios) return { kind: 'disk', chunks: [], drives };
  if (image.length === 0) throw new MachineError('empty', `${name}: is empty`, 'Assemble or build it first.');
  // An explicit address means that the bytes are to be put there.
  const wanted = configuration.boot === 'auto' && configuration.loadAddress !== undefined ? 'flat' : configuration.boot;
  const kind = wanted === 'auto' ? detect(name, image).kind : wanted;
  if (configuration.bios && kind !== 'disk') throw new MachineError('bios', `${name}: is no disk image, and a BIOS image boots from disks`, 'Leave the BIOS image out.');
  switch (kind) {
    case 'multiboot':
    case 'multiboot2':
    case 'pvh': return { ...loaders[kind]({ file: name, bytes: image, ramBytes, commandLine: configuration.commandLine, modules: allModules(configuration) }), drives };
    case 'linux':
    case 'linux64': {
      const { commandLine, initrd } = configuration;
      return { ...loadLinux({ file: name, bytes: image, ramBytes, commandLine, initrd, ...(kind === 'linux64' && { entry: 'long' }) }), drives };
    }
    case 'disk': return diskBoot(configuration, detectDrive(name, image), drives);
    case 'cdrom': return diskBoot(configuration, 'cdrom', drives);
    case 'flat': return { ...flatBoot(configuration, ramBytes), drives };
    case 'asm': throw new MachineError('source', `${name}: is assembly source, not a program`, 'Assemble it first (ringside asm), or start it with F5 or ringside run, which assemble it.');
  }
}

/** An initial ramdisk is the first module of kernels that know modules alone. */
function allModules({ modules = [], initrd }: Configuration): readonly Module[] {
  return initrd ? [{ name: 'initrd', bytes: initrd }, ...modules] : modules;
}

/** The drives that the configuration names. */
function drivesOf({ floppy, hardDisk, secondDisk, hardDiskBacking, cdrom, virtioDisks, imageParts }: Configuration): DriveImages {
  const image = (field: ImageField, bytes: Uint8Array | undefined): DriveImage | undefined => bytes && { field, file: field, bytes, parts: imageParts?.[field] };
  return {
    floppy: image('floppy', floppy), hardDisk: image('hardDisk', hardDisk), secondDisk: image('secondDisk', secondDisk), cdrom: cdrom && { field: 'cdrom', file: 'cdrom', bytes: cdrom },
    backing: image('hardDiskBacking', hardDiskBacking), virtioDisks: virtioDisks?.map((bytes, n) => image(`virtioDisks[${n}]`, bytes)!),
  };
}

/** The drive of an image that is to boot as a disk, whatever else it could be. */
function detectDrive(file: string, image: Uint8Array): BootDrive {
  return isCd(file, image) ? 'cdrom' : driveFor(image);
}

const driveNames: Readonly<Record<BootDrive, string>> = { floppy: 'a diskette', hardDisk: 'a hard disk', cdrom: 'a CD' };

/** The image is in a drive of its own; a drive that the configuration names as well keeps its place. */
function diskBoot({ name, image, imageParts }: Configuration, drive: BootDrive, drives: DriveImages): BootState {
  if (drives[drive] !== undefined) {
    throw new MachineError('drive', `${name}: is ${driveNames[drive]} image, and another one is configured as ${drive}`, 'Leave one of them out.');
  }
  return { kind: 'disk', chunks: [], bootDrive: drive, drives: { ...drives, [drive]: { field: 'image', file: name, bytes: image, parts: imageParts?.image } } };
}

/** Bytes at an address in real mode, registers as a BIOS leaves them to a boot sector. */
function flatBoot({ name, image, loadAddress = BOOT_ADDRESS, entry = loadAddress, floppy, hardDisk }: Configuration, ramBytes: number): BootState {
  if (!Number.isInteger(loadAddress) || loadAddress < 0 || loadAddress + image.length > ramBytes) {
    throw new MachineError('load-range', `${name}: ${image.length} bytes at loadAddress ${hex(loadAddress)} do not fit into ${ramBytes / 0x100000} MiB of memory`, 'Choose a lower address or more memory.');
  }
  if (loadAddress < REAL_MODE_END && loadAddress + image.length > SCREEN_AND_ROM) {
    throw new MachineError('load-range', `${name}: ${image.length} bytes at loadAddress ${hex(loadAddress)} reach into the screen and ROM area ${hex(SCREEN_AND_ROM)}–${hex(REAL_MODE_END - 1)}`, 'Choose a lower address, or one from 0x100000 on.');
  }
  if (!Number.isInteger(entry) || entry < 0 || entry >= REAL_MODE_END) {
    throw new MachineError('entry', `${name}: entry ${hex(entry)} cannot be reached in real mode, in which a flat image starts`, 'Give an entry below 0x100000, or make it a multiboot kernel, which starts in protected mode.');
  }
  // 0000:offset in the first 64 KiB, as a boot sector expects; above, the segment of the 64 KiB block.
  const segment = (entry >> 4) & 0xf000;
  const zero = realModeSegment(0);
  const drive = hardDisk !== undefined || floppy === undefined ? 0x80 : 0x00;
  return {
    kind: 'flat',
    chunks: [{ what: name, address: loadAddress, bytes: image }],
    registers: {
      general: [0, 0, drive, 0, BOOT_ADDRESS, 0, 0, 0], eip: entry & 0xffff, eflags: 0x202, cr0: CR0_ET, segments: [zero, realModeSegment(segment), zero, zero, zero, zero],
    },
  };
}
