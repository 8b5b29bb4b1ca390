/** The ELF file inside a bzImage: for entries that only it has. Payloads in LZ4's legacy format, as Debian's cloud kernels have them. */
import assert from 'node:assert/strict';

const LZ4_LEGACY = 0x184c2102;
/** Fields of the setup header (Documentation/arch/x86/boot.rst). */
const SETUP_SECTORS = 0x1f1, PAYLOAD_OFFSET = 0x248, PAYLOAD_LENGTH = 0x24c;
const SECTOR = 512;
/** Shortest match of an LZ4 sequence. */
const MATCH_MIN = 4;

export function vmlinuxOf(bzImage: Uint8Array): Uint8Array {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  const from = (bzImage[SETUP_SECTORS] + 1) * SECTOR + view.getUint32(PAYLOAD_OFFSET, true), end = from + view.getUint32(PAYLOAD_LENGTH, true);
  assert.equal(view.getUint32(from, true), LZ4_LEGACY, 'the payload is not LZ4');
  // The size of what is in it follows the compressed blocks.
  const result = new Uint8Array(view.getUint32(end - 4, true));
  let at = from + 4, filled = 0;
  while (at < end - 4) {
    const length = view.getUint32(at, true);
    filled = decompressBlock(bzImage.subarray(at + 4, at + 4 + length), result, filled);
    at += 4 + length;
  }
  assert.equal(filled, result.length);
  return result;
}

/** Sequences of literals and copies of what came before; where the output ends. */
function decompressBlock(block: Uint8Array, output: Uint8Array, start: number): number {
  let at = 0, to = start;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble === 15) {
      let more: number;
      do {
        more = block[at++];
        total += more;
      } while (more === 255);
    }
    return total;
  };
  while (at < block.length) {
    const token = block[at++];
    const literals = length(token >> 4);
    output.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at >= block.length) break;
    const distance = block[at] | block[at + 1] << 8;
    at += 2;
    // A copy may overlap what it writes.
    for (let count = length(token & 15) + MATCH_MIN; count > 0; count--, to++) output[to] = output[to - distance];
  }
  return to;
}
