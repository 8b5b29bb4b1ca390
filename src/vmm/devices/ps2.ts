/**
 * An AT keyboard as it hangs on the 8042: scan-code sets 1 and 2, LEDs, identification, defaults, reset. It turns commands into answer bytes and key
 * events into scan codes.
 */
import { SET1_TO_SET2 } from './scancodes';

const ACK = 0xfa, RESEND = 0xfe, SELF_TEST_PASSED = 0xaa;

interface KeyboardState {
  set: 1 | 2;
  scanning: boolean;
  leds: number;
  /** Command whose argument comes next, or 0. */
  awaiting: number;
  lastSent: number;
}

export class AtKeyboard {
  state: KeyboardState = AtKeyboard.defaults();

  private static defaults(): KeyboardState {
    return { set: 2, scanning: true, leds: 0, awaiting: 0, lastSent: 0 };
  }

  reset(): void {
    this.state = AtKeyboard.defaults();
  }

  /** Scan codes in the selected set for a byte of set 1 (make, break, or prefix). */
  encode(set1: number): readonly number[] {
    const s = this.state;
    if (!s.scanning) return [];
    if (s.set === 1 || set1 >= 0xe0) return [set1];
    const code = SET1_TO_SET2[set1 & 0x7f];
    if (code === 0) return [];
    return set1 & 0x80 ? [0xf0, code] : [code];
  }

  /** Answers a byte from the controller. */
  command(value: number): readonly number[] {
    const s = this.state;
    const { awaiting } = s;
    s.awaiting = 0;
    if (awaiting !== 0 && value < 0xed) return this.argument(awaiting, value);
    switch (value) {
      case 0xed: // LEDs
      case 0xf0: // scan-code set
      case 0xf3: // typematic rate
        s.awaiting = value;
        return [ACK];
      case 0xee: return [0xee];
      case 0xf2: return [ACK, 0xab, 0x83];
      case 0xf4: s.scanning = true; return [ACK];
      case 0xf5: Object.assign(s, AtKeyboard.defaults(), { scanning: false, leds: s.leds }); return [ACK];
      case 0xf6: Object.assign(s, AtKeyboard.defaults(), { leds: s.leds }); return [ACK];
      case 0xfe: return [s.lastSent];
      case 0xff: this.reset(); return [ACK, SELF_TEST_PASSED];
      default: return [RESEND];
    }
  }

  private argument(command: number, value: number): readonly number[] {
    const s = this.state;
    if (command === 0xed) s.leds = value & 7;
    if (command === 0xf0) {
      if (value === 0) return [ACK, s.set];
      // Set 3 is not offered.
      if (value > 2) return [RESEND];
      s.set = value as 1 | 2;
    }
    return [ACK];
  }
}
