import { strict as assert } from 'node:assert';
import zlib from 'node:zlib';
import { png } from './png';

describe('PNG files', () => {
  it('hold the dots row by row, in chunks with good checksums', () => {
    const file = Buffer.from(png({ width: 2, height: 2, bytes: Uint8Array.of(1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255) }));
    const chunks = new Map<string, Buffer>();
    for (let at = 8; at < file.length;) {
      const length = file.readUInt32BE(at);
      chunks.set(file.toString('latin1', at + 4, at + 8), file.subarray(at + 8, at + 8 + length));
      at += 12 + length;
    }
    assert.deepEqual([...chunks.keys()], ['IHDR', 'IDAT', 'IEND']);
    // The end is the same in every file: nothing, and its checksum.
    assert.equal(file.readUInt32BE(file.length - 4), 0xae426082);
    assert.deepEqual([...chunks.get('IHDR')!], [0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
    assert.deepEqual([...zlib.inflateSync(chunks.get('IDAT')!)], [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
  });
});
