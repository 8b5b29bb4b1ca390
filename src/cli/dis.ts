/** `ringside dis`: the bytes of a file as instructions, with addresses and bytes. */
import { Decoder } from '../vmm/decode/decoder';
import { disassemble } from '../vmm/decode/disassembler';
import { Instruction } from '../vmm/decode/instruction';
import { table } from '../vmm/isa/table';
import { CliError } from './errors';
import { readInput } from './files';
import { listingLine } from './format/listing';

export interface DisOptions {
  readonly bits: 16 | 32 | 64;
  /** Address of the file's first byte. */
  readonly org: number;
  readonly offset: number;
  readonly length?: number;
}

/** Lines that are written at once. */
const CHUNK_LINES = 1000;

/** @throws CliError when the file cannot be read or is shorter than the offset. */
export async function dis(file: string, options: DisOptions, write: (text: string) => Promise<void>): Promise<number> {
  const bytes = readInput(file);
  const { bits, org, offset } = options;
  if (offset > bytes.length) throw new CliError(`--offset ${offset} is behind the end of ${file}, which has ${bytes.length} bytes`);
  const end = Math.min(bytes.length, offset + (options.length ?? bytes.length));
  const decoder = new Decoder(table);
  const scratch = new Instruction();
  const mask = bits === 16 && org + end <= 0x10000 ? 0xffff : 0xffff_ffff;
  let lines: string[] = [];
  for (let at = offset; at < end;) {
    const address = (org + at) % 0x1_0000_0000;
    const { length, text } = disassemble(decoder, bytes, at, end, { codeSize: bits }, (address & mask) >>> 0, {}, scratch);
    lines.push(listingLine({ address, bytes: bytes.subarray(at, at + length), text }));
    at += length;
    if (lines.length === CHUNK_LINES) {
      await write(`${lines.join('\n')}\n`);
      lines = [];
    }
  }
  if (lines.length > 0) await write(`${lines.join('\n')}\n`);
  return 0;
}
