/** From the command line's files to a machine's configuration: reads them, finds out what the program is, and assembles source text. */
import path from 'node:path';
import type { ImageField, MachineConfiguration, NamedFile, WritableDrive } from '../protocol/messages';
import { BOOT_ADDRESS } from '../vmm/machine/bios/layout';
import { diskFormat, imageParts as partNames, openDisk, type DiskImageFiles } from '../vmm/machine/images/open';
import { detect } from '../vmm/machine/loaders/detect';
import { assembleFile, diagnosticsText, requireAssembled } from './assemble';
import { CliError } from './errors';
import { readInput } from './files';
import { sharedFolder } from './shared-folder';

export interface GuestOptions {
  readonly memory?: number;
  readonly mmu: 'shadow';
  readonly processors?: number;
  readonly cpu?: string;
  readonly pace: 'realtime' | 'max';
  readonly append?: string;
  readonly initrd?: string;
  readonly fda?: string;
  readonly hda?: string;
  readonly hdaBacking?: string;
  readonly hdb?: string;
  readonly cdrom?: string;
  readonly bios?: string;
  readonly vgaBios?: string;
  readonly virtioDisk?: readonly string[];
  readonly virtioConsole?: boolean;
  readonly network?: 'none' | 'loopback' | 'internet';
  readonly share?: string;
  readonly loadAddress?: number;
  readonly maxInstructions?: number;
  readonly translation?: MachineConfiguration['translation'];
}

type Boot = Pick<MachineConfiguration, 'image' | 'boot' | 'loadAddress' | 'entry'>;

const sourceExtensions = /\.(?:asm|nasm|s|inc)$/i;
const SIGNATURE_OFFSET = 510;
/** Kernels that take a command line and a ramdisk or module. */
const kernelKinds = ['multiboot', 'multiboot2', 'linux', 'pvh'] as const;

/** Guest memory unless --memory says otherwise. */
export const MEMORY_MIB = 32, LINUX_MEMORY_MIB = 256;

/** @throws CliError, MachineError */
export function guestConfiguration(file: string | undefined, options: GuestOptions): MachineConfiguration {
  const named = options.hda ?? options.fda ?? options.cdrom ?? options.virtioDisk?.[0];
  if (file === undefined && named === undefined && options.bios === undefined) throw new CliError('There is nothing to run', 'Name a file, or give --hda, --fda, --cdrom or --virtio-disk an image to boot from.');
  const boot = file === undefined ? { image: new Uint8Array(), boot: 'auto' as const } : program(file, options.loadAddress);
  const kernel = kernelKinds.find((kind) => kind === boot.boot);
  if (!kernel) {
    const given = (['append', 'initrd'] as const).find((option) => options[option] !== undefined);
    if (given) throw new CliError(`--${given} is for Linux and multiboot kernels; ${file ?? named} is none`, 'Leave it out.');
  }
  const initrd = options.initrd === undefined ? undefined : { name: path.basename(options.initrd), bytes: readInput(options.initrd) };
  const imageParts: Partial<Record<ImageField, readonly NamedFile[]>> = {};
  const disk = (field: ImageField, file: string, backed = false): Uint8Array => {
    const bytes = readInput(file);
    imageParts[field] = partsOf(file, bytes, backed);
    return bytes;
  };
  const backed = options.hdaBacking !== undefined;
  if (file !== undefined && boot.boot === 'disk') imageParts.image = partsOf(file, boot.image, backed);
  const disks = {
    ...(options.hdaBacking !== undefined && { hardDiskBacking: disk('hardDiskBacking', options.hdaBacking) }),
    ...(options.hda !== undefined && { hardDisk: disk('hardDisk', options.hda, backed) }),
    ...(options.hdb !== undefined && { secondDisk: disk('secondDisk', options.hdb) }),
    ...(options.virtioDisk && { virtioDisks: options.virtioDisk.map((path, n) => disk(`virtioDisks[${n}]`, path)) }),
  };
  checkDisks(options, disks, imageParts);
  return {
    name: path.basename(file ?? named ?? options.bios ?? ''), memoryMiB: options.memory ?? (boot.boot === 'linux' ? LINUX_MEMORY_MIB : MEMORY_MIB), mmu: options.mmu, pace: options.pace, ...boot,
    ...(options.fda !== undefined && { floppy: diskette(options.fda) }),
    ...disks, imageParts,
    ...(options.cdrom !== undefined && { cdrom: readInput(options.cdrom) }),
    ...(options.bios !== undefined && { bios: readInput(options.bios) }),
    ...(options.vgaBios !== undefined && { vgaBios: readInput(options.vgaBios) }),
    ...(options.virtioConsole && { virtioConsole: true }),
    ...(options.network !== undefined && { network: options.network }),
    ...(options.share !== undefined && { sharedFolder: sharedFolder(options.share) }),
    ...(options.append !== undefined && { commandLine: options.append }),
    ...(initrd && (kernel === 'linux' ? { initrd: initrd.bytes } : { modules: [initrd] })),
    ...(options.processors !== undefined && { processors: options.processors }),
    ...(options.cpu !== undefined && { cpuModel: options.cpu }),
    ...(options.translation !== undefined && { translation: options.translation }),
    ...(options.maxInstructions !== undefined && { maxInstructions: options.maxInstructions }),
  };
}

function program(file: string, loadAddress: number | undefined): Boot {
  if (sourceExtensions.test(file)) return assembled(file, loadAddress);
  const image = readInput(file);
  if (image.length > 0 && loadAddress !== undefined) return { image, boot: 'flat', loadAddress, entry: loadAddress };
  const { kind } = detect(file, image);
  if (kind === 'asm') return assembled(file, loadAddress);
  return { image, boot: kind };
}

/** A boot sector boots as one; other output is loaded where it was assembled for. */
function assembled(file: string, given: number | undefined): Boot {
  const { bytes, origin, diagnostics, text } = requireAssembled(file, assembleFile(file, { format: 'bin' }));
  if (diagnostics.length > 0) console.error(diagnosticsText(diagnostics, { path: file, text }));
  if (bytes.length === 0) throw new CliError(`${file} assembles to nothing`, 'A program needs at least one instruction.');
  const signature = bytes[SIGNATURE_OFFSET] === 0x55 && bytes[SIGNATURE_OFFSET + 1] === 0xaa;
  if (signature && given === undefined && (origin === BOOT_ADDRESS || origin === 0)) return { image: bytes, boot: 'disk' };
  const loadAddress = given ?? (origin === 0 ? BOOT_ADDRESS : origin);
  return { image: bytes, boot: 'flat', loadAddress, entry: loadAddress };
}

/** A drive whose contents the guest may change, and the file that it was read from. */
export interface DriveFile {
  readonly drive: WritableDrive;
  readonly path: string;
}

/** The files to write to for --write-back. @throws CliError for images that can only be read */
export function writableFiles(file: string | undefined, options: Pick<GuestOptions, 'fda' | 'hda' | 'hdb' | 'virtioDisk'>, { boot }: MachineConfiguration): DriveFile[] {
  const program = file !== undefined && boot === 'disk' && !sourceExtensions.test(file) ? [{ drive: 'image' as const, path: file }] : [];
  const named = ([['floppy', options.fda], ['hardDisk', options.hda], ['secondDisk', options.hdb]] as const)
    .flatMap(([drive, path]) => (path === undefined ? [] : [{ drive, path }]));
  const virtio = (options.virtioDisk ?? []).map((path, n) => ({ drive: `virtioDisks[${n}]` as const, path }));
  const files = [...program, ...named, ...virtio];
  for (const { path } of files) {
    const format = diskFormat(readInput(path));
    if (format !== 'raw' && format !== 'vdi') throw new CliError(`--write-back: ${path} is a ${format} image, which can only be read`, 'Convert it first: qemu-img convert -O vdi IN OUT.');
  }
  return files;
}

/** An image for --fda: nothing that is a container of another format. */
function diskette(file: string): Uint8Array {
  const bytes = readInput(file);
  detect(file, bytes);
  return bytes;
}

/** The files beside an image that it names. @throws CliError, MachineError */
function partsOf(file: string, bytes: Uint8Array, backed: boolean): readonly NamedFile[] {
  const parts = partNames(file, bytes, backed);
  let next = parts.next();
  while (next.done !== true) next = parts.next(readInput(path.join(path.dirname(file), next.value)));
  return next.value;
}

/** Opens the disks once, so that a complaint names the file. */
function checkDisks(options: GuestOptions, disks: Pick<MachineConfiguration, 'hardDisk' | 'hardDiskBacking' | 'secondDisk' | 'virtioDisks'>, parts: NonNullable<MachineConfiguration['imageParts']>): void {
  const opened = (field: ImageField, file: string | undefined, bytes: Uint8Array | undefined): DiskImageFiles | undefined => (file === undefined || bytes === undefined ? undefined : { file, bytes, parts: parts[field] });
  const backing = opened('hardDiskBacking', options.hdaBacking, disks.hardDiskBacking);
  const hardDisk = opened('hardDisk', options.hda, disks.hardDisk);
  if (hardDisk) openDisk(hardDisk, backing);
  const others = [opened('secondDisk', options.hdb, disks.secondDisk), ...(disks.virtioDisks ?? []).map((bytes, n) => opened(`virtioDisks[${n}]`, options.virtioDisk?.[n], bytes))];
  for (const disk of others) if (disk) openDisk(disk);
}
