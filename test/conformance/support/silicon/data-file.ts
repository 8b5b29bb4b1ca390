/**
 * The data files: gzip of a header (JSON, one line) and, shape after shape, its code, its rules and the outcomes of its cases.
 * `npm run silicon:generate` writes them.
 */
import zlib from 'node:zlib';
import type { Shape } from './cases';
import { Reader, type Writer } from './outcome';
import type { ModeName } from './world';

export const DATA_VERSION = 1;

export interface DataHeader {
  readonly version: number;
  readonly mode: ModeName;
  readonly processor: string;
  readonly shapes: number;
  readonly cases: number;
}

export function writeShape(w: Writer, shape: Shape): void {
  w.byte(shape.code.length);
  for (const byte of shape.code) w.byte(byte);
  w.number(shape.at);
  w.number(shape.cases);
  w.word(shape.seed);
  w.byte(shape.rules.length);
  for (const rule of shape.rules) {
    w.byte(rule.length);
    for (const value of rule) w.signed(value | 0);
  }
}

function readShape(r: Reader, mode: ModeName): Shape {
  const code = Uint8Array.from({ length: r.byte() }, () => r.byte());
  const at = r.number();
  const cases = r.number();
  const seed = r.word() | 0;
  const rules = Array.from({ length: r.byte() }, () => Array.from({ length: r.byte() }, () => r.signed()));
  return { mode, code, at, cases, seed, rules };
}

export function packData(header: DataHeader, body: Writer): Uint8Array {
  return zlib.gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body.result()]), { level: 9 });
}

/** Reads a file and hands every shape to `visit`, which must read the shape's outcomes. */
export function readData(file: Uint8Array, visit: (shape: Shape, outcomes: Reader) => void): DataHeader {
  const bytes = zlib.gunzipSync(file);
  const lineEnd = bytes.indexOf(10);
  const header = JSON.parse(bytes.subarray(0, lineEnd).toString()) as DataHeader;
  if (header.version !== DATA_VERSION) throw new Error(`data of version ${header.version}; run npm run silicon:generate`);
  const reader = new Reader(bytes.subarray(lineEnd + 1));
  for (let n = 0; n < header.shapes; n++) visit(readShape(reader, header.mode), reader);
  if (!reader.ended) throw new Error('the data file goes on behind its last shape');
  return header;
}
