/** The compact form of what silicon answered to long-cases.ts: for each case what differs from its input, in units of eight bytes. */
import zlib from 'node:zlib';
import { expandLong, profiles, type LongShape, type System } from './long-cases';
import { Layout, type LongState } from './long-layout';
import type { Writer } from './outcome';
import { Reader } from './outcome';

export const LONG_DATA_VERSION = 1;
export interface LongHeader {
  readonly version: number;
  readonly processor: string;
  readonly shapes: number;
  readonly cases: number;
}

const UNITS = Layout.bytes / 8;
const NONE = 0xff;

export function writeLongShape(w: Writer, shape: LongShape): void {
  w.number(shape.code.length);
  shape.code.forEach((byte) => w.byte(byte));
  w.byte(profiles.indexOf(shape.profile));
  const { system, place } = shape;
  w.byte(shape.window | (shape.floats ? 2 : 0) | (place ? 4 : 0) | (system ? 8 : 0));
  w.number(shape.cases);
  w.word(shape.seed);
  if (place) {
    const { base, index, scale, displacement, bytes } = place;
    for (const value of [base, index, scale, displacement, bytes]) w.signed(value);
  }
  if (!system) return;
  if (place) w.byte((place.segment ?? 0) << 1 | (place.inFrame ? 1 : 0));
  w.byte(system.codeSize);
  w.byte(system.frame);
  w.byte(system.rules.length);
  for (const rule of system.rules) {
    w.byte(rule.length);
    for (const value of rule) w.signed(value | 0);
  }
}

function readLongShape(r: Reader): LongShape {
  const code = Uint8Array.from({ length: r.number() }, () => r.byte());
  const profile = profiles[r.byte()];
  const bits = r.byte();
  const cases = r.number();
  const seed = r.word();
  const place = bits & 4 ? { base: r.signed(), index: r.signed(), scale: r.signed(), displacement: r.signed(), bytes: r.signed() } : undefined;
  const shape = { code, profile, window: bits & 1, floats: (bits & 2) !== 0, cases, seed, place };
  if (!(bits & 8)) return shape;
  const more = place ? r.byte() : 0;
  const system: System = {
    codeSize: r.byte() as System['codeSize'], frame: r.byte(), rules: Array.from({ length: r.byte() }, () => Array.from({ length: r.byte() }, () => r.signed())),
  };
  return { ...shape, system, place: place && { ...place, inFrame: (more & 1) !== 0, segment: more >> 1 } };
}

export function writeLongOutcome(w: Writer, before: LongState, after: LongState): void {
  w.byte(after.vector < 0 ? NONE : after.vector);
  if (after.vector >= 0) {
    w.number(after.errorCode);
    if (after.vector === 14) w.word(after.cr2);
  }
  const changed = Array.from({ length: UNITS }, (_, n) => n).filter((n) => after.view.getBigUint64(8 * n, true) !== before.view.getBigUint64(8 * n, true));
  w.byte(changed.length);
  for (const n of changed) w.byte(n);
  for (const n of changed) for (let k = 0; k < 8; k++) w.byte(after.image[8 * n + k]);
}

export function readLongOutcome(r: Reader, before: LongState, after: LongState): void {
  const vector = r.byte();
  after.vector = vector === NONE ? -1 : vector;
  after.errorCode = vector === NONE ? 0 : r.number();
  after.cr2 = vector === 14 ? r.word() : 0;
  after.image.set(before.image);
  const changed = Array.from({ length: r.byte() }, () => r.byte());
  for (const n of changed) for (let k = 0; k < 8; k++) after.image[8 * n + k] = r.byte();
}

export function packLong(header: LongHeader, body: Writer): Uint8Array {
  return zlib.gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body.result()]), { level: 9 });
}

/** Reads a file; `visit` gets every case with its input and outcome. Without it only the shapes are of interest. */
export function readLongData(file: Uint8Array, begin: (shape: LongShape) => void, visit: ((shape: LongShape, index: number) => void) | undefined, before: LongState, after: LongState): LongHeader {
  const bytes = zlib.gunzipSync(file);
  const lineEnd = bytes.indexOf(10);
  const header = JSON.parse(bytes.subarray(0, lineEnd).toString()) as LongHeader;
  if (header.version !== LONG_DATA_VERSION) throw new Error(`data of version ${header.version}; run npm run silicon:generate`);
  const reader = new Reader(bytes.subarray(lineEnd + 1));
  for (let n = 0; n < header.shapes; n++) {
    const shape = readLongShape(reader);
    begin(shape);
    for (let index = 0; index < shape.cases; index++) {
      if (visit) expandLong(shape, index, before);
      readLongOutcome(reader, before, after);
      visit?.(shape, index);
    }
  }
  if (!reader.ended) throw new Error('the data goes on behind its last shape');
  return header;
}
