/** The VBE modes of the BIOS: VESA's numbers up to 11Bh, and those that emulators have in common for what came later. */
export interface VbeMode {
  readonly number: number;
  readonly width: number;
  readonly height: number;
  readonly bits: 4 | 8 | 15 | 16 | 24 | 32;
}

const sizes: readonly (readonly [width: number, height: number, modes: Readonly<Partial<Record<VbeMode['bits'], number>>>])[] = [
  [320, 200, { 8: 0x146, 15: 0x10d, 16: 0x10e, 24: 0x10f, 32: 0x140 }],
  [640, 400, { 8: 0x100, 32: 0x141 }],
  [640, 480, { 8: 0x101, 15: 0x110, 16: 0x111, 24: 0x112, 32: 0x142 }],
  [800, 600, { 4: 0x102, 8: 0x103, 15: 0x113, 16: 0x114, 24: 0x115, 32: 0x143 }],
  [1024, 768, { 4: 0x104, 8: 0x105, 15: 0x116, 16: 0x117, 24: 0x118, 32: 0x144 }],
  [1152, 864, { 8: 0x148, 15: 0x149, 16: 0x14a, 24: 0x14b, 32: 0x14c }],
  [1280, 720, { 16: 0x18d, 24: 0x18e, 32: 0x18f }],
  [1280, 800, { 16: 0x190, 24: 0x191, 32: 0x192 }],
  [1280, 1024, { 4: 0x106, 8: 0x107, 15: 0x119, 16: 0x11a, 24: 0x11b, 32: 0x145 }],
  [1600, 1200, { 8: 0x11c, 15: 0x11d, 16: 0x11e, 24: 0x11f, 32: 0x147 }],
  [1920, 1080, { 16: 0x193, 24: 0x194, 32: 0x195 }],
];

export const vbeModes: readonly VbeMode[] = sizes
  .flatMap(([width, height, modes]) => Object.entries(modes).map(([bits, number]) => ({ number, width, height, bits: Number(bits) as VbeMode['bits'] })))
  .sort((a, b) => a.number - b.number);
