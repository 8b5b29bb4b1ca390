/**
 * VGA as far as text needs it: the register file of sequencer, CRTC, graphics and attribute controllers and DAC, the retrace bits by the clock, and the screen as
 * cells. Text memory is ordinary guest memory from 0xB8000 (0xB0000 in monochrome modes): the device only reads it.
 */
import { Timebase } from './timebase';
import type { Clock, Device, DeviceRegister, PortRange } from './device';

/** VGA 720×400 text at 70 Hz: 900 dots of 9 per line are 100 character clocks, 449 lines per frame. */
const CHARACTERS_PER_LINE = 100, LINES_PER_FRAME = 449, LINES_PER_SECOND = 31469;
const RETRACE_FIRST_LINE = 412, RETRACE_LAST_LINE = 413;
/** The window has 16 Ki characters; addresses wrap in it. */
const CHARACTERS_MASK = 0x3fff;
/** What a view can be asked to show, whatever the guest puts into the CRTC. */
const COLUMNS_MAX = 160, ROWS_MAX = 100;

export interface TextMemory {
  readBytes(address: number, length: number): Uint8Array;
}

/** Same shape as the protocol's ScreenText. */
export interface TextScreen {
  readonly columns: number;
  readonly rows: number;
  /** columns*rows*2 bytes: character, attribute. */
  readonly cells: Uint8Array;
  readonly cursor: { readonly visible: boolean; readonly column: number; readonly row: number };
}

export interface VgaOptions {
  readonly clock: Clock;
  readonly memory: TextMemory;
}

interface VgaState {
  miscOutput: number;
  featureControl: number;
  sequencerIndex: number;
  sequencer: number[];
  crtcIndex: number;
  crtc: number[];
  graphicsIndex: number;
  graphics: number[];
  attributeIndex: number;
  attribute: number[];
  /** Next write to 3C0 is data. */
  attributeData: boolean;
  dacMask: number;
  dacReadIndex: number;
  dacWriteIndex: number;
  dacStep: number;
  /** Last of 3C7/3C8 written was the read index. */
  dacReading: boolean;
  palette: number[];
}

/** Registers of a text mode as the video BIOS programs them (IBM PS/2 Hardware Interface Technical Reference, video subsystem, mode tables). */
export interface VgaMode {
  readonly miscOutput: number;
  readonly sequencer: readonly number[];
  readonly crtc: readonly number[];
  readonly graphics: readonly number[];
  readonly attribute: readonly number[];
}

const colourAttribute = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 8, 0];
const crtcTail = [0xbf, 0x1f, 0, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f];

export const text80: VgaMode = {
  miscOutput: 0x67,
  sequencer: [3, 0, 3, 0, 2],
  crtc: [0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, ...crtcTail, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
  graphics: [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff],
  attribute: colourAttribute,
};
export const text40: VgaMode = {
  ...text80,
  sequencer: [3, 8, 3, 0, 2],
  crtc: [0x2d, 0x27, 0x28, 0x90, 0x2b, 0xa0, ...crtcTail, 0x14, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
};
export const textMono: VgaMode = {
  ...text80,
  miscOutput: 0x66,
  crtc: [0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, ...crtcTail, 0x28, 0x0f, 0x96, 0xb9, 0xa3, 0xff],
  graphics: [0, 0, 0, 0, 0, 0x10, 0x0a, 0, 0xff],
  attribute: [0, 8, 8, 8, 8, 8, 8, 8, 0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x0e, 0, 0x0f, 8, 0],
};

/** Default palette: six bits rgbRGB, where capitals are two thirds and small letters one third of full intensity. */
function defaultPalette(): number[] {
  const palette = new Array<number>(768).fill(0);
  for (let i = 0; i < 64; i++) {
    for (let colour = 0; colour < 3; colour++) palette[3 * i + colour] = ((i >> (2 - colour)) & 1) * 0x2a + ((i >> (5 - colour)) & 1) * 0x15;
  }
  return palette;
}

function registersOf(mode: VgaMode): VgaState {
  return {
    miscOutput: mode.miscOutput, featureControl: 0, sequencerIndex: 0, sequencer: [...mode.sequencer], crtcIndex: 0, crtc: [...mode.crtc], graphicsIndex: 0,
    graphics: [...mode.graphics], attributeIndex: 0x20, attribute: [...mode.attribute], attributeData: false, dacMask: 0xff, dacReadIndex: 0, dacWriteIndex: 0,
    dacStep: 0, dacReading: false, palette: defaultPalette(),
  };
}

export class VgaText implements Device {
  readonly id = 'vga';
  readonly title = 'VGA, text modes';
  readonly registers: readonly DeviceRegister[] = [
    { address: 0x3c0, name: 'Attribute index/data', description: 'Alternates between index and data; reading 3DAh makes the next write an index' },
    { address: 0x3c1, name: 'Attribute data', description: 'The attribute register selected, for reading' },
    { address: 0x3c2, name: 'Miscellaneous output', description: 'Written here, read at 3CCh; bit 0 puts the CRTC at 3D4h', fields: [{ name: 'IOS', bit: 0, width: 1 }] },
    { address: 0x3c4, name: 'Sequencer index', description: 'Registers 0–4' },
    { address: 0x3c5, name: 'Sequencer data', description: 'The sequencer register selected' },
    { address: 0x3c6, name: 'DAC mask', description: 'Pixel mask' },
    { address: 0x3c7, name: 'DAC read index', description: 'Colour to read; reading gives the DAC\'s state' },
    { address: 0x3c8, name: 'DAC write index', description: 'Colour to write' },
    { address: 0x3c9, name: 'DAC data', description: 'Red, green, blue in turn, six bits each' },
    { address: 0x3ce, name: 'Graphics index', description: 'Registers 0–8' },
    { address: 0x3cf, name: 'Graphics data', description: 'The graphics controller register selected' },
    { address: 0x3d4, name: 'CRTC index', description: 'Registers 0–18h (3B4h in monochrome modes)' },
    { address: 0x3d5, name: 'CRTC data', description: 'The CRTC register selected' },
    { address: 0x3da, name: 'Input status 1', description: 'Retrace', fields: [{ name: 'VRETRACE', bit: 3, width: 1 }, { name: 'BLANK', bit: 0, width: 1 }] },
  ];
  readonly ports: readonly PortRange[];

  private readonly beam: Timebase;
  private state = registersOf(text80);

  constructor(private readonly options: VgaOptions) {
    this.beam = new Timebase(options.clock, LINES_PER_SECOND * CHARACTERS_PER_LINE);
    const range = (first: number, last: number): PortRange => ({
      first, last,
      read: (port, size) => this.access(size, (n) => this.read(port + n)),
      write: (port, value, size) => { for (let n = 0; n < size; n++) this.write(port + n, (value >>> (8 * n)) & 0xff); },
    });
    this.ports = [range(0x3b4, 0x3b5), range(0x3ba, 0x3ba), range(0x3c0, 0x3cf), range(0x3d4, 0x3d5), range(0x3da, 0x3da)];
  }

  /** The index and data registers take a 16-bit OUT as two bytes. */
  private access(size: number, read: (n: number) => number): number {
    let value = 0;
    for (let n = 0; n < size; n++) value |= read(n) << (8 * n);
    return value >>> 0;
  }

  private get colour(): boolean {
    return (this.state.miscOutput & 1) !== 0;
  }

  /** CRTC and input status answer at 3Dx in colour modes, at 3Bx in monochrome ones. */
  private decoded(port: number): number {
    if (port >= 0x3b0 && port < 0x3c0) return this.colour ? -1 : port + 0x20;
    return port >= 0x3d0 && !this.colour ? -1 : port;
  }

  private read(rawPort: number): number {
    const s = this.state;
    switch (this.decoded(rawPort)) {
      case 0x3c0: return s.attributeIndex;
      case 0x3c1: return s.attribute[s.attributeIndex & 31] ?? 0;
      case 0x3c2: return 0x10; // switch sense: a colour monitor
      case 0x3c4: return s.sequencerIndex;
      case 0x3c5: return s.sequencer[s.sequencerIndex] ?? 0;
      case 0x3c6: return s.dacMask;
      case 0x3c7: return s.dacReading ? 3 : 0;
      case 0x3c8: return s.dacWriteIndex;
      case 0x3c9: return this.readDac();
      case 0x3ca: return s.featureControl;
      case 0x3cc: return s.miscOutput;
      case 0x3ce: return s.graphicsIndex;
      case 0x3cf: return s.graphics[s.graphicsIndex] ?? 0;
      case 0x3d4: return s.crtcIndex;
      case 0x3d5: return s.crtc[s.crtcIndex] ?? 0;
      case 0x3da: s.attributeData = false; return this.inputStatus();
      default: return 0xff;
    }
  }

  private inputStatus(): number {
    const position = this.beam.now();
    const line = Math.floor(position / CHARACTERS_PER_LINE) % LINES_PER_FRAME;
    const retrace = line >= RETRACE_FIRST_LINE && line <= RETRACE_LAST_LINE;
    const blank = line >= 400 || position % CHARACTERS_PER_LINE >= 80;
    return (retrace ? 8 : 0) | (blank ? 1 : 0);
  }

  private readDac(): number {
    const s = this.state;
    const value = s.palette[3 * s.dacReadIndex + s.dacStep];
    if (++s.dacStep === 3) {
      s.dacStep = 0;
      s.dacReadIndex = (s.dacReadIndex + 1) & 0xff;
    }
    return value;
  }

  private writeDac(value: number): void {
    const s = this.state;
    s.palette[3 * s.dacWriteIndex + s.dacStep] = value & 0x3f;
    if (++s.dacStep === 3) {
      s.dacStep = 0;
      s.dacWriteIndex = (s.dacWriteIndex + 1) & 0xff;
    }
  }

  private write(rawPort: number, value: number): void {
    const s = this.state;
    const put = (registers: number[], index: number): void => { if (index < registers.length) registers[index] = value; };
    switch (this.decoded(rawPort)) {
      case 0x3c0:
        if (s.attributeData) {
          // The palette can be written only while the display is switched off from it (index bit 5).
          if ((s.attributeIndex & 31) >= 16 || (s.attributeIndex & 0x20) === 0) put(s.attribute, s.attributeIndex & 31);
        } else {
          s.attributeIndex = value & 0x3f;
        }
        s.attributeData = !s.attributeData;
        break;
      case 0x3c2: s.miscOutput = value; break;
      case 0x3c4: s.sequencerIndex = value & 7; break;
      case 0x3c5: put(s.sequencer, s.sequencerIndex); break;
      case 0x3c6: s.dacMask = value; break;
      case 0x3c7: s.dacReadIndex = value; s.dacStep = 0; s.dacReading = true; break;
      case 0x3c8: s.dacWriteIndex = value; s.dacStep = 0; s.dacReading = false; break;
      case 0x3c9: this.writeDac(value); break;
      case 0x3ce: s.graphicsIndex = value & 15; break;
      case 0x3cf: put(s.graphics, s.graphicsIndex); break;
      case 0x3d4: s.crtcIndex = value & 0x3f; break;
      case 0x3d5: this.writeCrtc(value); break;
      case 0x3da: s.featureControl = value; break;
      default: break;
    }
  }

  private writeCrtc(value: number): void {
    const { crtc, crtcIndex } = this.state;
    if (crtcIndex >= crtc.length) return;
    const locked = (crtc[0x11] & 0x80) !== 0 && crtcIndex <= 7;
    // Of the protected registers only the line-compare bit of CR7 stays writable.
    if (!locked) crtc[crtcIndex] = value;
    else if (crtcIndex === 7) crtc[7] = (crtc[7] & ~0x10) | (value & 0x10);
  }

  /** Programs all registers of a mode, as the video BIOS does; keeps the palette unless it is to be loaded. */
  setMode(mode: VgaMode, loadPalette = true): void {
    const { palette } = this.state;
    this.state = registersOf(mode);
    if (!loadPalette) this.state.palette = palette;
  }

  /** True when the guest has left text mode (graphics controller's register 6, bit 0). */
  get graphicsMode(): boolean {
    return (this.state.graphics[6] & 1) !== 0;
  }

  /** The sixteen text colours as red, green, blue in 0–255, through palette and DAC. */
  colours(): readonly (readonly [number, number, number])[] {
    const { attribute, palette } = this.state;
    const scale = (value: number): number => (value << 2) | (value >> 4);
    return attribute.slice(0, 16).map((entry) => {
      const at = 3 * (entry & 0x3f);
      return [scale(palette[at]), scale(palette[at + 1]), scale(palette[at + 2])];
    });
  }

  /** The screen as the CRTC scans it: start address, row pitch, line compare, cursor. */
  text(): TextScreen {
    const { crtc, graphics } = this.state;
    const columns = Math.min(COLUMNS_MAX, crtc[1] + 1);
    const cellLines = (crtc[9] & 0x1f) + 1;
    const doubling = crtc[9] & 0x80 ? 2 : 1;
    const lines = (crtc[0x12] | (crtc[7] & 2) << 7 | (crtc[7] & 0x40) << 3) + 1;
    const rows = Math.max(1, Math.min(ROWS_MAX, Math.floor(lines / (cellLines * doubling))));
    const start = crtc[0x0c] << 8 | crtc[0x0d];
    const pitch = 2 * crtc[0x13];
    const compare = crtc[0x18] | (crtc[7] & 0x10) << 4 | (crtc[9] & 0x40) << 3;
    // Below the line-compare line the scan begins again at address 0.
    const splitRow = Math.ceil((compare + 1) / (cellLines * doubling));
    const base = ((graphics[6] >> 2) & 3) === 2 ? 0xb0000 : 0xb8000;
    const memory = this.options.memory.readBytes(base, 2 * (CHARACTERS_MASK + 1));
    const cells = new Uint8Array(columns * rows * 2);
    const cursorAddress = (crtc[0x0e] << 8 | crtc[0x0f]) & CHARACTERS_MASK;
    let cursorColumn = -1, cursorRow = -1;
    for (let row = 0; row < rows; row++) {
      const first = row >= splitRow ? (row - splitRow) * pitch : start + row * pitch;
      for (let column = 0; column < columns; column++) {
        const address = (first + column) & CHARACTERS_MASK;
        const at = 2 * (row * columns + column);
        cells[at] = memory[2 * address] ?? 0;
        cells[at + 1] = memory[2 * address + 1] ?? 0;
        if (address === cursorAddress && cursorRow < 0) {
          cursorColumn = column;
          cursorRow = row;
        }
      }
    }
    const visible = (crtc[0x0a] & 0x20) === 0 && (crtc[0x0a] & 0x1f) <= (crtc[0x0b] & 0x1f) && cursorRow >= 0;
    return { columns, rows, cells, cursor: { visible, column: Math.max(0, cursorColumn), row: Math.max(0, cursorRow) } };
  }

  reset(): void {
    this.state = registersOf(text80);
  }

  save(): unknown {
    return JSON.parse(JSON.stringify(this.state));
  }

  restore(state: unknown): void {
    this.state = JSON.parse(JSON.stringify(state)) as VgaState;
  }
}
