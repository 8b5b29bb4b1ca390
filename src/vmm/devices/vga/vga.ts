/**
 * The VGA with Bochs's display interface: ports, register files and DAC, wired to video memory (memory.ts), its pictures (text.ts, render.ts) and the
 * beam (scan.ts). Time comes from the clock alone: retrace bits, cursor and blinking.
 */
import type { Clock, Device, DeviceRegister, PciFunction, PortRange } from '../device';
import { Timebase } from '../timebase';
import { DISPI_DATA, DISPI_INDEX, dispiRows, DisplayInterface } from './dispi';
import { PlaneMemory, type BankState, type VideoMemory, type WindowBus } from './memory';
import { palettes, text80 } from './modes';
import { CR, registersOf, vgaRows, vgaValues, type VgaMode, type VgaState } from './registers';
import { drawVbe, drawVga, type Picture } from './render';
import { beam, isGraphics } from './scan';
import { readText, type TextScreen } from './text';

/** Bytes of the linear frame buffer. */
export const VIDEO_BYTES = 0x1000000;
const FRAME_BUFFER = 0xe0000000;

export interface VgaOptions {
  readonly clock: Clock;
  readonly memory: VideoMemory;
  readonly bus: WindowBus;
  /** Expansion ROM. */
  readonly rom?: Uint8Array;
}

interface SavedState {
  readonly registers: VgaState;
  readonly dispi: DisplayInterface['state'];
  readonly mapping: unknown;
}

export class Vga implements Device {
  readonly id = 'vga';
  readonly title = 'VGA';
  readonly registers: readonly DeviceRegister[] = [...vgaRows, ...dispiRows];
  readonly ports: readonly PortRange[];
  readonly pci: PciFunction;

  private readonly dispi: DisplayInterface;
  private readonly memory: PlaneMemory;
  private readonly video: Uint8Array;
  private readonly colourOf = (dac: number): number => this.colour(dac);
  private state = registersOf(text80, palettes.ega);

  constructor(private readonly options: VgaOptions) {
    const { clock, memory, bus, rom } = options;
    this.memory = new PlaneMemory(memory, bus, clock, () => this.state, () => this.banks());
    this.video = memory.bytes.subarray(0, this.memory.videoBytes);
    this.dispi = new DisplayInterface(this.video.length, () => this.video.fill(0));
    const range = (first: number, last: number): PortRange => ({
      first, last,
      // Index and data registers take a 16-bit OUT as two bytes.
      read: (port, size) => {
        let value = 0;
        for (let n = 0; n < size; n++) value |= this.read(port + n) << (8 * n);
        return value >>> 0;
      },
      write: (port, value, size) => {
        for (let n = 0; n < size; n++) this.write(port + n, (value >>> (8 * n)) & 0xff);
      },
    });
    this.ports = [
      range(0x3b4, 0x3b5), range(0x3ba, 0x3ba), range(0x3c0, 0x3cf), range(0x3d4, 0x3d5), range(0x3da, 0x3da),
      // Two registers of sixteen bits at neighbouring ports; Bochs's card answers for the second at 1D0h as well.
      {
        first: DISPI_INDEX, last: DISPI_DATA + 2, wide: true,
        read: (port, size) => this.dispi.read(port === DISPI_INDEX ? DISPI_INDEX : DISPI_DATA) & (size === 1 ? 0xff : 0xffff),
        write: (port, value) => {
          this.dispi.write(port === DISPI_INDEX ? DISPI_INDEX : DISPI_DATA, value & 0xffff);
          this.memory.update();
        },
      },
    ];
    this.pci = {
      device: this, slot: 2, function: 0, vendorId: 0x1234, deviceId: 0x1111, classCode: 0x030000, revision: 2, subsystemVendorId: 0x1af4, subsystemId: 0x1100,
      bars: [{ kind: 'memory', bytes: this.video.length, prefetchable: true, address: FRAME_BUFFER, backing: memory.host, read: () => 0, write: () => undefined }],
      ...(rom && { rom }),
    };
    this.memory.settle();
  }

  private banks(): BankState {
    const { mode } = this.dispi;
    return { packed: mode !== undefined && mode.bits >= 8, bank: this.dispi.bank, planeAddresses: mode ? this.video.length >> 2 : 0x10000 };
  }

  private get monochrome(): boolean {
    return (this.state.miscOutput & 1) === 0;
  }

  /** CRTC and input status answer at 3Dx in colour modes, at 3Bx in monochrome ones. */
  private decoded(port: number): number {
    if (port < 0x3c0) return this.monochrome ? port + 0x20 : -1;
    return port >= 0x3d0 && this.monochrome ? -1 : port;
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
      case 0x3da:
        s.attributeData = false;
        return this.inputStatus();
      default: return 0xff;
    }
  }

  private inputStatus(): number {
    const { hertz, charactersPerLine, lines, shownCharacters, shownLines, retraceFirst, retraceLines } = beam(this.state);
    const position = new Timebase(this.options.clock, hertz).now();
    const line = Math.floor(position / charactersPerLine) % lines;
    const retrace = (line - retraceFirst + lines) % lines < retraceLines;
    const blank = line >= shownLines || position % charactersPerLine >= shownCharacters;
    return (retrace ? 8 : 0) | (blank || retrace ? 1 : 0);
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
    s.palette[3 * s.dacWriteIndex + s.dacStep] = this.dispi.wideDac ? value : value & 0x3f;
    if (++s.dacStep === 3) {
      s.dacStep = 0;
      s.dacWriteIndex = (s.dacWriteIndex + 1) & 0xff;
    }
  }

  private write(rawPort: number, value: number): void {
    const s = this.state;
    const put = (registers: number[], index: number): void => {
      if (index < registers.length) registers[index] = value;
    };
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
      case 0x3c2:
        s.miscOutput = value;
        this.memory.update();
        break;
      case 0x3c4: s.sequencerIndex = value & 7; break;
      case 0x3c5:
        put(s.sequencer, s.sequencerIndex);
        this.memory.update();
        break;
      case 0x3c6: s.dacMask = value; break;
      case 0x3c7: s.dacReadIndex = value; s.dacStep = 0; s.dacReading = true; break;
      case 0x3c8: s.dacWriteIndex = value; s.dacStep = 0; s.dacReading = false; break;
      case 0x3c9: this.writeDac(value); break;
      case 0x3ce: s.graphicsIndex = value & 15; break;
      case 0x3cf:
        put(s.graphics, s.graphicsIndex);
        this.memory.update();
        break;
      case 0x3d4: s.crtcIndex = value & 0x3f; break;
      case 0x3d5: this.writeCrtc(value); break;
      case 0x3da: s.featureControl = value; break;
      default: break;
    }
  }

  private writeCrtc(value: number): void {
    const { crtc, crtcIndex } = this.state;
    if (crtcIndex >= crtc.length) return;
    const locked = (crtc[CR.retraceEnd] & 0x80) !== 0 && crtcIndex <= CR.overflow;
    // Of the protected registers only the line-compare bit of CR7 stays writable.
    if (!locked) crtc[crtcIndex] = value;
    else if (crtcIndex === CR.overflow) crtc[CR.overflow] = (crtc[CR.overflow] & ~0x10) | (value & 0x10);
  }

  /** Programs all registers of a mode at once. */
  setMode(mode: VgaMode): void {
    this.state = registersOf(mode, this.state.palette);
    this.memory.settle();
  }

  /** A DAC entry behind the pixel mask, 0xRRGGBB. */
  private colour(dac: number): number {
    const { palette, dacMask } = this.state;
    const at = 3 * (dac & dacMask);
    const scale = (value: number): number => (this.dispi.wideDac ? value : (value << 2 | value >> 4) & 0xff);
    return scale(palette[at]) << 16 | scale(palette[at + 1]) << 8 | scale(palette[at + 2]);
  }

  /** The cells of a text mode; undefined while the picture is made of pixels. */
  text(): TextScreen | undefined {
    return this.dispi.enabled || isGraphics(this.state) ? undefined : readText(this.state, this.memory.display(), this.colourOf);
  }

  /** The picture, of text modes too. */
  picture(): Picture {
    const planes = this.memory.display();
    const { mode } = this.dispi;
    if (mode) return drawVbe(mode, this.state, this.video, planes, this.colourOf);
    const { hertz, charactersPerLine, lines } = beam(this.state);
    const frame = Math.floor(new Timebase(this.options.clock, hertz).now() / (charactersPerLine * lines));
    return drawVga(this.state, planes, this.colourOf, frame);
  }

  registerValues(): readonly number[] {
    return [...vgaValues(this.state, this.inputStatus()), ...this.dispi.values()];
  }

  reset(): void {
    this.state = registersOf(text80, palettes.ega);
    this.dispi.reset();
    this.memory.settle();
  }

  /** Memory's bytes are the machine's. */
  save(): unknown {
    return structuredCopy({ registers: this.state, dispi: this.dispi.state, mapping: this.memory.save() });
  }

  restore(state: unknown): void {
    const { registers, dispi, mapping } = structuredCopy(state) as SavedState;
    this.state = registers;
    this.dispi.state = dispi;
    this.memory.restore(mapping);
  }
}

function structuredCopy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
