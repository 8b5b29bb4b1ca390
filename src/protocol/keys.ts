/**
 * What a PS/2 keyboard sends, as data: physical key (KeyboardEvent.code of the UI Events specification) → scan code set 1, the codes
 * that the 8042 hands to the guest after its translation. A break code is the make code with bit 7 set; E0 goes before both.
 */

/** Keys whose make code is one byte. */
const plain: Readonly<Record<string, number>> = {
  Escape: 0x01, Digit1: 0x02, Digit2: 0x03, Digit3: 0x04, Digit4: 0x05, Digit5: 0x06, Digit6: 0x07, Digit7: 0x08, Digit8: 0x09,
  Digit9: 0x0a, Digit0: 0x0b, Minus: 0x0c, Equal: 0x0d, Backspace: 0x0e,
  Tab: 0x0f, KeyQ: 0x10, KeyW: 0x11, KeyE: 0x12, KeyR: 0x13, KeyT: 0x14, KeyY: 0x15, KeyU: 0x16, KeyI: 0x17, KeyO: 0x18, KeyP: 0x19,
  BracketLeft: 0x1a, BracketRight: 0x1b, Enter: 0x1c,
  ControlLeft: 0x1d, KeyA: 0x1e, KeyS: 0x1f, KeyD: 0x20, KeyF: 0x21, KeyG: 0x22, KeyH: 0x23, KeyJ: 0x24, KeyK: 0x25, KeyL: 0x26,
  Semicolon: 0x27, Quote: 0x28, Backquote: 0x29,
  ShiftLeft: 0x2a, Backslash: 0x2b, KeyZ: 0x2c, KeyX: 0x2d, KeyC: 0x2e, KeyV: 0x2f, KeyB: 0x30, KeyN: 0x31, KeyM: 0x32,
  Comma: 0x33, Period: 0x34, Slash: 0x35, ShiftRight: 0x36, NumpadMultiply: 0x37, AltLeft: 0x38, Space: 0x39, CapsLock: 0x3a,
  F1: 0x3b, F2: 0x3c, F3: 0x3d, F4: 0x3e, F5: 0x3f, F6: 0x40, F7: 0x41, F8: 0x42, F9: 0x43, F10: 0x44, NumLock: 0x45, ScrollLock: 0x46,
  Numpad7: 0x47, Numpad8: 0x48, Numpad9: 0x49, NumpadSubtract: 0x4a, Numpad4: 0x4b, Numpad5: 0x4c, Numpad6: 0x4d, NumpadAdd: 0x4e,
  Numpad1: 0x4f, Numpad2: 0x50, Numpad3: 0x51, Numpad0: 0x52, NumpadDecimal: 0x53, IntlBackslash: 0x56, F11: 0x57, F12: 0x58,
  KanaMode: 0x70, IntlRo: 0x73, Convert: 0x79, NonConvert: 0x7b, IntlYen: 0x7d, NumpadComma: 0x7e,
};

/** Keys of the enhanced keyboard: E0, then this code. */
const extended: Readonly<Record<string, number>> = {
  NumpadEnter: 0x1c, ControlRight: 0x1d, NumpadDivide: 0x35, AltRight: 0x38, Home: 0x47, ArrowUp: 0x48, PageUp: 0x49, ArrowLeft: 0x4b,
  ArrowRight: 0x4d, End: 0x4f, ArrowDown: 0x50, PageDown: 0x51, Insert: 0x52, Delete: 0x53, MetaLeft: 0x5b, MetaRight: 0x5c,
  ContextMenu: 0x5d, Power: 0x5e, Sleep: 0x5f, WakeUp: 0x63,
};

/** Keys that send a sequence of their own. Pause has no break code: its make contains both. */
const sequences: Readonly<Record<string, readonly [make: readonly number[], release: readonly number[]]>> = {
  PrintScreen: [[0xe0, 0x2a, 0xe0, 0x37], [0xe0, 0xb7, 0xe0, 0xaa]],
  Pause: [[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5], []],
};

/** Every KeyboardEvent.code that has a scan code. */
export const keyCodes: readonly string[] = [...Object.keys(plain), ...Object.keys(extended), ...Object.keys(sequences)];

/** Bytes sent when the key goes down (and again at each typematic repeat); undefined for a key that a PC keyboard does not have. */
export function makeCode(code: string): readonly number[] | undefined {
  if (Object.hasOwn(plain, code)) return [plain[code]];
  if (Object.hasOwn(extended, code)) return [0xe0, extended[code]];
  return Object.hasOwn(sequences, code) ? sequences[code][0] : undefined;
}

/** Bytes sent when the key comes up. */
export function breakCode(code: string): readonly number[] | undefined {
  if (Object.hasOwn(plain, code)) return [plain[code] | 0x80];
  if (Object.hasOwn(extended, code)) return [0xe0, extended[code] | 0x80];
  return Object.hasOwn(sequences, code) ? sequences[code][1] : undefined;
}

/** US layout: the keys of each row without and with Shift, in the order of the codes. */
const layout: readonly (readonly [unshifted: string, shifted: string, codes: readonly string[]])[] = [
  ['`1234567890-=', '~!@#$%^&*()_+', ['Backquote', ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 0].map((n) => `Digit${n}`), 'Minus', 'Equal']],
  ['qwertyuiop[]\\', 'QWERTYUIOP{}|', [...'QWERTYUIOP'].map((c) => `Key${c}`).concat('BracketLeft', 'BracketRight', 'Backslash')],
  ['asdfghjkl;\'', 'ASDFGHJKL:"', [...'ASDFGHJKL'].map((c) => `Key${c}`).concat('Semicolon', 'Quote')],
  ['zxcvbnm,./', 'ZXCVBNM<>?', [...'ZXCVBNM'].map((c) => `Key${c}`).concat('Comma', 'Period', 'Slash')],
  [' \n\t\b\x1b', '', ['Space', 'Enter', 'Tab', 'Backspace', 'Escape']],
];

const characters = new Map<string, { readonly code: string; readonly shift: boolean }>();
for (const [unshifted, shifted, codes] of layout) {
  codes.forEach((code, i) => {
    characters.set(unshifted[i], { code, shift: false });
    if (shifted) characters.set(shifted[i], { code, shift: true });
  });
}
characters.set('\r', { code: 'Enter', shift: false });

/** Scan codes of somebody typing `text` on a US keyboard. Characters that it does not have are left out and returned. */
export function scancodesForText(text: string): { readonly scancodes: number[]; readonly untypable: string } {
  const scancodes: number[] = [];
  let untypable = '';
  for (const character of text) {
    const key = characters.get(character);
    if (!key) {
      untypable += character;
      continue;
    }
    if (key.shift) scancodes.push(...makeCode('ShiftLeft')!);
    scancodes.push(...makeCode(key.code)!, ...breakCode(key.code)!);
    if (key.shift) scancodes.push(...breakCode('ShiftLeft')!);
  }
  return { scancodes, untypable };
}

/** Which keys are down, so that none stays down in the guest when the view loses the keyboard. */
export class PressedKeys {
  private readonly down = new Set<string>();

  press(code: string): readonly number[] | undefined {
    const make = makeCode(code);
    if (make && breakCode(code)!.length) this.down.add(code);
    return make;
  }

  /** Undefined for a key that this view never saw go down. */
  release(code: string): readonly number[] | undefined {
    return this.down.delete(code) ? breakCode(code) : undefined;
  }

  /** Break codes of all keys that are down. */
  releaseAll(): number[] {
    const codes = [...this.down].flatMap((code) => breakCode(code)!);
    this.down.clear();
    return codes;
  }
}
