/**
 * Bochs's display interface (DISPI): sixteen-bit registers behind ports 1CEh and 1CFh by which a VBE BIOS or a driver sets any size and depth
 * (Bochs, "VBE display API", versions B0C0h–B0C5h).
 */
import type { DeviceRegister } from '../device';
import { fields } from './registers';

export const DISPI_INDEX = 0x1ce, DISPI_DATA = 0x1cf;
export const Dispi = { id: 0, width: 1, height: 2, bits: 3, enable: 4, bank: 5, virtualWidth: 6, virtualHeight: 7, xOffset: 8, yOffset: 9, memory: 10 } as const;
const ENABLED = 1, GET_CAPABILITIES = 2, DAC_8BIT = 0x20, NO_CLEAR = 0x80;
const FIRST_ID = 0xb0c0, LAST_ID = 0xb0c5;
export const MOST_WIDTH = 2560, MOST_HEIGHT = 1600;
const depths = [4, 8, 15, 16, 24, 32];

export const dispiRows: readonly DeviceRegister[] = [
  ['ID', 'Version of the interface'], ['XRES', 'Width in pixels'], ['YRES', 'Height in pixels'], ['BPP', 'Bits of a pixel'],
  ['ENABLE', 'Switches the mode on', 'NOCLEAR:7 LFB:6 DAC8:5 CAPS:1 ENABLE:0'], ['BANK', '64 KiB of memory in the window'],
  ['VIRT_WIDTH', 'Pixels of a row in memory'], ['VIRT_HEIGHT', 'Rows that memory holds'], ['X_OFFSET', 'First pixel shown'], ['Y_OFFSET', 'First row shown'],
  ['MEMORY', 'Video memory in 64 KiB'],
].map(([name, description, bits], index) => ({ address: DISPI_DATA, index, bits: 16, name: `VBE ${name}`, description, ...(bits !== undefined && { fields: fields(bits) }) }));

/** What is on: bytes from one row to the next, and where the picture begins. */
export interface DispiMode {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly pitch: number;
  readonly start: number;
}

interface DispiState {
  index: number;
  /** By {@link Dispi}'s numbers. */
  values: number[];
}

export class DisplayInterface {
  state = DisplayInterface.powerOn();

  /** @param clear told when a mode is switched on that begins with a black picture. */
  constructor(private readonly videoBytes: number, private readonly clear: () => void) {}

  private static powerOn(): DispiState {
    return { index: 0, values: [LAST_ID, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0] };
  }

  reset(): void {
    this.state = DisplayInterface.powerOn();
  }

  get enabled(): boolean {
    return (this.state.values[Dispi.enable] & ENABLED) !== 0;
  }

  /** DAC components have eight bits instead of six. */
  get wideDac(): boolean {
    return (this.state.values[Dispi.enable] & DAC_8BIT) !== 0;
  }

  /** Byte offset of the banked window. */
  get bank(): number {
    return this.enabled ? this.state.values[Dispi.bank] * 0x10000 : 0;
  }

  /** The mode, or undefined while VGA's own registers rule. */
  get mode(): DispiMode | undefined {
    if (!this.enabled) return undefined;
    const v = this.state.values;
    const bits = v[Dispi.bits], pitch = this.pitch(v[Dispi.virtualWidth]);
    const start = v[Dispi.yOffset] * pitch + (bits === 4 ? v[Dispi.xOffset] >> 3 : v[Dispi.xOffset] * pixelBytes(bits));
    return { width: v[Dispi.width], height: v[Dispi.height], bits, pitch, start };
  }

  /** Bytes of a row; of each plane with four bits. */
  private pitch(width: number): number {
    const bits = this.state.values[Dispi.bits];
    return bits === 4 ? width >> 3 : width * pixelBytes(bits);
  }

  /** Rows that memory holds: planes have a quarter of it. */
  private rows(width: number): number {
    const bytes = this.state.values[Dispi.bits] === 4 ? this.videoBytes >> 2 : this.videoBytes;
    return Math.floor(bytes / Math.max(1, this.pitch(width)));
  }

  read(port: number): number {
    const { index, values } = this.state;
    if (port === DISPI_INDEX) return index;
    if (values[Dispi.enable] & GET_CAPABILITIES) {
      if (index === Dispi.width) return MOST_WIDTH;
      if (index === Dispi.height) return MOST_HEIGHT;
      if (index === Dispi.bits) return 32;
    }
    return this.value(index);
  }

  private value(index: number): number {
    if (index === Dispi.memory) return this.videoBytes >> 16;
    if (index === Dispi.virtualHeight && this.enabled) return Math.min(0xffff, this.rows(this.state.values[Dispi.virtualWidth]));
    return this.state.values[index] ?? 0;
  }

  write(port: number, value: number): void {
    const s = this.state;
    if (port === DISPI_INDEX) {
      s.index = value;
      return;
    }
    const v = s.values;
    switch (s.index) {
      case Dispi.id: if (value >= FIRST_ID && value <= LAST_ID) v[Dispi.id] = value; break;
      // Sizes and depth are those of the next mode: while one is on they stay.
      case Dispi.width: if (!this.enabled && value <= MOST_WIDTH) v[Dispi.width] = value; break;
      case Dispi.height: if (!this.enabled && value <= MOST_HEIGHT) v[Dispi.height] = value; break;
      case Dispi.bits: if (!this.enabled && (depths.includes(value) || value === 0)) v[Dispi.bits] = value || 8; break;
      case Dispi.enable: this.writeEnable(value); break;
      case Dispi.bank: if (value * 0x10000 < this.videoBytes) v[Dispi.bank] = value; break;
      case Dispi.virtualWidth: {
        const width = v[Dispi.bits] === 4 ? value & ~7 : value;
        if (this.enabled && width >= v[Dispi.width] && this.rows(width) >= v[Dispi.height]) {
          v[Dispi.virtualWidth] = width;
          v[Dispi.xOffset] = v[Dispi.yOffset] = 0;
        }
        break;
      }
      case Dispi.xOffset: if (this.enabled && value + v[Dispi.width] <= v[Dispi.virtualWidth]) v[Dispi.xOffset] = value; break;
      case Dispi.yOffset: if (this.enabled && value + v[Dispi.height] <= this.rows(v[Dispi.virtualWidth])) v[Dispi.yOffset] = value; break;
      default: break;
    }
  }

  private writeEnable(value: number): void {
    const v = this.state.values;
    const turnsOn = (value & ENABLED) !== 0 && !this.enabled;
    if (turnsOn) {
      const width = v[Dispi.bits] === 4 ? v[Dispi.width] & ~7 : v[Dispi.width];
      // A picture that memory does not hold stays off.
      if (width === 0 || v[Dispi.height] === 0 || this.rows(width) < v[Dispi.height]) {
        v[Dispi.enable] = value & ~ENABLED;
        return;
      }
      v[Dispi.virtualWidth] = width;
      v[Dispi.xOffset] = v[Dispi.yOffset] = v[Dispi.bank] = 0;
    }
    v[Dispi.enable] = value;
    if (turnsOn && (value & NO_CLEAR) === 0) this.clear();
  }

  values(): number[] {
    return this.state.values.map((_, index) => this.value(index));
  }
}

/** Bytes of a pixel of 8 bits and more. */
export function pixelBytes(bits: number): number {
  return (bits + 7) >> 3;
}
