/** The media in the machine's drives: opened once, and seen by the BIOS's services and by the controllers' registers alike. */
import type { DiskSaveFormat, DriveSummary, WritableDrive } from '../../protocol/messages';
import type { DiskImage } from '../devices/device';
import type { IdeUnit } from '../devices/ide/piix-ide';
import type { BiosDrive } from './bios/host';
import { MachineError } from './api';
import { floppyDisk, hardDiskGeometry, type Geometry } from './disk';
import { CopyOnWriteDisk } from './images/copy-on-write';
import { openDisk, type OpenDisk } from './images/open';
import { RawImage, changedRaw } from './images/raw';
import { savedDisk } from './images/save';
import type { DriveImages } from './loaders/boot-state';

const CD_SECTOR = 2048;

export class Drives {
  readonly floppy: { readonly disk: CopyOnWriteDisk; readonly geometry: Geometry; readonly cmosType: number } | undefined;
  readonly disc: DiskImage | undefined;
  private readonly hardDisk: OpenDisk | undefined;
  private readonly secondDisk: OpenDisk | undefined;
  private readonly virtio: readonly OpenDisk[];

  /** @throws MachineError that names file and field of an image that cannot be used. */
  constructor(private readonly images: DriveImages = {}) {
    const { floppy, hardDisk, secondDisk, cdrom, backing, virtioDisks = [] } = images;
    this.floppy = floppy && floppyDisk(floppy.bytes);
    this.hardDisk = hardDisk && openDisk(hardDisk, backing);
    this.secondDisk = secondDisk && openDisk(secondDisk);
    this.virtio = virtioDisks.map((image) => openDisk(image));
    this.disc = cdrom && new CopyOnWriteDisk(new RawImage(cdrom.bytes, CD_SECTOR));
  }

  get hasHardDisk(): boolean {
    return this.hardDisk !== undefined;
  }

  get virtioDisks(): readonly DiskImage[] {
    return this.virtio.map(({ disk }) => disk);
  }

  /** Disks on the first cable, the CD drive on the second one. */
  units(): [IdeUnit?, IdeUnit?, IdeUnit?, IdeUnit?] {
    const disk = (open: OpenDisk | undefined): IdeUnit | undefined => open && { disk: open.disk };
    return [disk(this.hardDisk), disk(this.secondDisk), { cdrom: this.disc }];
  }

  /** Drives by BIOS number; the virtio disks are the hard disks behind those on the cable. */
  biosDrives(): Map<number, BiosDrive> {
    const drives = new Map<number, BiosDrive>();
    if (this.floppy) drives.set(0x00, this.floppy);
    [this.hardDisk, this.secondDisk, ...this.virtio].flatMap((open) => (open ? [open.disk] : [])).forEach((disk, n) => drives.set(0x80 + n, { disk, geometry: hardDiskGeometry(disk) }));
    return drives;
  }

  /** What a guest can write to. */
  private writable(): { readonly drive: WritableDrive; readonly open: OpenDisk; readonly file: string }[] {
    const { floppy, hardDisk, secondDisk, virtioDisks = [] } = this.images;
    const diskette = this.floppy && { format: 'raw', writable: true, disk: this.floppy.disk, changed: () => changedRaw(floppy!.bytes, this.floppy!.disk) } as const;
    return ([[floppy, diskette], [hardDisk, this.hardDisk], [secondDisk, this.secondDisk], ...virtioDisks.map((image, n) => [image, this.virtio[n]] as const)] as const)
      .flatMap(([image, open]) => (image && open ? [{ drive: image.field as WritableDrive, open, file: image.file }] : []));
  }

  private find(drive: WritableDrive): ReturnType<Drives['writable']>[number] {
    const found = this.writable().find((one) => one.drive === drive);
    if (!found) throw new MachineError('drive', `There is no disk "${drive}"`);
    return found;
  }

  summaries(): DriveSummary[] {
    return this.writable().map(({ drive, open: { format, writable, disk } }) => ({ drive, format, writable, changed: disk.changed }));
  }

  /** The image with what the guest has written; undefined when it has written nothing. @throws MachineError for formats that can only be read. */
  changed(drive: WritableDrive): Uint8Array | undefined {
    const { open } = this.find(drive);
    return open.disk.changed ? open.changed() : undefined;
  }

  /** The disk as a new image. @param identity 32 random bytes. @throws MachineError when it is too large or cannot be read. */
  saved(drive: WritableDrive, format: DiskSaveFormat, identity: Uint8Array): Uint8Array {
    const { open, file } = this.find(drive);
    return savedDisk(file, open.disk, format, identity);
  }
}
