/** Lines of disassembly: address, bytes, text. */
import { hex } from './text';

export interface ListingLine {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** Instructions of up to this many bytes stand on one line; longer ones continue on the next. */
const BYTES_PER_LINE = 8;

export function listingLine({ address, bytes, text }: ListingLine): string {
  const digits = [...bytes].map((byte) => hex(byte, 2));
  const lines = [`${hex(address, 8)}  ${digits.slice(0, BYTES_PER_LINE).join('').padEnd(2 * BYTES_PER_LINE)}  ${text}`];
  for (let at = BYTES_PER_LINE; at < digits.length; at += BYTES_PER_LINE) lines.push(`         -${digits.slice(at, at + BYTES_PER_LINE).join('')}`);
  return lines.join('\n');
}
