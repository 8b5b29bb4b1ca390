/**
 * INT 09h and INT 16h: scan codes become words in the ring buffer of the BIOS data area, with shift states, locks and lights; programs take them out.
 * The buffer's pointers belong to the guest: when they make no sense the buffer is emptied.
 */
import type { BiosCall } from './bios-cpu';
import type { BiosHost } from './host';
import { NONE, extendedKeymap, keymap, type KeyWords } from './keymap';
import { BDA } from './layout';
import { rom } from './rom';

const BUFFER_OFFSET = BDA.keyBuffer - 0x400, BUFFER_END = BUFFER_OFFSET + 32;

/** 40:17. */
const RSHIFT = 1, LSHIFT = 2, CTRL = 4, ALT = 8, SCROLL = 0x10, NUM = 0x20, CAPS = 0x40, INSERT = 0x80;
/** 40:18: pressed at the moment. */
const LCTRL = 1, LALT = 2;
/** 40:96. */
const E1_SEEN = 1, E0_SEEN = 2, RCTRL = 4, RALT = 8, ENHANCED = 0x10;
/** 40:97: lights in bits 0–2, and the mask byte is still to be sent. */
const LIGHTS_PENDING = 0x40;

const lockKeys: ReadonlyMap<number, number> = new Map([[0x3a, CAPS], [0x45, NUM], [0x46, SCROLL]]);

export class KeyService {
  constructor(private readonly host: BiosHost) {}

  initialize(): void {
    const { memory } = this.host;
    memory.write16(BDA.keyHead, BUFFER_OFFSET);
    memory.write16(BDA.keyTail, BUFFER_OFFSET);
    memory.write16(BDA.keyBufferStart, BUFFER_OFFSET);
    memory.write16(BDA.keyBufferEnd, BUFFER_END);
    memory.write8(BDA.shiftFlags3, ENHANCED);
  }

  /** The ring as offsets from 0040:0000. */
  private ring(): { start: number; end: number; head: number; tail: number } {
    const { memory } = this.host;
    let start = memory.read16(BDA.keyBufferStart), end = memory.read16(BDA.keyBufferEnd);
    if (start >= end || (end - start) & 1) {
      start = BUFFER_OFFSET;
      end = BUFFER_END;
    }
    let head = memory.read16(BDA.keyHead), tail = memory.read16(BDA.keyTail);
    const inside = (at: number): boolean => at >= start && at < end && ((at - start) & 1) === 0;
    if (!inside(head) || !inside(tail)) head = tail = start;
    return { start, end, head, tail };
  }

  /** False when the buffer is full. */
  private push(word: number): boolean {
    const { start, end, head, tail } = this.ring();
    const next = tail + 2 === end ? start : tail + 2;
    if (next === head) return false;
    this.host.memory.write16(0x400 + tail, word);
    this.host.memory.write16(BDA.keyHead, head);
    this.host.memory.write16(BDA.keyTail, next);
    return true;
  }

  private peek(): number | undefined {
    const { head, tail } = this.ring();
    return head === tail ? undefined : this.host.memory.read16(0x400 + head);
  }

  private drop(): void {
    const { start, end, head, tail } = this.ring();
    this.host.memory.write16(BDA.keyTail, tail);
    this.host.memory.write16(BDA.keyHead, head === tail ? head : head + 2 === end ? start : head + 2);
  }

  /** The next word for AH=00h (`enhanced` false: keys of the 101-key board lose their mark or are skipped) or AH=10h. */
  private next(enhanced: boolean): number | undefined {
    for (let n = 0; n < 0x8000; n++) {
      const word = this.peek();
      if (word === undefined || enhanced) return word === undefined ? undefined : (word & 0xff) === 0xf0 && word >> 8 !== 0 ? word & 0xff00 : word;
      const scan = word >> 8, character = word & 0xff;
      if (scan === 0xe0) return character === 0x2f ? 0x352f : 0x1c00 | character;
      if (character === 0xe0 && scan !== 0) return scan << 8;
      // F0 marks combinations that the 84-key BIOS did not have, as do scan codes from 85h.
      if (!(character === 0xf0 && scan !== 0) && scan <= 0x84) return word;
      this.drop();
    }
    return undefined;
  }

  call(c: BiosCall): void {
    const { memory } = this.host;
    switch (c.ah) {
      case 0x00: case 0x10: {
        const word = this.next(c.ah === 0x10);
        if (word === undefined) {
          c.wait();
          return;
        }
        this.drop();
        c.ax = word;
        break;
      }
      case 0x01: case 0x11: {
        const word = this.next(c.ah === 0x11);
        c.zero = word === undefined;
        if (word !== undefined) c.ax = word;
        break;
      }
      case 0x02: c.al = memory.read8(BDA.shiftFlags); break;
      case 0x03: break; // repetition is the host's
      case 0x05: c.al = this.push(c.cx) ? 0 : 1; break;
      case 0x09: c.al = 0x20; break; // 10h–12h are there, and no more
      case 0x0a: c.bx = 0x41ab; break;
      case 0x12: {
        const flags2 = memory.read8(BDA.shiftFlags2), flags3 = memory.read8(BDA.shiftFlags3);
        c.al = memory.read8(BDA.shiftFlags);
        c.ah = (flags2 & 0x73) | (flags3 & (RCTRL | RALT)) | (flags2 & 4) << 5;
        break;
      }
      default: break;
    }
  }

  /** A byte from the keyboard, in AL (INT 09h after the intercept). May send the stub to Ctrl-Break, PrtSc or a restart. */
  key(c: BiosCall): void {
    const { memory } = this.host;
    const code = c.al;
    const flags3 = memory.read8(BDA.shiftFlags3);
    if (code === 0xfa) {
      this.acknowledged();
      return;
    }
    if (code === 0xe0 || code === 0xe1) {
      memory.write8(BDA.shiftFlags3, flags3 | (code === 0xe0 ? E0_SEEN : E1_SEEN));
      return;
    }
    const extended = (flags3 & E0_SEEN) !== 0;
    if (flags3 & E1_SEEN) {
      // Pause is E1 1D 45 and its break E1 9D C5: nothing to enter.
      if ((code & 0x7f) === 0x45) memory.write8(BDA.shiftFlags3, flags3 & ~E1_SEEN);
      return;
    }
    memory.write8(BDA.shiftFlags3, flags3 & ~E0_SEEN);
    const scan = code & 0x7f, pressed = code < 0x80;
    if (this.shiftKey(scan, pressed, extended)) return;
    if (pressed) this.pressed(c, scan, extended);
  }

  private setBits(address: number, bits: number, on: boolean): void {
    const { memory } = this.host;
    const value = memory.read8(address);
    memory.write8(address, on ? value | bits : value & ~bits);
  }

  /** Shift, Ctrl, Alt and the locks. True when the key was one of them. */
  private shiftKey(scan: number, pressed: boolean, extended: boolean): boolean {
    const { memory } = this.host;
    switch (scan) {
      case 0x2a: if (!extended) this.setBits(BDA.shiftFlags, LSHIFT, pressed); return true;
      case 0x36: if (!extended) this.setBits(BDA.shiftFlags, RSHIFT, pressed); return true;
      case 0x1d:
        if (extended) this.setBits(BDA.shiftFlags3, RCTRL, pressed);
        else this.setBits(BDA.shiftFlags2, LCTRL, pressed);
        this.setBits(BDA.shiftFlags, CTRL, ((memory.read8(BDA.shiftFlags2) & LCTRL) | (memory.read8(BDA.shiftFlags3) & RCTRL)) !== 0);
        return true;
      case 0x38:
        if (extended) this.setBits(BDA.shiftFlags3, RALT, pressed);
        else this.setBits(BDA.shiftFlags2, LALT, pressed);
        this.setBits(BDA.shiftFlags, ALT, ((memory.read8(BDA.shiftFlags2) & LALT) | (memory.read8(BDA.shiftFlags3) & RALT)) !== 0);
        if (!pressed) this.altNumber();
        return true;
      default: break;
    }
    const lock = lockKeys.get(scan);
    // Ctrl-Break comes as E0 46, Ctrl-Num Lock is Pause.
    if (lock === undefined || extended || memory.read8(BDA.shiftFlags) & CTRL) return false;
    const held = memory.read8(BDA.shiftFlags2) & lock;
    this.setBits(BDA.shiftFlags2, lock, pressed);
    if (pressed && held === 0) {
      memory.write8(BDA.shiftFlags, memory.read8(BDA.shiftFlags) ^ lock);
      this.light();
    }
    return true;
  }

  /** A character typed as Alt and its number on the key pad. */
  private altNumber(): void {
    const { memory } = this.host;
    const number = memory.read8(BDA.altNumber);
    memory.write8(BDA.altNumber, 0);
    if (number !== 0) this.push(number);
  }

  /** The lights' mask follows when the keyboard has acknowledged the command, by interrupt. */
  private light(): void {
    this.setBits(BDA.ledFlags, LIGHTS_PENDING, true);
    this.host.writePort(0x60, 0xed);
  }

  private acknowledged(): void {
    const { memory } = this.host;
    const state = memory.read8(BDA.ledFlags);
    if ((state & LIGHTS_PENDING) === 0) return;
    const lights = (memory.read8(BDA.shiftFlags) >> 4) & 7;
    memory.write8(BDA.ledFlags, lights);
    this.host.writePort(0x60, lights);
  }

  private pressed(c: BiosCall, scan: number, extended: boolean): void {
    const { memory } = this.host;
    const flags = memory.read8(BDA.shiftFlags);
    if (flags & CTRL && flags & ALT && scan === 0x53) {
      memory.write16(BDA.warmBoot, 0x1234);
      c.jump(rom.labels.get('post')!);
      return;
    }
    if (extended && scan === 0x46) {
      this.initializeBuffer();
      memory.write8(BDA.breakFlag, 0x80);
      c.jump(rom.labels.get('keyBreak')!);
      return;
    }
    if (extended && scan === 0x37 && (flags & (CTRL | ALT)) === 0) {
      c.jump(rom.labels.get('keyPrint')!);
      return;
    }
    if (!extended && flags & ALT && this.altDigit(scan)) return;
    if (scan === 0x52 && (extended || (flags & NUM) === 0)) memory.write8(BDA.shiftFlags, flags ^ INSERT);
    const words = extended ? extendedKeymap.get(scan) ?? keymap[scan] : keymap[scan];
    if (words === undefined) return;
    const word = this.choose(words, scan, extended, flags);
    if (word !== NONE) this.push(word);
  }

  private choose(words: KeyWords, scan: number, extended: boolean, flags: number): number {
    if (flags & ALT) return words.alt;
    if (flags & CTRL) return words.ctrl;
    let shift = (flags & (LSHIFT | RSHIFT)) !== 0;
    if (words.letter && flags & CAPS) shift = !shift;
    if (!extended && scan >= 0x47 && scan <= 0x53 && flags & NUM) shift = !shift;
    return shift ? words.shift : words.base;
  }

  private altDigit(scan: number): boolean {
    const digit = [0x52, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49].indexOf(scan);
    if (digit < 0) return false;
    const { memory } = this.host;
    memory.write8(BDA.altNumber, (memory.read8(BDA.altNumber) * 10 + digit) & 0xff);
    return true;
  }

  private initializeBuffer(): void {
    const { start } = this.ring();
    this.host.memory.write16(BDA.keyHead, start);
    this.host.memory.write16(BDA.keyTail, start);
    this.push(0);
  }
}
