/** Drives the native harness (harness.c): compiles it, hands it shapes, and turns what comes back into outcomes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { expand, makeInput, type Shape } from '../../test/conformance/support/silicon/cases';
import { makeOutcome, type Outcome } from '../../test/conformance/support/silicon/outcome';
import { CODE, FILLER, IMAGE_BYTES, descriptorOf, localDescriptors, modes, pages, windows } from '../../test/conformance/support/silicon/world';

const MAGIC = 0x314c4953;
const kinds = ['code', 'data', 'readOnly', 'expandDown'];
const accesses = ['readOnly', 'readWrite', 'code'];
const OUTPUT_WORDS = 8 + 2 + 6 + 3;
/** Vectors that push an error code. */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17]);
/** A fetch from a page without execution rights is marked where the processor knows such pages (SDM Vol. 3, 4.7); this machine does not. */
const INSTRUCTION_FETCH = 0x10;
const BREAKPOINT = 3, PAGE_FAULT = 14;

export function compileHarness(source: string, binary: string): void {
  execFileSync('gcc', ['-m32', '-O2', '-static', '-fno-pie', '-no-pie', '-fno-stack-protector', '-Wall', '-o', binary, source], { stdio: 'inherit' });
}

/** Runs every case of the shapes; calls back in order. The outcome object is used again. */
export function runNatively(binary: string, shapes: readonly Shape[], each: (shape: Shape, index: number, outcome: Outcome) => void): void {
  const result = spawnSync(binary, { input: job(shapes), maxBuffer: 1 << 30, timeout: 120_000 });
  if (result.status !== 0) {
    const number = (result.status === 3 ? result.stdout.readUInt32LE(result.stdout.length - 8) : Number(/^shape (\d+)/.exec(result.stderr.toString())?.[1] ?? NaN));
    const shape = shapes.at(number);
    const which = shape ? `${JSON.stringify({ ...shape, code: Buffer.from(shape.code).toString('hex') })} ` : '';
    throw new Error(`${which}case ${result.status === 3 ? result.stdout.readUInt32LE(result.stdout.length - 4) : '?'}: the harness ended with ${result.status ?? result.signal} after ${result.stdout.length} bytes: ${result.stderr.toString()}`);
  }
  const bytes = result.stdout;
  const size = OUTPUT_WORDS * 4 + IMAGE_BYTES;
  const outcome = makeOutcome(IMAGE_BYTES);
  let at = 0;
  for (const shape of shapes) {
    for (let index = 0; index < shape.cases; index++) {
      readOutcome(bytes, at, shape, outcome);
      each(shape, index, outcome);
      at += size;
    }
  }
  if (at !== bytes.length) throw new Error(`the harness answered ${bytes.length} bytes instead of ${at}`);
}

function job(shapes: readonly Shape[]): Buffer {
  const parts: Uint8Array[] = [];
  const words = (...values: number[]): void => { parts.push(new Uint8Array(Uint32Array.from(values, (v) => v >>> 0).buffer)); };
  words(MAGIC, localDescriptors.length);
  for (const { base, limit, kind, big } of localDescriptors) words(base, limit, kinds.indexOf(kind), big ? 1 : 0);
  words(pages.length);
  for (const { linear, bytes, access } of pages) words(linear, bytes, accesses.indexOf(access));
  words(windows.length);
  for (const { linear, bytes } of windows) words(linear, bytes);
  words(shapes.length);
  const input = makeInput();
  for (const shape of shapes) {
    words(shape.at, shape.code.length, shape.cases, ...modes[shape.mode].selectors);
    parts.push(shape.code, new Uint8Array(-shape.code.length & 3));
    for (let index = 0; index < shape.cases; index++) {
      expand(shape, index, input);
      words(...input.general, input.eip, input.eflags);
      parts.push(input.image.slice());
    }
  }
  return Buffer.concat(parts);
}

function readOutcome(bytes: Buffer, at: number, shape: Shape, outcome: Outcome): void {
  const word = (n: number): number => bytes.readUInt32LE(at + 4 * n);
  for (let n = 0; n < 8; n++) outcome.general[n] = word(n);
  outcome.eip = word(8);
  outcome.eflags = word(9);
  for (let n = 0; n < 6; n++) outcome.selectors[n] = word(10 + n);
  outcome.vector = word(16);
  outcome.errorCode = withErrorCode.has(outcome.vector) ? word(17) & ~(outcome.vector === PAGE_FAULT ? INSTRUCTION_FETCH : 0) : 0;
  outcome.cr2 = outcome.vector === PAGE_FAULT ? word(18) : 0;
  outcome.image.set(bytes.subarray(at + OUTPUT_WORDS * 4, at + OUTPUT_WORDS * 4 + IMAGE_BYTES));
  // INT3 of the surroundings: no exception, control has come this far.
  const before = (outcome.eip - 1 + (descriptorOf(outcome.selectors[1])?.base ?? 0)) >>> 0;
  const own = before >= CODE + shape.at && before < CODE + shape.at + shape.code.length;
  if (outcome.vector === BREAKPOINT && !own) {
    outcome.vector = -1;
    outcome.eip = (outcome.eip - 1) >>> 0;
    if (FILLER !== 0xcc) throw new Error('the surroundings must be INT3');
  }
}
