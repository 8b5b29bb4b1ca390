/**
 * Floppy disk controller (Intel 82077AA datasheet, 290166) with one drive, as drivers for PCs use it: commands and results through the FIFO, data through DMA channel 2 or
 * through the FIFO as well, completion by IRQ 6. Without DMA nothing ends a transfer but the end of the track, and who is slower than the disk overruns.
 */
import type { Clock, Device, DeviceRegister, DiskImage, Line, PhysicalBytes, PortRange, TimerHandle } from './device';
import type { Dma } from './dma';

const SECTOR = 512;
/** Size code of such sectors in commands: 128 << N bytes. */
const SIZE_CODE = 2;
const DMA_CHANNEL = 2;
const DMA_TO_MEMORY = 1, DMA_FROM_MEMORY = 2;
/** Seeks and transfers take this long; a mechanical drive would take a thousand times more. */
const SEEK_MICROSECONDS = 50, TRANSFER_MICROSECONDS = 100;

const DOR_RUN = 4, DOR_DMA = 8;
const MSR_READY = 0x80, MSR_TO_HOST = 0x40, MSR_NO_DMA = 0x20, MSR_BUSY = 0x10;
/** SPECIFY's second byte: no DMA. */
const NO_DMA = 1;
/** CONFIGURE: the FIFO is off, as after a reset; then it holds one byte. */
const FIFO_OFF = 0x20, FIFO_BYTES = 16;
/** A byte under the head, by data rate (500, 300, 250, 1000 kbit/s); at least so many instructions, for guests with a slow clock. */
const BYTE_MICROSECONDS = [16, 27, 32, 8], BYTE_INSTRUCTIONS_MIN = 128;
/** Between two sectors' data: gaps, address mark and identification. */
const GAP_BYTES = 62;
/** What FORMAT wants for each sector. */
const ID_BYTES = 4;
const ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_SEEK_END = 0x20, ST0_NOT_READY = 0x08, ST0_EQUIPMENT = 0x10;
const ST1_END = 0x80, ST1_OVERRUN = 0x10, ST1_NO_DATA = 0x04, ST1_NOT_WRITABLE = 0x02, ST1_DATA_ERROR = 0x20, ST1_NO_ADDRESS = 0x01;
const ST2_WRONG_CYLINDER = 0x10;
const ST3_READY = 0x20, ST3_TRACK0 = 0x10, ST3_TWO_SIDES = 0x08;
const MULTI_TRACK = 0x80;
const CHANGED = 0x80;
const VERSION_82077 = 0x90;
const DRIVES = 4;

export interface FloppyOptions {
  readonly clock: Clock;
  readonly memory: PhysicalBytes;
  readonly dma: Dma;
  readonly irq: Line;
  /** The diskette in drive A; undefined without a drive. */
  readonly disk?: DiskImage;
  readonly geometry?: { readonly cylinders: number; readonly heads: number; readonly sectorsPerTrack: number };
}

/** Where a transfer is. */
interface Position {
  cylinder: number;
  head: number;
  r: number;
}

/** A transfer without DMA: the disk turns, and a byte passes at a time. */
interface FifoTransfer extends Position {
  readonly direction: 'read' | 'write' | 'format';
  /** The command. */
  readonly bytes: readonly number[];
  /** What the guest has not taken yet, or the disk. */
  fifo: number[];
  /** The present sector, and how many bytes of it have passed. */
  sector: number[];
  passed: number;
  /** FORMAT: sectors that are still to come. */
  left: number;
  /** The disk is done: the guest reads the last bytes, then the results come. */
  ended: boolean;
  due: number;
}

interface FloppyState {
  output: number;
  tape: number;
  rate: number;
  /** Bytes of the command that have come, and results that wait. */
  command: number[];
  results: number[];
  /** A command is being carried out. */
  executing: boolean;
  due: number;
  fifo?: FifoTransfer;
  cylinder: number;
  /** ST0 of seeks and resets that SENSE INTERRUPT will tell, in order. */
  interrupts: number[];
  changed: boolean;
  specify: [number, number];
  configuration: [number, number];
  perpendicular: number;
  locked: boolean;
  line: boolean;
}

interface Command {
  readonly name: string;
  /** With the command byte. */
  readonly bytes: number;
  /** Carried out a moment later; otherwise at once. */
  readonly microseconds?: number;
  readonly run: (controller: FloppyController, bytes: readonly number[]) => void;
}

/** By the low five bits; the upper ones are options. */
const commands: Readonly<Record<number, Command>> = {
  0x02: { name: 'READ TRACK', bytes: 9, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.transfer(b, 'read') },
  0x03: { name: 'SPECIFY', bytes: 3, run: (f, b) => f.specify(b) },
  0x04: { name: 'SENSE DRIVE STATUS', bytes: 2, run: (f, b) => f.senseDrive(b) },
  0x05: { name: 'WRITE DATA', bytes: 9, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.transfer(b, 'write') },
  0x06: { name: 'READ DATA', bytes: 9, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.transfer(b, 'read') },
  0x07: { name: 'RECALIBRATE', bytes: 2, microseconds: SEEK_MICROSECONDS, run: (f, b) => f.seek(b[1] & 3, 0) },
  0x08: { name: 'SENSE INTERRUPT STATUS', bytes: 1, run: (f) => f.senseInterrupt() },
  0x09: { name: 'WRITE DELETED DATA', bytes: 9, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.transfer(b, 'write') },
  0x0a: { name: 'READ ID', bytes: 2, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.readId(b) },
  0x0c: { name: 'READ DELETED DATA', bytes: 9, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.transfer(b, 'read') },
  0x0d: { name: 'FORMAT TRACK', bytes: 6, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.format(b) },
  0x0e: { name: 'DUMPREG', bytes: 1, run: (f) => f.dumpRegisters() },
  0x0f: { name: 'SEEK', bytes: 3, microseconds: SEEK_MICROSECONDS, run: (f, b) => f.seek(b[1] & 3, b[2]) },
  0x10: { name: 'VERSION', bytes: 1, run: (f) => f.answer([VERSION_82077]) },
  0x12: { name: 'PERPENDICULAR MODE', bytes: 2, run: (f, b) => f.perpendicular(b) },
  0x13: { name: 'CONFIGURE', bytes: 4, run: (f, b) => f.configure(b) },
  0x14: { name: 'LOCK', bytes: 1, run: (f, b) => f.lock(b) },
  0x16: { name: 'VERIFY', bytes: 9, microseconds: TRANSFER_MICROSECONDS, run: (f, b) => f.transfer(b, 'verify') },
};

function blank(): FloppyState {
  return {
    output: 0, tape: 0, rate: 2, command: [], results: [], executing: false, due: 0, cylinder: 0, interrupts: [], changed: true, specify: [0, 0], configuration: [FIFO_OFF, 0],
    perpendicular: 0, locked: false, line: false,
  };
}

export class FloppyController implements Device {
  readonly id = 'floppy';
  readonly title = 'Floppy disk controller';
  readonly registers: readonly DeviceRegister[] = [
    {
      address: 0x3f2, name: 'DOR', description: 'Digital output: motors, DMA and interrupt gate, reset (active low), drive', fields: [
        { name: 'motors', bit: 4, width: 4 }, { name: 'DMAGATE', bit: 3, width: 1 }, { name: 'nRESET', bit: 2, width: 1 }, { name: 'drive', bit: 0, width: 2 },
      ],
    },
    { address: 0x3f3, name: 'TDR', description: 'Tape drive' },
    {
      address: 0x3f4, name: 'MSR', description: 'Main status; a write selects the data rate and resets', fields: [
        { name: 'RQM', bit: 7, width: 1 }, { name: 'DIO', bit: 6, width: 1 }, { name: 'NDMA', bit: 5, width: 1 }, { name: 'busy', bit: 4, width: 1 }, { name: 'seeking', bit: 0, width: 4 },
      ],
    },
    { address: 0x3f5, name: 'FIFO', description: 'Command and result bytes; shown is the command byte' },
    { address: 0x3f7, name: 'DIR', description: 'Digital input: the diskette was changed; a write is the data rate (CCR)', fields: [{ name: 'DSKCHG', bit: 7, width: 1 }] },
  ];
  readonly ports: readonly PortRange[] = [
    { first: 0x3f0, last: 0x3f5, read: (port) => this.read(port), write: (port, value) => this.write(port, value & 0xff) },
    { first: 0x3f7, last: 0x3f7, read: (port) => this.read(port), write: (port, value) => this.write(port, value & 0xff) },
  ];

  private state = blank();
  private timer: TimerHandle | undefined;

  constructor(private readonly options: FloppyOptions) {}

  // ---- registers ----

  private get mainStatus(): number {
    const { output, results, executing, command, fifo } = this.state;
    if (!(output & DOR_RUN)) return 0;
    if (executing) return MSR_BUSY;
    if (fifo) return MSR_BUSY | MSR_NO_DMA | (fifo.direction === 'read' ? MSR_TO_HOST : 0) | (this.wantsHost(fifo) ? MSR_READY : 0);
    return MSR_READY | (results.length > 0 ? MSR_TO_HOST | MSR_BUSY : command.length > 0 ? MSR_BUSY : 0);
  }

  private get digitalInput(): number {
    const selected = this.state.output & 3;
    return selected !== 0 || this.options.disk === undefined || this.state.changed ? CHANGED : 0;
  }

  private read(port: number): number {
    const s = this.state;
    switch (port) {
      case 0x3f2: return s.output;
      case 0x3f3: return s.tape | 0xfc;
      case 0x3f4: return this.mainStatus;
      case 0x3f5: {
        if (s.fifo) return this.readData(s.fifo);
        const result = s.results.shift();
        // The first result byte takes the interrupt back.
        this.setLine(false);
        return result ?? 0;
      }
      case 0x3f7: return this.digitalInput;
      default: return 0xff;
    }
  }

  private write(port: number, value: number): void {
    const s = this.state;
    switch (port) {
      case 0x3f2: {
        const before = s.output;
        s.output = value;
        if (before & ~value & DOR_RUN) this.stop();
        else if (value & ~before & DOR_RUN) this.restart();
        this.setLine(s.line);
        break;
      }
      case 0x3f3: s.tape = value & 3; break;
      case 0x3f4:
        s.rate = value & 3;
        if (value & 0x80) {
          this.stop();
          this.restart();
        }
        break;
      case 0x3f5: this.writeFifo(value); break;
      case 0x3f7: s.rate = value & 3; break;
      default: break;
    }
  }

  private stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    Object.assign(this.state, { command: [], results: [], executing: false, interrupts: [], fifo: undefined });
    this.setLine(false);
  }

  /** Behind a reset each of four drives reports a change of its ready state. */
  private restart(): void {
    const s = this.state;
    if (!s.locked) s.configuration = [FIFO_OFF, 0];
    s.interrupts = Array.from({ length: DRIVES }, (_, drive) => 0xc0 | drive);
    this.setLine(true);
  }

  /** The interrupt leaves the chip while the gate in DOR is open. */
  private setLine(level: boolean): void {
    this.state.line = level;
    this.options.irq(level && (this.state.output & DOR_DMA) !== 0);
  }

  private writeFifo(value: number): void {
    const s = this.state;
    if (!(s.output & DOR_RUN) || s.executing || s.results.length > 0) return;
    if (s.fifo) {
      this.writeData(s.fifo, value);
      return;
    }
    s.command.push(value);
    const command = commands[s.command[0] & 0x1f] as Command | undefined;
    if (command === undefined) {
      s.command = [];
      this.answer([ST0_INVALID]);
      return;
    }
    if (s.command.length < command.bytes) return;
    if (command.microseconds === undefined) {
      this.execute();
      return;
    }
    s.executing = true;
    s.due = this.options.clock.now() + Math.ceil((command.microseconds * this.options.clock.instructionsPerSecond) / 1e6);
    this.schedule();
  }

  private schedule(): void {
    this.timer = this.options.clock.schedule(this.state.due, () => {
      this.timer = undefined;
      this.execute();
    });
  }

  private execute(): void {
    const s = this.state;
    const bytes = s.command;
    s.command = [];
    s.executing = false;
    commands[bytes[0] & 0x1f].run(this, bytes);
  }

  // ---- commands ----

  answer(results: readonly number[]): void {
    this.state.results = [...results];
  }

  specify(bytes: readonly number[]): void {
    this.state.specify = [bytes[1], bytes[2]];
  }

  configure(bytes: readonly number[]): void {
    this.state.configuration = [bytes[2], bytes[3]];
  }

  perpendicular(bytes: readonly number[]): void {
    this.state.perpendicular = bytes[1];
  }

  lock(bytes: readonly number[]): void {
    this.state.locked = (bytes[0] & 0x80) !== 0;
    this.answer([this.state.locked ? 0x10 : 0]);
  }

  dumpRegisters(): void {
    const { cylinder, specify, configuration, perpendicular, locked } = this.state;
    const sectors = this.options.geometry?.sectorsPerTrack ?? 0;
    this.answer([cylinder, 0, 0, 0, ...specify, sectors, (locked ? 0x80 : 0) | (perpendicular & 0x3f) << 1, ...configuration]);
  }

  senseDrive(bytes: readonly number[]): void {
    const drive = bytes[1] & 3, head = bytes[1] & 4;
    const track0 = drive === 0 && this.options.disk !== undefined && this.state.cylinder === 0 ? ST3_TRACK0 : 0;
    this.answer([drive | head | ST3_READY | ST3_TWO_SIDES | track0]);
  }

  senseInterrupt(): void {
    const st0 = this.state.interrupts.shift();
    if (this.state.interrupts.length === 0) this.setLine(false);
    if (st0 === undefined) this.answer([ST0_INVALID]);
    else this.answer([st0, (st0 & 3) === 0 ? this.state.cylinder : 0]);
  }

  seek(drive: number, cylinder: number): void {
    const s = this.state;
    const present = drive === 0 && this.options.disk !== undefined;
    if (present) {
      s.cylinder = Math.min(cylinder, 82);
      // A step pulse with a diskette in the drive clears the change line.
      s.changed = false;
    }
    s.interrupts = [drive | ST0_SEEK_END | (present ? 0 : ST0_ABNORMAL | ST0_EQUIPMENT)];
    this.setLine(true);
  }

  private finish(drive: number, head: number, st0: number, st1: number, st2: number, c: number, r: number, n: number): void {
    // Bytes that wait are discarded, and with them the request for them.
    if (this.state.fifo) this.setLine(false);
    delete this.state.fifo;
    this.answer([st0 | (head ? 4 : 0) | drive, st1, st2, c, head, r, n]);
    this.setLine(true);
  }

  /** The disk and geometry of a drive that has a diskette and whose motor need not be looked at. */
  private medium(drive: number): { disk: DiskImage; geometry: NonNullable<FloppyOptions['geometry']> } | undefined {
    const { disk, geometry } = this.options;
    return drive === 0 && disk && geometry ? { disk, geometry } : undefined;
  }

  readId(bytes: readonly number[]): void {
    const drive = bytes[1] & 3, head = (bytes[1] >> 2) & 1;
    const medium = this.medium(drive);
    if (medium === undefined || head >= medium.geometry.heads || this.state.cylinder >= medium.geometry.cylinders) {
      this.finish(drive, head, ST0_ABNORMAL, ST1_NO_ADDRESS, 0, this.state.cylinder, 1, SIZE_CODE);
    } else {
      this.finish(drive, head, 0, 0, 0, this.state.cylinder, 1, SIZE_CODE);
    }
  }

  /** READ, WRITE and VERIFY: sectors from C, H, R on, until the DMA channel's terminal count or the end of track (EOT). */
  transfer(bytes: readonly number[], direction: 'read' | 'write' | 'verify'): void {
    const [, , cylinder, , r, n, lastSector] = bytes;
    const position: Position = { cylinder, head: bytes[3] & 1, r };
    const medium = this.medium(bytes[1] & 3);
    if (medium === undefined) {
      this.end(bytes, position, n, 0, 0, ST0_ABNORMAL | ST0_NOT_READY);
      return;
    }
    if (direction !== 'verify' && (this.state.specify[1] & NO_DMA) !== 0) {
      this.begin({ ...position, direction, bytes, fifo: [], sector: [], passed: 0, left: 0, ended: false, due: 0 });
      return;
    }
    const channel = this.options.dma.channel(DMA_CHANNEL);
    const kind = (channel.mode >> 2) & 3;
    const matches = direction === 'verify' || (direction === 'read' ? kind !== DMA_FROM_MEMORY : kind !== DMA_TO_MEMORY);
    if (direction !== 'verify' && (channel.masked || !matches)) {
      this.end(bytes, position, n, ST1_OVERRUN);
      return;
    }
    // VERIFY has no DMA: it goes to the end of the track, or as many sectors as DTL says.
    let left = direction === 'verify' ? (bytes[0] & 0x80 ? lastSector * 2 : lastSector) * SECTOR : channel.bytes;
    for (let ended = false; !ended;) {
      if (this.misplaced(bytes, position)) return;
      const count = Math.min(SECTOR, left);
      const error = this.moveSector(medium.disk, this.sectorAt(position), count, direction, kind);
      if (error !== 0) {
        this.end(bytes, position, n, error);
        return;
      }
      left -= count;
      ended = direction === 'verify' ? left <= 0 : this.options.dma.advance(DMA_CHANNEL, count) || left <= 0;
      const last = { ...position };
      if (this.passSector(bytes, position) && !ended) {
        this.end(bytes, last, n, ST1_END);
        return;
      }
    }
    this.end(bytes, position, n, 0, 0, 0);
  }

  /** The end of a transfer command, well (ST0 0) or not. */
  private end(bytes: readonly number[], { cylinder, head, r }: Position, n: number, st1: number, st2 = 0, st0 = ST0_ABNORMAL): void {
    this.finish(bytes[1] & 3, head, st0, st1, st2, cylinder, r, n);
  }

  /** Ends the command when there is no such sector on the track under the head. */
  private misplaced(bytes: readonly number[], position: Position): boolean {
    const geometry = this.options.geometry!;
    const { cylinder, head, r } = position, n = bytes[5];
    if (bytes[2] !== this.state.cylinder || cylinder >= geometry.cylinders) this.end(bytes, position, n, ST1_NO_DATA, ST2_WRONG_CYLINDER);
    else if (n !== SIZE_CODE || head >= geometry.heads || r < 1 || r > geometry.sectorsPerTrack) this.end(bytes, position, n, ST1_NO_DATA);
    else return false;
    return true;
  }

  private sectorAt({ cylinder, head, r }: Position): number {
    const { heads, sectorsPerTrack } = this.options.geometry!;
    return (cylinder * heads + head) * sectorsPerTrack + r - 1;
  }

  /** To the next sector of the command; true when the last one of the cylinder was passed. */
  private passSector(bytes: readonly number[], position: Position): boolean {
    const multiTrack = (bytes[0] & MULTI_TRACK) !== 0;
    if (position.r++ < bytes[6]) return false;
    position.r = 1;
    if (multiTrack && position.head === 0) {
      position.head = 1;
      return false;
    }
    position.cylinder++;
    if (multiTrack) position.head = 0;
    return true;
  }

  // ---- transfers without DMA ----

  /** The first sector comes under the head. */
  private begin(transfer: FifoTransfer): void {
    this.state.fifo = transfer;
    this.beginSector(transfer);
  }

  private beginSector(transfer: FifoTransfer): void {
    const { direction, bytes } = transfer;
    transfer.passed = 0;
    if (direction === 'format') {
      this.turn(transfer, SECTOR + GAP_BYTES);
      return;
    }
    if (this.misplaced(bytes, transfer)) return;
    try {
      transfer.sector = direction === 'read' ? [...this.options.disk!.read(this.sectorAt(transfer), 1)] : [];
    } catch {
      this.end(bytes, transfer, bytes[5], ST1_DATA_ERROR);
      return;
    }
    this.turn(transfer, GAP_BYTES);
  }

  /** The disk turns on by so many bytes; then one passes. */
  private turn(transfer: FifoTransfer, count: number): void {
    const { clock } = this.options;
    const byte = Math.max(BYTE_INSTRUCTIONS_MIN, Math.ceil((BYTE_MICROSECONDS[this.state.rate] * clock.instructionsPerSecond) / 1e6));
    transfer.due = clock.now() + count * byte;
    this.scheduleByte(transfer);
    this.setLine(this.wantsHost(transfer));
  }

  private scheduleByte(transfer: FifoTransfer): void {
    this.timer = this.options.clock.schedule(transfer.due, () => {
      this.timer = undefined;
      this.passByte(transfer);
    });
  }

  private get fifoBytes(): number {
    return this.state.configuration[0] & FIFO_OFF ? 1 : FIFO_BYTES;
  }

  /** Bytes for the guest, or room for those that the command still wants. */
  private wantsHost({ direction, fifo, passed, left }: FifoTransfer): boolean {
    if (direction === 'read') return fifo.length > 0;
    return direction === 'write' ? fifo.length < Math.min(this.fifoBytes, SECTOR - passed) : left > 0 && fifo.length < ID_BYTES;
  }

  private passByte(transfer: FifoTransfer): void {
    const { direction, fifo, bytes } = transfer;
    if (transfer.ended) {
      this.end(bytes, transfer, bytes[5], ST1_END);
      return;
    }
    if (direction === 'read' ? fifo.length >= this.fifoBytes : fifo.length < (direction === 'write' ? 1 : ID_BYTES)) {
      this.end(bytes, transfer, direction === 'format' ? bytes[2] : bytes[5], ST1_OVERRUN);
      return;
    }
    if (direction === 'format') {
      this.passFormatted(transfer);
      return;
    }
    if (direction === 'read') fifo.push(transfer.sector[transfer.passed]);
    else transfer.sector.push(fifo.shift()!);
    if (++transfer.passed < SECTOR) this.turn(transfer, 1);
    else this.endSector(transfer);
  }

  private endSector(transfer: FifoTransfer): void {
    const { direction, bytes, sector } = transfer;
    try {
      if (direction === 'write') this.options.disk!.write(this.sectorAt(transfer), Uint8Array.from(sector));
    } catch {
      this.end(bytes, transfer, bytes[5], ST1_NOT_WRITABLE);
      return;
    }
    const { cylinder, head, r } = transfer;
    if (!this.passSector(bytes, transfer)) {
      this.beginSector(transfer);
      return;
    }
    // Without terminal count the results name the last sector of the track, not the one behind it.
    Object.assign(transfer, { cylinder, head, r });
    if (direction === 'write') this.end(bytes, transfer, bytes[5], ST1_END);
    else this.awaitGuest(transfer);
  }

  /** The last bytes wait to be taken. */
  private awaitGuest(transfer: FifoTransfer): void {
    transfer.ended = true;
    this.setLine(this.wantsHost(transfer));
  }

  private passFormatted(transfer: FifoTransfer): void {
    const { bytes } = transfer;
    const [c, h, r] = transfer.fifo.splice(0);
    if (!this.formatSector(bytes, c, h, r)) return;
    if (--transfer.left > 0) this.beginSector(transfer);
    else this.endFormat(bytes);
  }

  private readData(transfer: FifoTransfer): number {
    const value = transfer.direction === 'read' ? transfer.fifo.shift() : undefined;
    // The results come a moment later, so that their interrupt is one of its own.
    if (transfer.ended && value !== undefined && transfer.fifo.length === 0) this.turn(transfer, 1);
    else this.setLine(this.wantsHost(transfer));
    return value ?? 0;
  }

  private writeData(transfer: FifoTransfer, value: number): void {
    if (transfer.direction === 'read' || !this.wantsHost(transfer)) return;
    transfer.fifo.push(value);
    this.setLine(this.wantsHost(transfer));
  }

  // ---- data ----

  /** One sector between disk and memory, or the first bytes of it; the bits of ST1 that tell what failed. */
  private moveSector(disk: DiskImage, sector: number, count: number, direction: 'read' | 'write' | 'verify', kind: number): number {
    const { memory, dma } = this.options;
    const { address } = dma.channel(DMA_CHANNEL);
    try {
      if (direction === 'write') {
        const bytes = new Uint8Array(SECTOR);
        bytes.set(memory.readBytes(address, count));
        disk.write(sector, bytes);
      } else {
        const bytes = disk.read(sector, 1);
        // A channel in verify mode moves nothing.
        if (direction === 'read' && kind === DMA_TO_MEMORY) memory.writeBytes(address, bytes.subarray(0, count));
      }
      return 0;
    } catch {
      return direction === 'write' ? ST1_NOT_WRITABLE : ST1_DATA_ERROR;
    }
  }

  /** The DMA channel or the guest brings C, H, R and N of each sector; the sectors are filled. */
  format(bytes: readonly number[]): void {
    const { memory, dma } = this.options;
    const drive = bytes[1] & 3, head = (bytes[1] >> 2) & 1;
    const [, , n, sectors] = bytes;
    if (this.medium(drive) === undefined) {
      this.finish(drive, head, ST0_ABNORMAL | ST0_NOT_READY, 0, 0, this.state.cylinder, 1, n);
      return;
    }
    if (this.state.specify[1] & NO_DMA && sectors > 0) {
      this.begin({ direction: 'format', bytes, cylinder: this.state.cylinder, head, r: 1, fifo: [], sector: [], passed: 0, left: sectors, ended: false, due: 0 });
      return;
    }
    for (let i = 0; i < sectors; i++) {
      const channel = dma.channel(DMA_CHANNEL);
      if (channel.masked || channel.bytes < ID_BYTES) {
        this.finish(drive, head, ST0_ABNORMAL, ST1_OVERRUN, 0, this.state.cylinder, 1, n);
        return;
      }
      const [c, h, r] = memory.readBytes(channel.address, ID_BYTES);
      dma.advance(DMA_CHANNEL, ID_BYTES);
      if (!this.formatSector(bytes, c, h, r)) return;
    }
    this.endFormat(bytes);
  }

  /** Fills one sector; false when the command has ended because that cannot be. */
  private formatSector(bytes: readonly number[], c: number, h: number, r: number): boolean {
    const drive = bytes[1] & 3, head = (bytes[1] >> 2) & 1;
    const [, , n, , , filler] = bytes;
    const { geometry, disk } = this.medium(drive)!;
    const exists = n === SIZE_CODE && c === this.state.cylinder && h === head && c < geometry.cylinders && h < geometry.heads && r >= 1 && r <= geometry.sectorsPerTrack;
    try {
      if (exists) disk.write(this.sectorAt({ cylinder: c, head: h, r }), new Uint8Array(SECTOR).fill(filler));
      else this.finish(drive, head, ST0_ABNORMAL, ST1_NO_DATA, 0, this.state.cylinder, r, n);
      return exists;
    } catch {
      this.finish(drive, head, ST0_ABNORMAL, ST1_NOT_WRITABLE, 0, c, r, n);
      return false;
    }
  }

  private endFormat(bytes: readonly number[]): void {
    this.finish(bytes[1] & 3, (bytes[1] >> 2) & 1, 0, 0, 0, this.state.cylinder, bytes[3] + 1, bytes[2]);
  }

  // ---- state ----

  registerValues(): readonly number[] {
    const { output, tape, command } = this.state;
    return [output, tape | 0xfc, this.mainStatus, command[0] ?? 0, this.digitalInput];
  }

  reset(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.state = blank();
    this.setLine(false);
  }

  save(): unknown {
    return JSON.parse(JSON.stringify(this.state));
  }

  restore(state: unknown): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.state = JSON.parse(JSON.stringify(state)) as FloppyState;
    if (this.state.executing) this.schedule();
    if (this.state.fifo && !(this.state.fifo.ended && this.state.fifo.fifo.length > 0)) this.scheduleByte(this.state.fifo);
    this.setLine(this.state.line);
  }
}
