/** What a case leaves behind, and its compact form: only what differs from the input is stored. */
import type { Input, Shape } from './cases';
import { modes } from './world';

export interface Outcome {
  readonly general: Uint32Array;
  eip: number;
  eflags: number;
  readonly selectors: number[];
  /** -1: no exception. */
  vector: number;
  errorCode: number;
  /** With vector 14. */
  cr2: number;
  readonly image: Uint8Array;
}

export function makeOutcome(imageBytes: number): Outcome {
  return { general: new Uint32Array(8), eip: 0, eflags: 0, selectors: [0, 0, 0, 0, 0, 0], vector: -1, errorCode: 0, cr2: 0, image: new Uint8Array(imageBytes) };
}

export class Writer {
  private bytes = new Uint8Array(1 << 16);
  private length = 0;
  byte(value: number): void {
    if (this.length === this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes[this.length++] = value;
  }
  word(value: number): void {
    for (let n = 0; n < 4; n++) this.byte((value >>> (8 * n)) & 0xff);
  }
  /** Unsigned, seven bits a byte. */
  number(value: number): void {
    let rest = value >>> 0;
    for (; rest > 0x7f; rest >>>= 7) this.byte(0x80 | (rest & 0x7f));
    this.byte(rest);
  }
  signed(value: number): void { this.number((value << 1) ^ (value >> 31)); }
  result(): Uint8Array { return this.bytes.subarray(0, this.length); }
}

export class Reader {
  private at = 0;
  constructor(private readonly bytes: Uint8Array) {}
  get ended(): boolean { return this.at >= this.bytes.length; }
  byte(): number {
    if (this.at >= this.bytes.length) throw new Error('the data file is truncated');
    return this.bytes[this.at++];
  }
  word(): number { return (this.byte() | this.byte() << 8 | this.byte() << 16 | this.byte() << 24) >>> 0; }
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
  signed(): number {
    const value = this.number();
    return (value >>> 1) ^ -(value & 1);
  }
}

const enum Part { Fault = 1, Eip = 2, Memory = 4, Selectors = 8, Flags = 16, Registers = 32 }

const endOf = (shape: Shape, input: Input): number => input.eip + shape.code.length;

export function writeOutcome(w: Writer, shape: Shape, input: Input, o: Outcome): void {
  const expectedSelectors = modes[shape.mode].selectors;
  const defaultEip = o.vector < 0 ? endOf(shape, input) : input.eip;
  const changed: number[] = [];
  for (let n = 0; n < o.image.length; n++) if (o.image[n] !== input.image[n]) changed.push(n);
  let registers = 0;
  for (let n = 0; n < 8; n++) if (o.general[n] !== input.general[n]) registers |= 1 << n;
  const selectors = o.selectors.some((selector, n) => selector !== expectedSelectors[n]);
  w.byte((o.vector >= 0 ? Part.Fault : 0) | (o.eip !== defaultEip ? Part.Eip : 0) | (changed.length ? Part.Memory : 0) | (selectors ? Part.Selectors : 0)
    | (o.eflags !== input.eflags ? Part.Flags : 0) | (registers ? Part.Registers : 0));
  if (o.vector >= 0) {
    w.byte(o.vector);
    w.number(o.errorCode);
    if (o.vector === 14) w.number(o.cr2);
  }
  if (o.eip !== defaultEip) w.signed((o.eip - defaultEip) | 0);
  if (selectors) for (const selector of o.selectors) w.number(selector);
  if (o.eflags !== input.eflags) w.number(o.eflags ^ input.eflags);
  if (registers) {
    w.byte(registers);
    for (let n = 0; n < 8; n++) if (registers >> n & 1) w.word(o.general[n]);
  }
  if (!changed.length) return;
  // Runs of changed bytes: distance from the end of the last one, length, bytes.
  const runs: [number, number][] = [];
  for (const at of changed) {
    const last = runs[runs.length - 1];
    if (last && last[0] + last[1] === at) last[1]++;
    else runs.push([at, 1]);
  }
  w.number(runs.length);
  let end = 0;
  for (const [at, length] of runs) {
    w.number(at - end);
    w.number(length);
    for (let n = 0; n < length; n++) w.byte(o.image[at + n]);
    end = at + length;
  }
}

export function readOutcome(r: Reader, shape: Shape, input: Input, o: Outcome): void {
  const parts = r.byte();
  o.vector = -1;
  o.errorCode = 0;
  o.cr2 = 0;
  if (parts & Part.Fault) {
    o.vector = r.byte();
    o.errorCode = r.number();
    if (o.vector === 14) o.cr2 = r.number();
  }
  o.eip = o.vector < 0 ? endOf(shape, input) : input.eip;
  if (parts & Part.Eip) o.eip = (o.eip + r.signed()) >>> 0;
  const selectors = modes[shape.mode].selectors;
  for (let n = 0; n < 6; n++) o.selectors[n] = parts & Part.Selectors ? r.number() : selectors[n];
  o.eflags = parts & Part.Flags ? (input.eflags ^ r.number()) >>> 0 : input.eflags;
  o.general.set(input.general);
  if (parts & Part.Registers) {
    const mask = r.byte();
    for (let n = 0; n < 8; n++) if (mask >> n & 1) o.general[n] = r.word();
  }
  o.image.set(input.image);
  if (!(parts & Part.Memory)) return;
  let at = 0;
  for (let run = r.number(); run > 0; run--) {
    at += r.number();
    for (let length = r.number(); length > 0; length--) o.image[at++] = r.byte();
  }
}
