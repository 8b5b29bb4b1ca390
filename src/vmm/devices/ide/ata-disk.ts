/** A hard disk with the general feature set of ATA/ATAPI-6 (T13/1410D), 48-bit addresses, multiple sectors, DMA, power management and the minimum of SMART. */
import type { DiskImage } from '../device';
import { DriveError, IdeDrive, Status, type Cable, type DmaPort, type Step } from './drive';
import { identifyData, multiwordWord, selectTransferMode, ultraWord, type TransferMode } from './identify';

const SECTOR = 512;
const MULTIPLE_MAX = 16;
const LBA = 0x40;
/** Sectors that a DMA transfer handles at once. */
const DMA_SECTORS = 128;
/** LBA mid and high of every SMART command; RETURN STATUS leaves them so while the disk is healthy. */
const SMART_SIGNATURE = [0x4f, 0xc2];

type Access = 'read' | 'write' | 'verify';

interface DiskState extends TransferMode {
  /** Geometry of INITIALIZE DEVICE PARAMETERS. */
  heads: number;
  sectorsPerTrack: number;
  multiple: number;
  writeCache: boolean;
  readAhead: boolean;
  smart: boolean;
  standby: boolean;
  /** The transfer under way. */
  lba: number;
  remaining: number;
  block: number;
  access: Access;
}

interface AtaCommand {
  readonly name: string;
  readonly run: (disk: AtaDisk) => void;
}

const pio = (access: Access, extended: boolean, multiple = false) => (disk: AtaDisk): void => disk.startPio(access, extended, multiple);
const dma = (access: Access, extended: boolean) => (disk: AtaDisk): void => disk.startDma(access, extended);
const nothing = (disk: AtaDisk): void => disk.succeed();

/** Commands by code; whatever is not here is aborted. */
export const ataCommands: ReadonlyMap<number, AtaCommand> = new Map<number, AtaCommand>([
  ...Array.from({ length: 16 }, (_, n): [number, AtaCommand] => [0x10 + n, { name: 'RECALIBRATE', run: nothing }]),
  ...Array.from({ length: 16 }, (_, n): [number, AtaCommand] => [0x70 + n, { name: 'SEEK', run: (disk) => disk.seek() }]),
  ...[0x20, 0x21].map((code): [number, AtaCommand] => [code, { name: 'READ SECTORS', run: pio('read', false) }]),
  [0x24, { name: 'READ SECTORS EXT', run: pio('read', true) }],
  [0x25, { name: 'READ DMA EXT', run: dma('read', true) }],
  [0x29, { name: 'READ MULTIPLE EXT', run: pio('read', true, true) }],
  ...[0x30, 0x31].map((code): [number, AtaCommand] => [code, { name: 'WRITE SECTORS', run: pio('write', false) }]),
  [0x34, { name: 'WRITE SECTORS EXT', run: pio('write', true) }],
  [0x35, { name: 'WRITE DMA EXT', run: dma('write', true) }],
  [0x39, { name: 'WRITE MULTIPLE EXT', run: pio('write', true, true) }],
  [0x3d, { name: 'WRITE DMA FUA EXT', run: dma('write', true) }],
  ...[0x40, 0x41].map((code): [number, AtaCommand] => [code, { name: 'READ VERIFY SECTORS', run: (disk) => disk.verify(false) }]),
  [0x42, { name: 'READ VERIFY SECTORS EXT', run: (disk) => disk.verify(true) }],
  [0x91, { name: 'INITIALIZE DEVICE PARAMETERS', run: (disk) => disk.initializeParameters() }],
  [0xb0, { name: 'SMART', run: (disk) => disk.smart() }],
  [0xc4, { name: 'READ MULTIPLE', run: pio('read', false, true) }],
  [0xc5, { name: 'WRITE MULTIPLE', run: pio('write', false, true) }],
  [0xc6, { name: 'SET MULTIPLE MODE', run: (disk) => disk.setMultiple() }],
  ...[0xc8, 0xc9].map((code): [number, AtaCommand] => [code, { name: 'READ DMA', run: dma('read', false) }]),
  ...[0xca, 0xcb].map((code): [number, AtaCommand] => [code, { name: 'WRITE DMA', run: dma('write', false) }]),
  [0xce, { name: 'WRITE MULTIPLE FUA EXT', run: pio('write', true, true) }],
  ...[0x94, 0x96, 0xe0, 0xe2].map((code): [number, AtaCommand] => [code, { name: 'STANDBY', run: (disk) => disk.power(true) }]),
  ...[0x95, 0x97, 0xe1, 0xe3].map((code): [number, AtaCommand] => [code, { name: 'IDLE', run: (disk) => disk.power(false) }]),
  ...[0x98, 0xe5].map((code): [number, AtaCommand] => [code, { name: 'CHECK POWER MODE', run: (disk) => disk.checkPower() }]),
  ...[0x99, 0xe6].map((code): [number, AtaCommand] => [code, { name: 'SLEEP', run: (disk) => disk.power(true) }]),
  [0xe7, { name: 'FLUSH CACHE', run: nothing }],
  [0xea, { name: 'FLUSH CACHE EXT', run: nothing }],
  [0xec, { name: 'IDENTIFY DEVICE', run: (disk) => disk.identify() }],
  [0xef, { name: 'SET FEATURES', run: (disk) => disk.setFeatures() }],
]);

export class AtaDisk extends IdeDrive<DiskState> {
  /** Default translation: what IDENTIFY reports as the drive's own geometry. */
  private readonly cylinders: number;

  constructor(cable: Cable, private readonly image: DiskImage, private readonly serial: string) {
    super(cable, () => ({
      heads: 16, sectorsPerTrack: 63, multiple: 0, writeCache: true, readAhead: true, smart: true, standby: false, multiwordDma: 4, ultraDma: 0, lba: 0, remaining: 0, block: 1,
      access: 'read',
    }));
    this.cylinders = Math.max(1, Math.min(16383, Math.floor(image.sectors / (16 * 63))));
  }

  protected signature(): void {
    const s = this.state;
    Object.assign(s, { error: 1, count: [1, 0], low: [1, 0], mid: [0, 0], high: [0, 0] });
  }

  protected execute(command: number): void {
    const found = ataCommands.get(command);
    if (found === undefined) this.fail(DriveError.aborted);
    else found.run(this);
  }

  // ---- sectors ----

  /** First sector and number of sectors in the task file. Undefined for a CHS address that the geometry does not have. */
  private address(extended: boolean): { lba: number; count: number } | undefined {
    const { count, low, mid, high, device, heads, sectorsPerTrack } = this.state;
    if (extended) {
      return { lba: (high[1] * 0x10000 + (mid[1] << 8 | low[1])) * 0x1000000 + (high[0] << 16 | mid[0] << 8 | low[0]), count: (count[1] << 8 | count[0]) || 0x10000 };
    }
    const sectors = count[0] || 0x100;
    if (device & LBA) return { lba: (device & 15) * 0x1000000 + (high[0] << 16 | mid[0] << 8 | low[0]), count: sectors };
    const head = device & 15, sector = low[0];
    if (head >= heads || sector === 0 || sector > sectorsPerTrack) return undefined;
    return { lba: ((high[0] << 8 | mid[0]) * heads + head) * sectorsPerTrack + sector - 1, count: sectors };
  }

  /** Takes the address of the task file; false after an error. A transfer that runs over the end goes up to there before it fails. */
  private begin(access: Access, extended: boolean, block: number): boolean {
    const s = this.state;
    s.standby = false;
    const address = this.address(extended);
    if (address === undefined || address.lba >= this.image.sectors) {
      this.fail(DriveError.idNotFound);
      return false;
    }
    Object.assign(s, { lba: address.lba, remaining: address.count, block, access });
    return true;
  }

  startPio(access: Access, extended: boolean, multiple: boolean): void {
    const s = this.state;
    if (multiple && s.multiple === 0) {
      this.fail(DriveError.aborted);
      return;
    }
    if (!this.begin(access, extended, multiple ? s.multiple : 1)) return;
    if (access === 'read') this.readBlock();
    else this.want(this.blockSectors() * SECTOR, false);
  }

  startDma(access: Access, extended: boolean): void {
    if (this.begin(access, extended, DMA_SECTORS)) this.awaitDma();
  }

  verify(extended: boolean): void {
    if (!this.begin('verify', extended, DMA_SECTORS)) return;
    const s = this.state;
    while (s.remaining > 0) if (this.sectorsFromImage() === undefined) return;
    this.finish();
  }

  seek(): void {
    const address = this.address(false);
    if (address === undefined || address.lba >= this.image.sectors) this.fail(DriveError.idNotFound);
    else this.done();
  }

  private blockSectors(): number {
    return Math.min(this.state.block, this.state.remaining);
  }

  /** The next block's bytes; undefined after an error, which has been reported. */
  private sectorsFromImage(): Uint8Array | undefined {
    const s = this.state;
    const count = Math.min(this.blockSectors(), this.image.sectors - s.lba);
    if (count <= 0) {
      this.failAt(DriveError.idNotFound);
      return undefined;
    }
    let bytes: Uint8Array;
    try {
      bytes = this.image.read(s.lba, count);
    } catch {
      // The image is damaged there: what a disk says of a bad sector.
      this.failAt(DriveError.uncorrectable);
      return undefined;
    }
    s.lba += count;
    s.remaining -= count;
    return bytes;
  }

  private toImage(bytes: Uint8Array): boolean {
    const s = this.state;
    const count = Math.floor(bytes.length / SECTOR);
    if (s.lba + count > this.image.sectors) {
      this.failAt(DriveError.idNotFound);
      return false;
    }
    try {
      this.image.write(s.lba, bytes.subarray(0, count * SECTOR));
    } catch {
      this.failAt(DriveError.aborted);
      this.state.status |= Status.fault;
      return false;
    }
    s.lba += count;
    s.remaining -= count;
    return true;
  }

  private readBlock(): void {
    const bytes = this.sectorsFromImage();
    if (bytes) this.offer(bytes);
  }

  protected bufferDone(): void {
    const s = this.state;
    if (s.direction === 'out') this.later('blockWritten');
    else if (s.remaining > 0) this.later('blockRead');
    else s.status = Status.ready | Status.seekComplete;
  }

  protected continueWith(step: Step): void {
    const s = this.state;
    if (step === 'blockRead') {
      this.readBlock();
    } else if (step === 'blockWritten') {
      if (!this.toImage(Uint8Array.from(s.buffer))) return;
      if (s.remaining > 0) this.want(this.blockSectors() * SECTOR, true);
      else this.finish();
    }
  }

  /** A table that is too short leaves the drive waiting, as on hardware: software resets it. */
  transfer(bus: DmaPort): void {
    const s = this.state;
    while (s.remaining > 0) {
      if (s.access === 'read') {
        const bytes = this.sectorsFromImage();
        if (bytes === undefined) return;
        if (bus.write(bytes) < bytes.length) return;
      } else {
        const wanted = this.blockSectors() * SECTOR;
        const bytes = bus.read(wanted);
        if (bytes.length >= SECTOR && !this.toImage(bytes)) return;
        if (bytes.length < wanted) return;
      }
    }
    s.step = undefined;
    this.finish();
  }

  private finish(): void {
    this.state.count = [0, 0];
    this.done();
  }

  /** An error in the middle: the task file names the sector. */
  private failAt(error: number): void {
    const s = this.state;
    s.step = undefined;
    s.count = [s.remaining & 0xff, (s.remaining >> 8) & 0xff];
    const [low, high] = [s.lba % 0x1000000, Math.floor(s.lba / 0x1000000)];
    s.low = [low & 0xff, high & 0xff];
    s.mid = [(low >> 8) & 0xff, (high >> 8) & 0xff];
    s.high = [low >> 16, high >> 16];
    if (s.device & LBA) s.device = (s.device & 0xf0) | (high & 15);
    this.fail(error);
  }

  // ---- everything else ----

  succeed(): void {
    this.done();
  }

  initializeParameters(): void {
    const s = this.state;
    s.heads = (s.device & 15) + 1;
    s.sectorsPerTrack = s.count[0];
    if (s.sectorsPerTrack === 0) this.fail(DriveError.aborted);
    else this.done();
  }

  setMultiple(): void {
    const [count] = this.state.count;
    if (count > MULTIPLE_MAX || (count & (count - 1)) !== 0) {
      this.fail(DriveError.aborted);
      return;
    }
    this.state.multiple = count;
    this.done();
  }

  power(standby: boolean): void {
    this.state.standby = standby;
    this.done();
  }

  checkPower(): void {
    this.state.count = [this.state.standby ? 0x00 : 0xff, 0];
    this.done();
  }

  setFeatures(): void {
    const s = this.state;
    switch (s.features[0]) {
      case 0x02: s.writeCache = true; break;
      case 0x82: s.writeCache = false; break;
      case 0x55: s.readAhead = false; break;
      case 0xaa: s.readAhead = true; break;
      case 0x03:
        if (selectTransferMode(s, s.count[0])) break;
        this.fail(DriveError.aborted);
        return;
      case 0x66: case 0xcc: break; // what a software reset keeps
      default:
        this.fail(DriveError.aborted);
        return;
    }
    this.done();
  }

  smart(): void {
    const s = this.state;
    if (s.mid[0] !== SMART_SIGNATURE[0] || s.high[0] !== SMART_SIGNATURE[1] || (!s.smart && s.features[0] !== 0xd8)) {
      this.fail(DriveError.aborted);
      return;
    }
    switch (s.features[0]) {
      case 0xd8: s.smart = true; break;
      case 0xd9: s.smart = false; break;
      case 0xda: break;
      default:
        this.fail(DriveError.aborted);
        return;
    }
    this.done();
  }

  identify(): void {
    const s = this.state;
    const { sectors } = this.image;
    const currentCylinders = Math.min(65535, Math.floor(Math.min(sectors, 16514064) / (s.heads * s.sectorsPerTrack)));
    const current = currentCylinders * s.heads * s.sectorsPerTrack;
    const lba28 = Math.min(sectors, 0xfffffff);
    this.state.remaining = 0;
    this.offer(identifyData({
      serial: this.serial, model: 'Ringside hard disk', words: {
        0: 0x0040, 1: this.cylinders, 3: 16, 6: 63, 47: 0x8000 | MULTIPLE_MAX,
        48: 1, // 32-bit accesses to the data register
        49: 0x0f00, 50: 0x4000, 51: 0x0200, 53: 0x0007,
        54: currentCylinders, 55: s.heads, 56: s.sectorsPerTrack, 57: current & 0xffff, 58: current >>> 16, 59: s.multiple === 0 ? 0 : 0x0100 | s.multiple,
        60: lba28 & 0xffff, 61: lba28 >>> 16, 63: multiwordWord(s), 64: 0x0003, 65: 120, 66: 120, 67: 120, 68: 120,
        80: 0x007e, 81: 0x0019, 82: 0x0069, 83: 0x7400, 84: 0x4000, 85: 0x0008 | (s.smart ? 1 : 0) | (s.writeCache ? 0x20 : 0) | (s.readAhead ? 0x40 : 0), 86: 0x3400, 87: 0x4000,
        88: ultraWord(s), 93: 0x600b, 100: sectors & 0xffff, 101: Math.floor(sectors / 0x10000) & 0xffff, 102: Math.floor(sectors / 0x100000000) & 0xffff,
      },
    }));
  }
}
