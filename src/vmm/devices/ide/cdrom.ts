/**
 * A CD-ROM drive with the packet interface of ATA/ATAPI-6 and the commands of MMC-3 (T10/1363-D) that systems use to find, mount and read data discs. The disc has one
 * track of data, in one session.
 */
import type { DiskImage } from '../device';
import { DriveError, IdeDrive, Status, type Cable, type DmaPort, type Step } from './drive';
import { identifyData, multiwordWord, selectTransferMode, ultraWord, type TransferMode } from './identify';

export const CD_SECTOR = 2048;
const PACKET_BYTES = 12, REQUEST_SENSE = 0x03;
/** Interrupt reason in the sector count register: command or data, and the direction. */
const REASON_COMMAND = 1, REASON_TO_HOST = 2;
const FEATURE_DMA = 1;
/** Bytes that are read from the image at once. */
const READ_SECTORS = 32;

const LEAD_OUT = 0xaa, DATA_TRACK = 0x14;
const FRAMES_PER_SECOND = 75, LEAD_IN_FRAMES = 150;
const PROFILE_CDROM = 0x0008;

const NOTHING = new Uint8Array(0);

/** Sense key, additional code and its qualifier. */
type Sense = readonly [key: number, code: number, qualifier: number];
const sense = {
  none: [0, 0, 0], notReady: [2, 0x3a, 0], mediumError: [3, 0x11, 0], invalidCommand: [5, 0x20, 0], outOfRange: [5, 0x21, 0], invalidField: [5, 0x24, 0],
  saving: [5, 0x39, 0], removalPrevented: [5, 0x53, 2], mediumChanged: [6, 0x28, 0],
} as const satisfies Readonly<Record<string, Sense>>;

interface CdState extends TransferMode {
  sense: Sense;
  /** The disc is in the drive and the tray closed. */
  loaded: boolean;
  locked: boolean;
  /** GET EVENT STATUS NOTIFICATION has something to tell: 2 new medium, 3 removed. */
  event: number;
  /** UNIT ATTENTION waits for the next command. */
  changed: boolean;
  /** Sectors of READ that are still to come from the disc. */
  lba: number;
  remaining: number;
  /** Answer bytes that the host has not been offered yet. */
  pending: Uint8Array;
  byteLimit: number;
  dma: boolean;
  standby: boolean;
}

type Reply = Sense | Uint8Array | 'done' | 'sectors';
type Packet = Uint8Array;

interface PacketCommand {
  readonly name: string;
  /** Works without a disc, and before a UNIT ATTENTION is reported. */
  readonly always?: boolean;
  readonly run: (drive: CdromDrive, packet: Packet) => Reply;
}

const big16 = (p: Packet, at: number): number => p[at] << 8 | p[at + 1];
const big32 = (p: Packet, at: number): number => (big16(p, at) * 0x10000 + big16(p, at + 2));
const bytes16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const bytes32 = (value: number): number[] => [...bytes16(Math.floor(value / 0x10000)), ...bytes16(value & 0xffff)];

/** The packet's allocation length cuts the answer. */
const cut = (answer: readonly number[], length: number): Uint8Array => Uint8Array.from(answer.slice(0, length));

/** Minutes, seconds, frames of a sector, as absolute time. */
function msf(sector: number): number[] {
  const frames = sector + LEAD_IN_FRAMES;
  return [0, Math.floor(frames / (60 * FRAMES_PER_SECOND)) & 0xff, Math.floor(frames / FRAMES_PER_SECOND) % 60, frames % FRAMES_PER_SECOND];
}

export const packetCommands: ReadonlyMap<number, PacketCommand> = new Map<number, PacketCommand>([
  [0x00, { name: 'TEST UNIT READY', run: () => 'done' }],
  [REQUEST_SENSE, { name: 'REQUEST SENSE', always: true, run: (drive, p) => drive.requestSense(p) }],
  [0x12, { name: 'INQUIRY', always: true, run: (drive, p) => drive.inquiry(p) }],
  [0x1a, { name: 'MODE SENSE(6)', always: true, run: (drive, p) => drive.modeSense(p[2], p[4], 4) }],
  [0x1b, { name: 'START STOP UNIT', always: true, run: (drive, p) => drive.startStop(p[4]) }],
  [0x1e, { name: 'PREVENT ALLOW MEDIUM REMOVAL', always: true, run: (drive, p) => drive.prevent((p[4] & 1) !== 0) }],
  [0x25, { name: 'READ CAPACITY', run: (drive) => drive.capacity() }],
  [0x28, { name: 'READ(10)', run: (drive, p) => drive.read(big32(p, 2), big16(p, 7)) }],
  [0x2b, { name: 'SEEK(10)', run: (drive, p) => drive.seek(big32(p, 2)) }],
  [0x42, { name: 'READ SUB-CHANNEL', run: (_drive, p) => cut([0, 0x15, 0, 0], big16(p, 7)) }],
  [0x43, { name: 'READ TOC/PMA/ATIP', run: (drive, p) => drive.tableOfContents(p) }],
  [0x46, { name: 'GET CONFIGURATION', always: true, run: (drive, p) => drive.configuration(p) }],
  [0x4a, { name: 'GET EVENT STATUS NOTIFICATION', always: true, run: (drive, p) => drive.eventStatus(p) }],
  [0x51, { name: 'READ DISC INFORMATION', run: (_drive, p) => cut([0, 0x20, 0x0e, 1, 1, 1, 1, 0x20, ...new Array<number>(26).fill(0)], big16(p, 7)) }],
  [0x52, { name: 'READ TRACK INFORMATION', run: (drive, p) => drive.trackInformation(p) }],
  [0x5a, { name: 'MODE SENSE(10)', always: true, run: (drive, p) => drive.modeSense(p[2], big16(p, 7), 8) }],
  [0xa8, { name: 'READ(12)', run: (drive, p) => drive.read(big32(p, 2), big32(p, 6)) }],
  [0xbb, { name: 'SET CD SPEED', always: true, run: () => 'done' }],
  [0xbd, { name: 'MECHANISM STATUS', always: true, run: (_drive, p) => cut([0, 0, 0, 0, 0, 1, 0, 0], big16(p, 8)) }],
  [0xbe, { name: 'READ CD', run: (drive, p) => drive.readCd(p) }],
]);

export class CdromDrive extends IdeDrive<CdState> {
  /** @param image the disc, in sectors of 2048 bytes; undefined for an empty drive. */
  constructor(cable: Cable, private readonly image: DiskImage | undefined, private readonly serial: string) {
    super(cable, () => ({
      sense: sense.none, loaded: image !== undefined, locked: false, event: 0, changed: false, lba: 0, remaining: 0, pending: NOTHING, byteLimit: 0, dma: false, standby: false,
      multiwordDma: 4, ultraDma: 0,
    }));
    this.signature();
  }

  protected signature(): void {
    Object.assign(this.state, { error: 1, count: [1, 0], low: [1, 0], mid: [0x14, 0], high: [0xeb, 0], status: 0 });
  }

  protected execute(command: number): void {
    const s = this.state;
    switch (command) {
      case 0x08: // DEVICE RESET
        this.reset();
        return;
      case 0xa0:
        this.startPacket();
        return;
      case 0xa1:
        this.identify();
        return;
      case 0xef:
        if (s.features[0] === 0x03 && !selectTransferMode(s, s.count[0])) this.fail(DriveError.aborted);
        else if ([0x03, 0x66, 0xcc].includes(s.features[0])) this.done();
        else this.fail(DriveError.aborted);
        return;
      case 0x94: case 0x96: case 0xe0: case 0xe2: case 0x99: case 0xe6: case 0x95: case 0x97: case 0xe1: case 0xe3:
        s.standby = ![0x95, 0x97, 0xe1, 0xe3].includes(command);
        this.done();
        return;
      case 0x98: case 0xe5:
        s.count = [s.standby ? 0 : 0xff, 0];
        this.done();
        return;
      case 0xe7: // FLUSH CACHE
        this.done();
        return;
      case 0xec: // IDENTIFY DEVICE is answered with the signature
        this.signature();
        this.fail(DriveError.aborted);
        return;
      default:
        this.fail(DriveError.aborted);
    }
  }

  // ---- phases of a packet command ----

  private startPacket(): void {
    const s = this.state;
    s.dma = (s.features[0] & FEATURE_DMA) !== 0;
    // An odd limit, or none, means the largest even one.
    s.byteLimit = ((s.high[0] << 8 | s.mid[0]) & 0xfffe) || 0xfffe;
    s.count = [REASON_COMMAND, 0];
    this.want(PACKET_BYTES, false);
  }

  protected bufferDone(): void {
    const s = this.state;
    if (s.direction === 'out') this.later('packet');
    else if (s.command === 0xa1) s.status = Status.ready;
    else this.later('blockRead');
  }

  protected continueWith(step: Step): void {
    if (step === 'packet') this.packet(this.state.buffer);
    else if (step === 'blockRead') this.sendMore();
  }

  private packet(packet: Packet): void {
    const s = this.state;
    const command = packetCommands.get(packet[0]);
    s.pending = NOTHING;
    s.remaining = 0;
    if (packet[0] !== REQUEST_SENSE) s.sense = sense.none;
    let reply: Reply;
    if (command === undefined) reply = sense.invalidCommand;
    else if (!command.always && s.changed) {
      s.changed = false;
      reply = sense.mediumChanged;
    } else if (!command.always && !s.loaded) reply = sense.notReady;
    else reply = command.run(this, packet);
    if (reply instanceof Uint8Array) {
      s.pending = reply;
      this.sendAnswer();
    } else if (reply === 'sectors') this.sendAnswer();
    else if (reply === 'done') this.complete();
    else this.checkCondition(reply);
  }

  private sendAnswer(): void {
    const s = this.state;
    if (!s.dma) {
      this.sendMore();
      return;
    }
    s.count = [REASON_TO_HOST, 0];
    if (s.pending.length === 0 && s.remaining === 0) this.complete();
    else this.awaitDma();
  }

  /** Up to `most` bytes of the answer. Undefined when the disc cannot be read, which has been reported. */
  private take(most: number): Uint8Array | undefined {
    const s = this.state;
    if (s.pending.length === 0 && s.remaining > 0) {
      const count = Math.min(READ_SECTORS, s.remaining);
      try {
        s.pending = this.image!.read(s.lba, count);
      } catch {
        s.remaining = 0;
        this.checkCondition(sense.mediumError);
        return undefined;
      }
      s.lba += count;
      s.remaining -= count;
    }
    const bytes = s.pending.subarray(0, most);
    s.pending = s.pending.subarray(most);
    return bytes;
  }

  private sendMore(): void {
    const s = this.state;
    if (s.pending.length === 0 && s.remaining === 0) {
      this.complete();
      return;
    }
    const bytes = this.take(s.byteLimit);
    if (bytes === undefined) return;
    s.mid = [bytes.length & 0xff, 0];
    s.high = [bytes.length >> 8, 0];
    s.count = [REASON_TO_HOST, 0];
    this.offer(bytes);
  }

  transfer(bus: DmaPort): void {
    const s = this.state;
    while (s.pending.length > 0 || s.remaining > 0) {
      const bytes = this.take(READ_SECTORS * CD_SECTOR);
      if (bytes === undefined) {
        s.step = undefined;
        return;
      }
      if (bus.write(bytes) < bytes.length) return;
    }
    s.step = undefined;
    this.complete();
  }

  private complete(): void {
    this.state.count = [REASON_COMMAND | REASON_TO_HOST, 0];
    this.done();
  }

  private checkCondition(what: Sense): void {
    const s = this.state;
    s.sense = what;
    s.count = [REASON_COMMAND | REASON_TO_HOST, 0];
    this.fail(what[0] << 4 | (what[0] === 5 ? DriveError.aborted : 0));
  }

  // ---- packet commands ----

  private get sectors(): number {
    return this.image?.sectors ?? 0;
  }

  read(lba: number, count: number): Reply {
    if (lba + count > this.sectors) return sense.outOfRange;
    Object.assign(this.state, { lba, remaining: count });
    return count === 0 ? 'done' : 'sectors';
  }

  /** Only user data of data sectors: there is nothing else in the image. */
  readCd(packet: Packet): Reply {
    const count = packet[6] << 16 | big16(packet, 7), fields = packet[9] & 0xf8;
    if (count === 0 || fields === 0) return 'done';
    return fields === 0x10 ? this.read(big32(packet, 2), count) : sense.invalidField;
  }

  seek(lba: number): Reply {
    return lba < this.sectors ? 'done' : sense.outOfRange;
  }

  requestSense(packet: Packet): Reply {
    const [key, code, qualifier] = this.state.sense;
    this.state.sense = sense.none;
    return cut([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0], packet[4]);
  }

  inquiry(packet: Packet): Reply {
    if (packet[1] & 1) return sense.invalidField; // no vital product data
    const text = 'Ringside' + 'CD-ROM'.padEnd(16) + '1.0 ';
    return cut([0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0, ...Array.from(text, (c) => c.charCodeAt(0))], packet[4]);
  }

  capacity(): Reply {
    return Uint8Array.from([...bytes32(this.sectors - 1), ...bytes32(CD_SECTOR)]);
  }

  modeSense(page: number, length: number, headerBytes: 4 | 8): Reply {
    if (page >> 6 === 3) return sense.saving;
    const pages: Readonly<Record<number, readonly number[]>> = {
      0x01: [0x01, 0x06, 0, 0x05, 0, 0, 0, 0],
      0x0d: [0x0d, 0x06, 0, 0x0d, 0, 60, 0, FRAMES_PER_SECOND],
      0x0e: [0x0e, 0x0e, 0x04, 0, 0, 0, 0, FRAMES_PER_SECOND, 1, 0xff, 2, 0xff, 0, 0, 0, 0],
      // Capabilities: a tray that can be locked and ejected; speeds in kB/s.
      0x2a: [0x2a, 0x12, 0x00, 0x00, 0x70, 0x00, 0x28 | 0x01 | (this.state.locked ? 2 : 0), 0x00, ...bytes16(706), ...bytes16(2), ...bytes16(512), ...bytes16(706), 0, 0, 0, 0],
    };
    const wanted = page & 0x3f;
    const body = wanted === 0x3f ? Object.values(pages).flat() : pages[wanted];
    if (body === undefined) return sense.invalidField;
    const medium = this.state.loaded ? 0x01 : 0x70;
    const header = headerBytes === 8 ? [...bytes16(6 + body.length), medium, 0, 0, 0, 0, 0] : [3 + body.length, medium, 0, 0];
    return cut([...header, ...body], length);
  }

  startStop(operation: number): Reply {
    const s = this.state;
    if (!(operation & 2)) return 'done'; // spinning up and down
    const load = (operation & 1) !== 0;
    if (!load && s.locked) return sense.removalPrevented;
    if (this.image === undefined || load === s.loaded) return 'done';
    s.loaded = load;
    s.event = load ? 2 : 3;
    s.changed = load;
    return 'done';
  }

  prevent(locked: boolean): Reply {
    this.state.locked = locked;
    return 'done';
  }

  tableOfContents(packet: Packet): Reply {
    const length = big16(packet, 7), start = packet[6];
    const time = (packet[1] & 2) !== 0;
    const at = (sector: number): number[] => (time ? msf(sector) : bytes32(sector));
    // Old hosts give the format in the control byte.
    const format = (packet[2] & 15) || packet[9] >> 6;
    const entry = (track: number, sector: number): number[] => [0, DATA_TRACK, track, 0, ...at(sector)];
    switch (format) {
      case 0: {
        if (start > 1 && start !== LEAD_OUT) return sense.invalidField;
        const entries = [...(start <= 1 ? entry(1, 0) : []), ...entry(LEAD_OUT, this.sectors)];
        return cut([...bytes16(2 + entries.length), 1, 1, ...entries], length);
      }
      case 1: return cut([...bytes16(10), 1, 1, ...entry(1, 0)], length);
      case 2: {
        const point = (number: number, place: readonly number[]): number[] => [1, DATA_TRACK, 0, number, 0, 0, 0, ...place];
        const lead = [...point(0xa0, [0, 1, 0, 0]), ...point(0xa1, [0, 1, 0, 0]), ...point(0xa2, msf(this.sectors)), ...point(1, msf(0))];
        return cut([...bytes16(2 + lead.length), 1, 1, ...lead], length);
      }
      default: return sense.invalidField;
    }
  }

  trackInformation(packet: Packet): Reply {
    const answer = [...bytes16(26), 1, 1, 0, 0x04, 0x01, 0, ...bytes32(0), ...bytes32(0), ...bytes32(0), ...bytes32(0), ...bytes32(this.sectors)];
    return cut(answer, big16(packet, 7));
  }

  configuration(packet: Packet): Reply {
    const profile = this.state.loaded ? PROFILE_CDROM : 0;
    const features: readonly { readonly code: number; readonly bytes: readonly number[] }[] = [
      { code: 0x0000, bytes: [0x00, 0x00, 0x03, 4, ...bytes16(PROFILE_CDROM), profile ? 1 : 0, 0] },
      { code: 0x0001, bytes: [0x00, 0x01, 0x0b, 8, ...bytes32(2), 1, 0, 0, 0] }, // core: ATAPI
      { code: 0x0003, bytes: [0x00, 0x03, 0x03, 4, 0x29, 0, 0, 0] }, // removable, with tray, can be locked
      { code: 0x0010, bytes: [0x00, 0x10, 0x01, 8, ...bytes32(CD_SECTOR), ...bytes16(1), 0, 0] }, // random readable
      { code: 0x001e, bytes: [0x00, 0x1e, 0x09, 4, 0, 0, 0, 0] }, // CD read
    ];
    const first = big16(packet, 2), kind = packet[1] & 3;
    if (kind === 3) return sense.invalidField;
    const chosen = features.filter(({ code, bytes }) => (kind === 2 ? code === first : code >= first && (kind === 0 || (bytes[2] & 1) !== 0)));
    const body = chosen.flatMap(({ bytes }) => bytes);
    return cut([...bytes32(4 + body.length), 0, 0, ...bytes16(profile), ...body], big16(packet, 7));
  }

  eventStatus(packet: Packet): Reply {
    const s = this.state;
    if (!(packet[1] & 1)) return sense.invalidField; // asynchronous
    const length = big16(packet, 7), media = (packet[4] & 0x10) !== 0;
    if (!media) return cut([0, 2, 0x80, 0x10], length);
    const answer = cut([0, 6, 0x04, 0x10, s.event, s.loaded ? 2 : this.image === undefined ? 0 : 1, 0, 0], length);
    if (length > 4) s.event = 0;
    return answer;
  }

  private identify(): void {
    const s = this.state;
    this.offer(identifyData({
      serial: this.serial, model: 'Ringside CD-ROM', words: {
        0: 0x85c0, // ATAPI, CD-ROM, removable, packets of 12 bytes, accelerated DRQ
        49: 0x0f00, 53: 0x0007, 63: multiwordWord(s), 64: 0x0003, 65: 120, 66: 120, 67: 120, 68: 120, 80: 0x007e, 81: 0x0019, 82: 0x0210, 83: 0x4000, 84: 0x4000, 85: 0x0210,
        87: 0x4000, 88: ultraWord(s), 93: 0x600b,
      },
    }));
  }
}
