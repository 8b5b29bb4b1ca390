/** The data file of x87 cases: gzip of a header (JSON, one line), the shapes, and what each case changed. */
import zlib from 'node:zlib';
import { Reader, type Writer } from './outcome';
import { contents, profiles, type X87Shape, type X87State } from './x87-cases';

export const X87_DATA_VERSION = 1;

export interface X87Header {
  readonly version: number;
  readonly processor: string;
  readonly shapes: number;
  readonly cases: number;
}

export function writeX87Shape(w: Writer, shape: X87Shape): void {
  w.byte(shape.code.length);
  for (const byte of shape.code) w.byte(byte);
  w.byte(contents.indexOf(shape.content));
  w.byte(profiles.indexOf(shape.profile));
  w.number(shape.cases);
  w.word(shape.seed);
}

function readX87Shape(r: Reader): X87Shape {
  return {
    code: Uint8Array.from({ length: r.byte() }, () => r.byte()),
    content: contents[r.byte()], profile: profiles[r.byte()], cases: r.number(), seed: r.word() | 0,
  };
}

const enum Changed { Control = 1, Flags = 2, Accumulator = 4, Memory = 8, Registers = 16 }

const half = (w: Writer, value: number): void => {
  w.byte(value & 0xff);
  w.byte(value >> 8);
};
const readHalf = (r: Reader): number => r.byte() | r.byte() << 8;

const registersDiffer = (a: X87State, b: X87State, n: number): boolean => {
  for (let k = 10 * n; k < 10 * n + 10; k++) if (a.registers[k] !== b.registers[k]) return true;
  return false;
};

/** Memory up to its last changed byte. */
function changedMemory(before: X87State, after: X87State): number {
  let end = before.memory.length;
  while (end > 0 && before.memory[end - 1] === after.memory[end - 1]) end--;
  return end;
}

export function writeX87Outcome(w: Writer, before: X87State, after: X87State): void {
  let registers = 0;
  for (let n = 0; n < 8; n++) if (registersDiffer(before, after, n)) registers |= 1 << n;
  const memory = changedMemory(before, after);
  w.byte((before.control !== after.control ? Changed.Control : 0) | (before.flags !== after.flags ? Changed.Flags : 0)
    | (before.ax !== after.ax ? Changed.Accumulator : 0) | (memory ? Changed.Memory : 0) | (registers ? Changed.Registers : 0));
  half(w, after.status);
  w.byte(after.empty);
  if (before.control !== after.control) half(w, after.control);
  if (before.flags !== after.flags) half(w, after.flags);
  if (before.ax !== after.ax) half(w, after.ax);
  if (memory) {
    w.byte(memory);
    for (let n = 0; n < memory; n++) w.byte(after.memory[n]);
  }
  if (!registers) return;
  w.byte(registers);
  for (let n = 0; n < 8; n++) {
    if (registers >> n & 1) for (let k = 10 * n; k < 10 * n + 10; k++) w.byte(after.registers[k]);
  }
}

export function readX87Outcome(r: Reader, before: X87State, after: X87State): void {
  const changed = r.byte();
  after.status = readHalf(r);
  after.empty = r.byte();
  after.control = changed & Changed.Control ? readHalf(r) : before.control;
  after.flags = changed & Changed.Flags ? readHalf(r) : before.flags;
  after.ax = changed & Changed.Accumulator ? readHalf(r) : before.ax;
  after.memory.set(before.memory);
  if (changed & Changed.Memory) {
    const bytes = r.byte();
    for (let n = 0; n < bytes; n++) after.memory[n] = r.byte();
  }
  after.registers.set(before.registers);
  if (!(changed & Changed.Registers)) return;
  const registers = r.byte();
  for (let n = 0; n < 8; n++) {
    if (registers >> n & 1) for (let k = 10 * n; k < 10 * n + 10; k++) after.registers[k] = r.byte();
  }
}

export function packX87(header: X87Header, body: Writer): Uint8Array {
  return zlib.gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body.result()]), { level: 9 });
}

/** Reads a file and hands every shape to `visit`, which must read the shape's outcomes. */
export function readX87Data(file: Uint8Array, visit: (shape: X87Shape, outcomes: Reader) => void): X87Header {
  const bytes = zlib.gunzipSync(file);
  const lineEnd = bytes.indexOf(10);
  const header = JSON.parse(bytes.subarray(0, lineEnd).toString()) as X87Header;
  if (header.version !== X87_DATA_VERSION) throw new Error(`x87 data of version ${header.version}; run npm run silicon:generate`);
  const reader = new Reader(bytes.subarray(lineEnd + 1));
  for (let n = 0; n < header.shapes; n++) visit(readX87Shape(reader), reader);
  if (!reader.ended) throw new Error('the x87 data goes on behind its last shape');
  return header;
}
