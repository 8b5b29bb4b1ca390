/**
 * Regions written and compiled elsewhere: what a thread has to know of a region to write it (plain data, so that a message can carry it), and how it does.
 *
 * The guest goes on in threaded code meanwhile. What comes back is taken only if every unit of the region still is what it was when the job was
 * made, and regions are exact: when one comes into force, or whether, the guest cannot see.
 */
import { table } from '../isa/table';
import { CODE_CACHE, CODE_CACHE_SIZE } from '../cpu/layout';
import { generateThreadedModule, type HandlerForm } from './handlers';
import { RECORD_SIZE } from './record';
import type { TranslationContext } from './context';
import { type RecordReader, type RegionBlock, type RegionPage, type RegionPlan } from './region-former';
import { writeRegion } from './region-module';
import { shapeOf } from './region-shape';

/** A plan as numbers: to copy a tree of objects takes longer than to form the region. */
export interface RegionJob {
  readonly id: number;
  readonly context: TranslationContext;
  /** Blocks through whose first record the region is entered. */
  readonly entries: readonly number[];
  /** For each block: its unit's linear address, record, records, bytes and instructions; taken, next, how many targets, and those. */
  readonly blocks: Float64Array<ArrayBuffer>;
  /** For each page: its number, offset, expected entry and tag. */
  readonly pages: Float64Array<ArrayBuffer>;
  readonly precisionNoted: boolean;
  /** The records of the blocks, in their order. */
  readonly records: Uint8Array<ArrayBuffer>;
}

export interface CompiledRegion {
  readonly id: number;
  /** Absent: the region would leave at its first instruction. */
  readonly module?: WebAssembly.Module;
}

/** Writes and compiles regions beside the machine: a thread of its own. */
export interface RegionCompiler {
  /** False when it takes no more jobs. */
  submit(job: RegionJob): boolean;
  /** What was finished since the last call. */
  finished(): readonly CompiledRegion[];
  close(): void;
}

export function regionJob(id: number, plan: RegionPlan, source: RecordReader): RegionJob {
  const { blocks, entries, pages, precisionNoted } = plan;
  const { context } = blocks[0].unit;
  let bytes = 0;
  const numbers: number[] = [];
  for (const { unit, taken, next, targets } of blocks) {
    numbers.push(unit.linear, unit.record, unit.records, unit.bytes, unit.instructions, taken, next, targets.length, ...targets);
    bytes += unit.records * RECORD_SIZE;
  }
  const records = new Uint8Array(bytes);
  const words = new Uint32Array(records.buffer);
  let at = 0;
  for (const { unit: { record, records: count } } of blocks) {
    records.set(source.u8.subarray(record, record + count * RECORD_SIZE), at);
    // Where another region begins, the handler of threaded code.
    words[at >> 2] = source.handler(record);
    at += count * RECORD_SIZE;
  }
  const pageNumbers = [...pages].flatMap(([page, { offset, expected, tag }]) => [page, offset, expected, tag]);
  return { id, context, entries, precisionNoted, blocks: Float64Array.from(numbers), pages: Float64Array.from(pageNumbers), records };
}

/** The plan again. */
function planOf({ context, entries, blocks: numbers, pages: pageNumbers, precisionNoted }: RegionJob): RegionPlan {
  const blocks: RegionBlock[] = [];
  for (let at = 0; at < numbers.length;) {
    const [linear, record, records, bytes, instructions, taken, next, count] = numbers.subarray(at, at + 8);
    blocks.push({ unit: { linear, context, record, records, bytes, instructions }, taken, next, targets: [...numbers.subarray(at + 8, at + 8 + count)] });
    at += 8 + count;
  }
  const pages = new Map<number, RegionPage>();
  for (let at = 0; at < pageNumbers.length; at += 4) {
    const [page, offset, expected, tag] = pageNumbers.subarray(at, at + 4);
    pages.set(page, { offset, expected, tag });
  }
  return { blocks, entries, pages, precisionNoted, shape: shapeOf(blocks, entries) };
}

/** Does jobs: in the thread. */
export class RegionWorkshop {
  // Records have to stand where they stand in the machine, because regions name their addresses. What is never touched takes no memory.
  private readonly u8 = new Uint8Array(CODE_CACHE + CODE_CACHE_SIZE);
  private readonly u32 = new Uint32Array(this.u8.buffer);
  private readonly u16 = new Uint16Array(this.u8.buffer);
  private readonly forms: Partial<Record<'legacy' | 'long', readonly HandlerForm[]>> = {};

  do(job: RegionJob): CompiledRegion {
    const { id, records } = job;
    const plan = planOf(job);
    let at = 0;
    for (const { unit: { record, records: count } } of plan.blocks) {
      this.u8.set(records.subarray(at, at + count * RECORD_SIZE), record);
      at += count * RECORD_SIZE;
    }
    const long = job.context.codeSize === 64;
    const formOf = this.forms[long ? 'long' : 'legacy'] ??= generateThreadedModule(table, 1, long).formOf;
    const source: RecordReader = { u8: this.u8, u16: this.u16, u32: this.u32, form: (handler) => formOf[handler], handler: (record) => this.u32[record >> 2] };
    const bytes = writeRegion(plan, source, plan.entries.map((block) => source.handler(plan.blocks[block].unit.record)));
    return bytes ? { id, module: new WebAssembly.Module(bytes) } : { id };
  }
}
