/**
 * The VGA's register files as rows: general registers, sequencer, CRT controller, graphics controller, attribute controller and DAC
 * (IBM PS/2 Hardware Interface Technical Reference, Video Subsystem; FreeVGA's names), and the state that they are.
 */
import type { DeviceRegister } from '../device';

/** Names of the indexed registers that code works with. */
export const SR = { reset: 0, clocking: 1, mapMask: 2, characterMap: 3, memoryMode: 4 } as const;
export const GR = { setReset: 0, enableSetReset: 1, colourCompare: 2, rotate: 3, readMap: 4, mode: 5, miscellaneous: 6, colourDontCare: 7, bitMask: 8 } as const;
export const CR = {
  horizontalTotal: 0, horizontalEnd: 1, verticalTotal: 6, overflow: 7, presetRow: 8, maximumScan: 9, cursorStart: 0x0a, cursorEnd: 0x0b, startHigh: 0x0c, startLow: 0x0d,
  cursorHigh: 0x0e, cursorLow: 0x0f, retraceStart: 0x10, retraceEnd: 0x11, verticalEnd: 0x12, offset: 0x13, underline: 0x14, mode: 0x17, lineCompare: 0x18,
} as const;
export const AR = { mode: 0x10, overscan: 0x11, planeEnable: 0x12, panning: 0x13, colourSelect: 0x14 } as const;

export interface VgaState {
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
  /** The four planes as last read, a byte each. */
  latch: number;
}

/** Registers of a mode as a video BIOS programs them. */
export interface VgaMode {
  readonly miscOutput: number;
  readonly sequencer: readonly number[];
  readonly crtc: readonly number[];
  readonly graphics: readonly number[];
  readonly attribute: readonly number[];
}

export function registersOf(mode: VgaMode, palette: readonly number[]): VgaState {
  return {
    miscOutput: mode.miscOutput, featureControl: 0, sequencerIndex: 0, sequencer: [...mode.sequencer], crtcIndex: 0, crtc: [...mode.crtc], graphicsIndex: 0,
    graphics: [...mode.graphics], attributeIndex: 0x20, attribute: [...mode.attribute], attributeData: false, dacMask: 0xff, dacReadIndex: 0, dacWriteIndex: 0,
    dacStep: 0, dacReading: false, palette: [...palette], latch: 0,
  };
}

/** "NAME:7-4 FLAG:3" as bit fields. */
export function fields(text: string): NonNullable<DeviceRegister['fields']> {
  return text.split(' ').map((field) => {
    const [name, bits] = field.split(':');
    const [high, low = high] = bits.split('-').map(Number);
    return { name, bit: low, width: high - low + 1 };
  });
}

type Row = readonly [name: string, description: string, fields?: string];

const sequencerRows: readonly Row[] = [
  ['Reset', 'Both bits 1 to run', 'SR:1 AR:0'],
  ['Clocking mode', 'Screen off, dot clock, character width', 'SD:5 S4:4 DCR:3 SLR:2 8DOT:0'],
  ['Map mask', 'Planes that writes reach', 'PLANES:3-0'],
  ['Character map select', 'Fonts of attribute bit 3', 'MAH:5 MBH:4 MAL:3-2 MBL:1-0'],
  ['Memory mode', 'How addresses choose planes', 'CHAIN4:3 SEQUENTIAL:2 EXTENDED:1'],
];

const crtcRows: readonly Row[] = [
  ['Horizontal total', 'Characters per line, less 5'],
  ['End horizontal display', 'Characters shown, less 1'],
  ['Start horizontal blanking', 'Character'],
  ['End horizontal blanking', 'Low five bits', 'EVRA:7 SKEW:6-5 EHB:4-0'],
  ['Start horizontal retrace', 'Character'],
  ['End horizontal retrace', 'Low five bits', 'EHB5:7 SKEW:6-5 EHR:4-0'],
  ['Vertical total', 'Lines per frame, less 2, low eight bits'],
  ['Overflow', 'High bits of vertical registers', 'VRS9:7 VDE9:6 VT9:5 LC8:4 VBS8:3 VRS8:2 VDE8:1 VT8:0'],
  ['Preset row scan', 'First line of the first row, byte panning', 'PANNING:6-5 ROW:4-0'],
  ['Maximum scan line', 'Lines per row, less 1', 'DOUBLE:7 LC9:6 VBS9:5 LINES:4-0'],
  ['Cursor start', 'First line of the cursor', 'OFF:5 LINE:4-0'],
  ['Cursor end', 'Last line of the cursor', 'SKEW:6-5 LINE:4-0'],
  ['Start address high', 'Where the picture begins'],
  ['Start address low', 'Where the picture begins'],
  ['Cursor location high', 'Character'],
  ['Cursor location low', 'Character'],
  ['Vertical retrace start', 'Line, low eight bits'],
  ['Vertical retrace end', 'Low four bits; protects registers 0–7', 'PROTECT:7 BANDWIDTH:6 NOINT:5 CLEARINT:4 LINE:3-0'],
  ['Vertical display end', 'Lines shown, less 1, low eight bits'],
  ['Offset', 'Width of a row in memory, in words'],
  ['Underline location', 'Line of the underline', 'DWORD:6 BY4:5 LINE:4-0'],
  ['Start vertical blanking', 'Line, low eight bits'],
  ['End vertical blanking', 'Low bits'],
  ['CRTC mode', 'How the address counter addresses memory', 'RUN:7 BYTE:6 WRAP:5 BY2:3 LINEBY2:2 MAP14:1 MAP13:0'],
  ['Line compare', 'Line behind which memory is shown from 0, low eight bits'],
];

const graphicsRows: readonly Row[] = [
  ['Set/reset', 'Value of planes that are set', 'PLANES:3-0'],
  ['Enable set/reset', 'Planes that are set', 'PLANES:3-0'],
  ['Colour compare', 'Colour that read mode 1 looks for', 'PLANES:3-0'],
  ['Data rotate', 'Rotation and function of written data', 'FUNCTION:4-3 ROTATE:2-0'],
  ['Read map select', 'Plane that read mode 0 gives', 'PLANE:1-0'],
  ['Graphics mode', 'Read and write mode', 'SHIFT256:6 SHIFT:5 ODDEVEN:4 READ:3 WRITE:1-0'],
  ['Miscellaneous', 'Window of video memory', 'MAP:3-2 CHAIN:1 GRAPHICS:0'],
  ['Colour don\'t care', 'Planes that read mode 1 compares', 'PLANES:3-0'],
  ['Bit mask', 'Bits that writes change'],
];

const attributeRows: readonly Row[] = [
  ...Array.from({ length: 16 }, (_, n): Row => [`Palette ${n}`, 'DAC colour', 'COLOUR:5-0']),
  ['Mode control', 'Blinking, widths, graphics', 'P54S:7 PCS:6 PPM:5 BLINK:3 LGE:2 MONO:1 GRAPHICS:0'],
  ['Overscan', 'Colour of the border'],
  ['Colour plane enable', 'Planes that are shown', 'PLANES:3-0'],
  ['Horizontal panning', 'Dots to the left', 'DOTS:3-0'],
  ['Colour select', 'High bits of the DAC colour', 'C76:3-2 C54:1-0'],
];

const generalRows: readonly DeviceRegister[] = [
  { address: 0x3cc, name: 'Miscellaneous output', description: 'Written at port 3C2h', fields: fields('VSP:7 HSP:6 PAGE:5 CLOCK:3-2 RAM:1 IOS:0') },
  { address: 0x3ca, name: 'Feature control', description: 'Written at port 3DAh' },
  { address: 0x3da, name: 'Input status 1', description: 'Retrace; reading it makes the next write to 3C0h an index', fields: fields('VRETRACE:3 BLANK:0') },
  { address: 0x3c0, name: 'Attribute index', description: 'Index and data in turn; bit 5 shows the picture', fields: fields('PAS:5 INDEX:4-0') },
  { address: 0x3c4, name: 'Sequencer index', description: 'Register for port 3C5h' },
  { address: 0x3ce, name: 'Graphics index', description: 'Register for port 3CFh' },
  { address: 0x3d4, name: 'CRTC index', description: 'Register for port 3D5h' },
  { address: 0x3c6, name: 'DAC mask', description: 'Bits of a colour that choose a DAC entry' },
  { address: 0x3c7, name: 'DAC read index', description: 'Colour to read; reading gives the DAC\'s state' },
  { address: 0x3c8, name: 'DAC write index', description: 'Colour to write; its components go to port 3C9h in turn' },
];

const indexed = (address: number, rows: readonly Row[]): DeviceRegister[] => rows.map(([name, description, bits], index) => ({
  address, index, name, description, ...(bits !== undefined && { fields: fields(bits) }),
}));

export const vgaRows: readonly DeviceRegister[] = [
  ...generalRows, ...indexed(0x3c5, sequencerRows), ...indexed(0x3d5, crtcRows), ...indexed(0x3cf, graphicsRows), ...indexed(0x3c1, attributeRows),
];

/** Values of {@link vgaRows}. */
export function vgaValues(s: VgaState, inputStatus: number): number[] {
  return [
    s.miscOutput, s.featureControl, inputStatus, s.attributeIndex, s.sequencerIndex, s.graphicsIndex, s.crtcIndex, s.dacMask, s.dacReadIndex, s.dacWriteIndex,
    ...s.sequencer, ...s.crtc, ...s.graphics, ...s.attribute,
  ];
}
