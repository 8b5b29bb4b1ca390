/** INT 10h AH=0Bh and AH=10h: palette registers, border and DAC. */
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';

const OVERSCAN = 0x11;
/** CGA's colours 1–3 of its two palettes, as attribute registers hold them. */
const cgaPalettes = [[2, 4, 6], [3, 5, 7]] as const;
const INTENSE = 0x10;

export class VideoPalette {
  /** @param crtc the index port of the CRTC at present. */
  constructor(private readonly host: BiosHost, private readonly crtc: () => number) {}

  /** Components from DAC entry 0 on. */
  load(components: readonly number[]): void {
    this.host.writePort(0x3c8, 0);
    for (const component of components) this.host.writePort(0x3c9, component);
  }

  private register(index: number): number {
    const status = this.crtc() + 6;
    this.host.readPort(status);
    this.host.writePort(0x3c0, index);
    const value = this.host.readPort(0x3c1);
    this.host.readPort(status);
    this.host.writePort(0x3c0, 0x20);
    return value;
  }

  private setRegister(index: number, value: number): void {
    this.host.readPort(this.crtc() + 6);
    this.host.writePort(0x3c0, index);
    this.host.writePort(0x3c0, value);
    this.host.writePort(0x3c0, 0x20);
  }

  /** AH=0Bh, as CGA has it: border and background, and the palette of mode 4. */
  border(what: number, value: number, text: boolean): void {
    const intensity = (value & 8) << 1;
    if (what === 0) {
      this.setRegister(OVERSCAN, (value & 7) | intensity);
      if (text) return;
      this.setRegister(0, (value & 7) | intensity);
      const bright = value & 0x10 ? INTENSE : 0;
      for (let n = 1; n <= 3; n++) this.setRegister(n, (this.register(n) & ~INTENSE) | bright);
    } else if (what === 1) {
      cgaPalettes[value & 1].forEach((colour, n) => this.setRegister(n + 1, colour | (this.register(n + 1) & INTENSE)));
    }
  }

  /** AH=10h. */
  call(c: BiosCall): void {
    const { host } = this;
    const { memory } = host;
    switch (c.al) {
      case 0x00: if (c.bl < 0x15) this.setRegister(c.bl, c.bh); break;
      case 0x01: this.setRegister(OVERSCAN, c.bh); break;
      case 0x02: for (let n = 0; n < 17; n++) this.setRegister(n === 16 ? OVERSCAN : n, memory.read8(c.address(Seg.ES, c.dx + n))); break;
      case 0x03: this.setRegister(0x10, (this.register(0x10) & ~8) | (c.bl & 1) << 3); break;
      case 0x07: if (c.bl < 0x15) c.bh = this.register(c.bl); break;
      case 0x08: c.bh = this.register(OVERSCAN); break;
      case 0x09: for (let n = 0; n < 17; n++) memory.write8(c.address(Seg.ES, c.dx + n), this.register(n === 16 ? OVERSCAN : n)); break;
      case 0x10:
        host.writePort(0x3c8, c.bl);
        for (const value of [c.dh, c.ch, c.cl]) host.writePort(0x3c9, value);
        break;
      case 0x12:
        host.writePort(0x3c8, c.bl);
        for (let n = 0; n < 3 * Math.min(c.cx, 256); n++) host.writePort(0x3c9, memory.read8(c.address(Seg.ES, c.dx + n)));
        break;
      case 0x13: {
        // BL=0: pages of 64 or 16 colours; BL=1: the page.
        const pages = this.register(0x10);
        if (c.bl === 0) this.setRegister(0x10, (pages & 0x7f) | (c.bh & 1) << 7);
        else if (c.bl === 1) this.setRegister(0x14, pages & 0x80 ? c.bh & 15 : (c.bh & 3) << 2);
        break;
      }
      case 0x15:
        host.writePort(0x3c7, c.bl);
        c.dh = host.readPort(0x3c9);
        c.ch = host.readPort(0x3c9);
        c.cl = host.readPort(0x3c9);
        break;
      case 0x17:
        host.writePort(0x3c7, c.bl);
        for (let n = 0; n < 3 * Math.min(c.cx, 256); n++) memory.write8(c.address(Seg.ES, c.dx + n), host.readPort(0x3c9));
        break;
      case 0x18: host.writePort(0x3c6, c.bl); break;
      case 0x19: c.bl = host.readPort(0x3c6); break;
      case 0x1a: {
        const small = this.register(0x10) >> 7, page = this.register(0x14);
        c.bx = small | (small ? page & 15 : page >> 2) << 8;
        break;
      }
      case 0x1b: this.sumToGrey(c.bl, Math.min(c.cx, 256)); break;
      default: break;
    }
  }

  /** 30 % red, 59 % green, 11 % blue. */
  private sumToGrey(first: number, count: number): void {
    const { host } = this;
    for (let n = 0; n < count; n++) {
      host.writePort(0x3c7, (first + n) & 0xff);
      const [red, green, blue] = [host.readPort(0x3c9), host.readPort(0x3c9), host.readPort(0x3c9)];
      const grey = Math.round(0.3 * red + 0.59 * green + 0.11 * blue);
      host.writePort(0x3c8, (first + n) & 0xff);
      for (let k = 0; k < 3; k++) host.writePort(0x3c9, grey);
    }
  }
}
