/** US keyboard layout of the BIOS: for each set 1 make code the word (scan code and character) that INT 16h returns, by shift state. */

export interface KeyWords {
  readonly base: number;
  readonly shift: number;
  readonly ctrl: number;
  readonly alt: number;
  /** Caps Lock acts as Shift. */
  readonly letter?: boolean;
}

/** No character in this state. */
export const NONE = -1;

const table: (KeyWords | undefined)[] = [];

/** Keys that give characters: scan code, plain and shifted character, control character (or NONE), scan code with Alt (or NONE). */
function characters(scan: number, plain: string, shifted: string, ctrl = NONE, alt = NONE): void {
  const word = (code: number): number => scan << 8 | code;
  table[scan] = {
    base: word(plain.charCodeAt(0)), shift: word(shifted.charCodeAt(0)), ctrl: ctrl === NONE ? NONE : word(ctrl), alt: alt === NONE ? NONE : alt << 8,
    letter: plain >= 'a' && plain <= 'z',
  };
}

for (const [scan, row] of [[0x10, 'qwertyuiop'], [0x1e, 'asdfghjkl'], [0x2c, 'zxcvbnm']] as const) {
  Array.from(row, (letter, n) => characters(scan + n, letter, letter.toUpperCase(), letter.charCodeAt(0) & 0x1f, scan + n));
}
Array.from('1234567890', (digit, n) => characters(2 + n, digit, '!@#$%^&*()'[n], digit === '2' ? 0x00 : digit === '6' ? 0x1e : NONE, 0x78 + n));
characters(0x0c, '-', '_', 0x1f, 0x82);
characters(0x0d, '=', '+', NONE, 0x83);
characters(0x1a, '[', '{', 0x1b, 0x1a);
characters(0x1b, ']', '}', 0x1d, 0x1b);
characters(0x27, ';', ':', NONE, 0x27);
characters(0x28, '\'', '"', NONE, 0x28);
characters(0x29, '`', '~', NONE, 0x29);
characters(0x2b, '\\', '|', 0x1c, 0x2b);
characters(0x33, ',', '<', NONE, 0x33);
characters(0x34, '.', '>', NONE, 0x34);
characters(0x35, '/', '?', NONE, 0x35);
characters(0x56, '\\', '|', 0x1c, NONE);
table[0x01] = { base: 0x011b, shift: 0x011b, ctrl: 0x011b, alt: 0x0100 };
table[0x0e] = { base: 0x0e08, shift: 0x0e08, ctrl: 0x0e7f, alt: 0x0e00 };
table[0x0f] = { base: 0x0f09, shift: 0x0f00, ctrl: 0x9400, alt: 0xa500 };
table[0x1c] = { base: 0x1c0d, shift: 0x1c0d, ctrl: 0x1c0a, alt: 0x1c00 };
table[0x39] = { base: 0x3920, shift: 0x3920, ctrl: 0x3920, alt: 0x3920 };
table[0x37] = { base: 0x372a, shift: 0x372a, ctrl: 0x9600, alt: 0x3700 };
for (let n = 0; n < 10; n++) table[0x3b + n] = { base: (0x3b + n) << 8, shift: (0x54 + n) << 8, ctrl: (0x5e + n) << 8, alt: (0x68 + n) << 8 };
for (let n = 0; n < 2; n++) table[0x57 + n] = { base: (0x85 + n) << 8, shift: (0x87 + n) << 8, ctrl: (0x89 + n) << 8, alt: (0x8b + n) << 8 };
/** Key pad: digit with Num Lock or Shift, control code. Alt collects a character number instead. */
Array.from('789-456+1230.', (character, n) => {
  const scan = 0x47 + n;
  const ctrl = [0x77, 0x8d, 0x84, 0x8e, 0x73, 0x8f, 0x74, 0x90, 0x75, 0x91, 0x76, 0x92, 0x93][n] << 8;
  const operator = character === '-' || character === '+';
  const word = scan << 8 | character.charCodeAt(0);
  table[scan] = { base: operator ? word : scan << 8, shift: word, ctrl, alt: operator ? scan << 8 : NONE };
});
table[0x4c] = { ...table[0x4c]!, base: 0x4cf0 };

export const keymap: readonly (KeyWords | undefined)[] = table;

/** Keys with the E0 prefix: the low byte is E0, which AH=00h turns into 0. */
export const extendedKeymap: ReadonlyMap<number, KeyWords> = new Map([
  [0x1c, { base: 0xe00d, shift: 0xe00d, ctrl: 0xe00a, alt: 0xa600 }],
  [0x35, { base: 0xe02f, shift: 0xe02f, ctrl: 0x9500, alt: 0xa400 }],
  ...([
    [0x47, 0x77, 0x97], [0x48, 0x8d, 0x98], [0x49, 0x84, 0x99], [0x4b, 0x73, 0x9b], [0x4d, 0x74, 0x9d], [0x4f, 0x75, 0x9f], [0x50, 0x91, 0xa0], [0x51, 0x76, 0xa1],
    [0x52, 0x92, 0xa2], [0x53, 0x93, 0xa3],
  ] as const).map(([scan, ctrl, alt]): [number, KeyWords] => [scan, { base: scan << 8 | 0xe0, shift: scan << 8 | 0xe0, ctrl: ctrl << 8 | 0xe0, alt: alt << 8 }]),
]);
