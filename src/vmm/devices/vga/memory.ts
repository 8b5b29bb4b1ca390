/**
 * Video memory as the processor reaches it: four planes behind latches and the graphics controller, in the window that the miscellaneous register
 * chooses, or one run of bytes behind the banked window of a VBE mode.
 *
 * The planes are interleaved: plane p of address a is byte 4a + p, so that chain-4 addresses, VBE banks and the linear frame buffer are the same bytes.
 * (Hardware rotates chain-4 addresses on the processor's side and doubleword addresses on the display's side by the same two bits; both are left out.)
 *
 * Calls for every byte would make text and mode 13h slow. Where the registers make memory plain (no latch, mask or function changes a byte), the
 * window is mapped as plain memory: chain-4 and VBE windows onto video memory itself, a text window onto a copy of planes 0 and 1, which is copied
 * back when the registers change. A window becomes plain only after a number of accesses, so that a guest that keeps changing registers does not
 * keep changing the memory map.
 */
import type { AccessSize, Clock, MmioRange, TimerHandle } from '../device';
import { GR, SR, type VgaState } from './registers';

/** The copy of text memory lies behind video memory. */
export const TEXT_COPY_BYTES = 0x8000;

/** Where the board shows windows of video memory. With `backing` (host address) a window is plain memory. */
export interface WindowBus {
  mapWindow(window: MmioRange & { readonly backing?: number }): void;
  unmapWindow(window: MmioRange): void;
}

export interface VideoMemory {
  /** Video memory and, behind it, {@link TEXT_COPY_BYTES}. Its length less those is a multiple of 64 KiB. */
  readonly bytes: Uint8Array;
  /** Host address of its first byte. */
  readonly host: number;
}

/** The VBE mode's part of addressing. */
export interface BankState {
  /** The window shows bytes of video memory: 8 bits a pixel and more. */
  readonly packed: boolean;
  /** What is added to addresses in the window. */
  readonly bank: number;
  /** Addresses that a plane has: 64 Ki, or in a VBE mode a quarter of all memory. */
  readonly planeAddresses: number;
}

type Mapping =
  | { readonly kind: 'none' }
  | { readonly kind: 'handlers' | 'text'; readonly first: number; readonly last: number }
  | { readonly kind: 'linear'; readonly first: number; readonly last: number; readonly offset: number };

const NONE: Mapping = { kind: 'none' };
const WINDOWS = [[0xa0000, 0xbffff], [0xa0000, 0xaffff], [0xb0000, 0xb7fff], [0xb8000, 0xbffff]] as const;
/** Accesses through handlers before a window that could be plain becomes so. */
const ACCESSES_BEFORE_PLAIN = 32;

/** Every byte of a word is ones where the plane's bit is set. */
const PLANE_MASKS = Int32Array.from({ length: 16 }, (_, n) => [0, 1, 2, 3].reduce((mask, plane) => ((n >> plane) & 1 ? mask | 0xff << (8 * plane) : mask), 0));

export class PlaneMemory {
  readonly videoBytes: number;
  private readonly bytes: Uint8Array;
  private readonly planes: Int32Array;
  private readonly textCopy: Uint8Array;
  private mapping: Mapping = NONE;
  private window: (MmioRange & { readonly backing?: number }) | undefined;
  private accesses = 0;
  private timer: TimerHandle | undefined;

  constructor(
    private readonly memory: VideoMemory,
    private readonly bus: WindowBus,
    private readonly clock: Clock,
    private readonly state: () => VgaState,
    private readonly banks: () => BankState,
  ) {
    const { bytes } = memory;
    this.bytes = bytes;
    this.videoBytes = bytes.length - TEXT_COPY_BYTES;
    this.planes = new Int32Array(bytes.buffer, bytes.byteOffset, this.videoBytes >> 2);
    this.textCopy = bytes.subarray(this.videoBytes);
  }

  /** The planes as the display reads them: a word for each address, plane 0 in the low byte. */
  display(): Int32Array {
    if (this.mapping.kind === 'text') this.copyTextBack();
    return this.planes;
  }

  /** Windows as the registers want them: at once when a window must not be plain any more, after some accesses when it could be. */
  update(): void {
    const wanted = this.wanted();
    const { mapping } = this;
    if (sameMapping(wanted, mapping)) return;
    const waits = (wanted.kind === 'text' || wanted.kind === 'linear') && !this.banks().packed;
    if (!waits) {
      this.map(wanted);
      return;
    }
    if (mapping.kind !== 'handlers' || mapping.first !== wanted.first || mapping.last !== wanted.last) this.map({ kind: 'handlers', first: wanted.first, last: wanted.last });
    this.accesses = 0;
  }

  /** After a reset or a restored state: the window is as the registers want it without waiting. */
  settle(): void {
    this.map(this.wanted());
  }

  /** Memory was cleared or replaced: the copy of a text window is to be made anew, not copied back. */
  forget(): void {
    if (this.mapping.kind === 'text') this.copyText();
  }

  private wanted(): Mapping {
    const s = this.state();
    const { packed, bank } = this.banks();
    if ((s.miscOutput & 2) === 0) return NONE;
    const [first, last] = packed ? WINDOWS[1] : WINDOWS[(s.graphics[GR.miscellaneous] >> 2) & 3];
    if (packed) return bank + 0x10000 <= this.videoBytes ? { kind: 'linear', first, last, offset: bank } : { kind: 'handlers', first, last };
    const { graphics, sequencer } = s;
    const untouched = (graphics[GR.mode] & 0x0b) === 0 && (graphics[GR.enableSetReset] & 0x0f) === 0 && (graphics[GR.rotate] & 0x1f) === 0 && graphics[GR.bitMask] === 0xff;
    const memoryMode = sequencer[SR.memoryMode];
    if (untouched && memoryMode & 8 && (sequencer[SR.mapMask] & 15) === 15 && bank + (last - first) < this.videoBytes) return { kind: 'linear', first, last, offset: bank };
    const text = untouched && (memoryMode & 0x0c) === 0 && (sequencer[SR.mapMask] & 15) === 3 && (graphics[GR.mode] & 0x10) !== 0
      && (graphics[GR.miscellaneous] & 2) !== 0 && (graphics[GR.readMap] & 2) === 0 && first >= 0xb0000 && bank === 0;
    return { kind: text ? 'text' : 'handlers', first, last };
  }

  private map(next: Mapping): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.accesses = 0;
    if (sameMapping(next, this.mapping)) return;
    if (this.window) this.bus.unmapWindow(this.window);
    this.window = undefined;
    if (this.mapping.kind === 'text') this.copyTextBack();
    if (next.kind === 'text') this.copyText();
    this.mapping = next;
    if (next.kind === 'none') return;
    this.window = {
      first: next.first, last: next.last, read: (address, size) => this.read(address, size), write: (address, value, size) => this.write(address, value, size),
      writeBytes: (address, bytes) => this.writeBytes(address, bytes),
      ...(next.kind === 'text' && { backing: this.memory.host + this.videoBytes }), ...(next.kind === 'linear' && { backing: this.memory.host + next.offset }),
    };
    this.bus.mapWindow(this.window);
  }

  private copyText(): void {
    for (let at = 0; at < TEXT_COPY_BYTES; at += 2) {
      const word = this.planes[at];
      this.textCopy[at] = word & 0xff;
      this.textCopy[at + 1] = (word >> 8) & 0xff;
    }
  }

  private copyTextBack(): void {
    const { planes, textCopy } = this;
    for (let at = 0; at < TEXT_COPY_BYTES; at += 2) planes[at] = (planes[at] & ~0xffff) | textCopy[at] | textCopy[at + 1] << 8;
  }

  private accessed(): void {
    if (++this.accesses !== ACCESSES_BEFORE_PLAIN || this.timer) return;
    // Not in the middle of the access: at the next instruction.
    this.timer = this.clock.schedule(this.clock.now(), () => {
      this.timer = undefined;
      this.map(this.wanted());
    });
  }

  private read(address: number, size: AccessSize): number {
    this.accessed();
    let value = 0;
    for (let n = 0; n < size; n++) value |= this.readByte(address + n - this.first) << (8 * n);
    return value >>> 0;
  }

  private write(address: number, value: number, size: AccessSize): void {
    this.accessed();
    for (let n = 0; n < size; n++) this.writeByte(address + n - this.first, (value >>> (8 * n)) & 0xff);
  }

  /** So many bytes count as the accesses after which a window becomes plain. No instruction is in the middle of an access: it becomes plain at once. */
  private writeBytes(address: number, bytes: Uint8Array): void {
    if (bytes.length >= ACCESSES_BEFORE_PLAIN) this.map(this.wanted());
    const offset = address - this.first;
    if (this.mapping.kind === 'text') this.textCopy.set(bytes, offset);
    else if (this.mapping.kind === 'linear') this.bytes.set(bytes, this.mapping.offset + offset);
    else for (let n = 0; n < bytes.length; n++) this.writeByte(offset + n, bytes[n]);
  }

  private get first(): number {
    return this.mapping.kind === 'none' ? 0 : this.mapping.first;
  }

  private readByte(offset: number): number {
    const s = this.state();
    const { graphics } = s;
    const { packed, bank, planeAddresses } = this.banks();
    if (packed) return bank + offset < this.videoBytes ? this.bytes[bank + offset] : 0xff;
    const chain4 = (s.sequencer[SR.memoryMode] & 8) !== 0;
    const oddEven = (graphics[GR.mode] & 0x10) !== 0;
    let address = offset + bank, plane = graphics[GR.readMap] & 3;
    if (chain4) {
      plane = offset & 3;
      address = (offset + bank) >> 2;
    } else if (oddEven) {
      plane = (plane & 2) | (offset & 1);
    }
    if (!chain4 && graphics[GR.miscellaneous] & 2) address &= ~1;
    s.latch = this.planes[address & (planeAddresses - 1)];
    if ((graphics[GR.mode] & 8) === 0) return (s.latch >>> (8 * plane)) & 0xff;
    const different = (s.latch ^ PLANE_MASKS[graphics[GR.colourCompare] & 15]) & PLANE_MASKS[graphics[GR.colourDontCare] & 15];
    return ~(different | different >>> 8 | different >>> 16 | different >>> 24) & 0xff;
  }

  private writeByte(offset: number, value: number): void {
    const s = this.state();
    const { graphics, sequencer } = s;
    const { packed, bank, planeAddresses } = this.banks();
    if (packed) {
      if (bank + offset < this.videoBytes) this.bytes[bank + offset] = value;
      return;
    }
    let address = offset + bank, planes = sequencer[SR.mapMask] & 15;
    if (sequencer[SR.memoryMode] & 8) {
      planes &= 1 << (offset & 3);
      address = (offset + bank) >> 2;
    } else {
      if ((sequencer[SR.memoryMode] & 4) === 0) planes &= offset & 1 ? 0x0a : 0x05;
      if (graphics[GR.miscellaneous] & 2) address &= ~1;
    }
    const mask = PLANE_MASKS[planes];
    address &= planeAddresses - 1;
    this.planes[address] = (this.planes[address] & ~mask) | (composed(s, value) & mask);
  }

  /** What a copy of the machine needs besides memory's bytes. */
  save(): Mapping {
    return this.mapping;
  }

  restore(saved: unknown): void {
    const mapping = saved as Mapping;
    // The bytes come with the machine's memory: a text window's copy is what counts, so nothing is copied on the way.
    if (this.window) this.bus.unmapWindow(this.window);
    this.window = undefined;
    this.mapping = NONE;
    const copy = this.textCopy.slice();
    this.map(mapping);
    this.textCopy.set(copy);
  }
}

function sameMapping(a: Mapping, b: Mapping): boolean {
  if (a.kind !== b.kind || a.kind === 'none' || b.kind === 'none') return a.kind === b.kind;
  return a.first === b.first && a.last === b.last && (a.kind !== 'linear' || b.kind !== 'linear' || a.offset === b.offset);
}

/** The four planes' bytes for a written byte: write mode, rotation, set/reset, function and bit mask. */
function composed({ graphics, latch }: VgaState, value: number): number {
  const mode = graphics[GR.mode] & 3;
  if (mode === 1) return latch;
  const turn = graphics[GR.rotate] & 7;
  let data: number, bits = graphics[GR.bitMask];
  const set = PLANE_MASKS[graphics[GR.setReset] & 15];
  if (mode === 2) {
    data = PLANE_MASKS[value & 15];
  } else {
    const rotated = (value >> turn | value << (8 - turn)) & 0xff;
    if (mode === 0) {
      const enabled = PLANE_MASKS[graphics[GR.enableSetReset] & 15];
      data = (Math.imul(rotated, 0x01010101) & ~enabled) | (set & enabled);
    } else {
      data = set;
      bits &= rotated;
    }
  }
  switch ((graphics[GR.rotate] >> 3) & 3) {
    case 1: data &= latch; break;
    case 2: data |= latch; break;
    case 3: data ^= latch; break;
  }
  const mask = Math.imul(bits, 0x01010101);
  return (data & mask) | (latch & ~mask);
}
