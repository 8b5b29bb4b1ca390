/** The 256 words that IDENTIFY DEVICE and IDENTIFY PACKET DEVICE answer (ATA/ATAPI-6, tables 27 and 31). */

export type Words = Readonly<Record<number, number>>;

/** Swaps bytes, as identification strings have them. */
function textWords(text: string, words: number): number[] {
  const padded = text.padEnd(2 * words);
  return Array.from({ length: words }, (_, n) => padded.charCodeAt(2 * n) << 8 | padded.charCodeAt(2 * n + 1));
}

export interface Identity {
  readonly serial: string;
  readonly model: string;
  readonly words: Words;
}

/** Version of the firmware in identification data. */
const FIRMWARE = '1.0';

export function identifyData({ serial, model, words }: Identity): Uint8Array {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  const put = (at: number, values: readonly number[]): void => values.forEach((value, n) => view.setUint16(2 * (at + n), value, true));
  put(10, textWords(serial, 10));
  put(23, textWords(FIRMWARE, 4));
  put(27, textWords(model, 20));
  for (const [at, value] of Object.entries(words)) view.setUint16(2 * Number(at), value, true);
  // Integrity word: signature A5h and a checksum that makes the sum of all bytes 0.
  bytes[510] = 0xa5;
  bytes[511] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

/** Which transfer mode SET FEATURES (subcommand 03h) has selected: a bit in the high byte of word 63 or 88. */
export interface TransferMode {
  multiwordDma: number;
  ultraDma: number;
}

export const multiwordWord = ({ multiwordDma }: TransferMode): number => 0x07 | multiwordDma << 8;
export const ultraWord = ({ ultraDma }: TransferMode): number => 0x3f | ultraDma << 8;

/** The mode of SET FEATURES' sector count; false when the drive does not have it. */
export function selectTransferMode(mode: TransferMode, value: number): boolean {
  const number = value & 7;
  switch (value >> 3) {
    case 0: return number <= 1; // PIO default mode
    case 1: return number <= 4; // PIO with flow control
    case 4:
      if (number > 2) return false;
      Object.assign(mode, { multiwordDma: 1 << number, ultraDma: 0 });
      return true;
    case 8:
      if (number > 5) return false;
      Object.assign(mode, { multiwordDma: 0, ultraDma: 1 << number });
      return true;
    default: return false;
  }
}
