/**
 * Counts how often units are begun, for people who look at them: exactly, at a cost only for those units, and at none for the guest (its state
 * and its count of instructions are what they are without).
 *
 * A unit that is counted has a small function of its own in the place of its first record's handler: it adds one and goes on with that handler. A
 * region counts its units by itself, once their first instruction is done: when it cannot do that it leaves to threaded code, which counts. So
 * a region is written anew when one of its units is counted, and again when it is no longer.
 */
import { TALLIES, TALLIES_MAX } from '../cpu/layout';
import { ModuleWriter } from '../wasm/module';
import { RECORD_SIZE, RecordField, SpecialHandler } from './record';
import type { Translator, Unit } from './translator';
import { originalHandler, type Region } from './regions';

export interface Tally {
  /** Its module's handlers, and its place among them. */
  readonly handlers: WebAssembly.Table;
  readonly slot: number;
  /** Address of the count, a u64. */
  readonly counter: number;
  /** Handler of the unit's first record. */
  readonly original: number;
  /** The machine's count of instructions when counting began. */
  readonly since: number;
}

/** Linear addresses whose code is counted, and since when. */
interface Watched {
  readonly first: number;
  readonly last: number;
  readonly since: number;
}

/** What is needed of a threaded module at work. */
export interface TallyModule {
  readonly handlers: WebAssembly.Table;
  readonly goThrough: CallableFunction;
  /** The first of {@link TALLIES_MAX} places for tallies in the table. */
  readonly firstSlot: number;
}

/** No unit is longer: 12 instructions of 15 bytes. */
const UNIT_BYTES = 180;

const endOf = ({ record, records }: Unit): number => record + records * RECORD_SIZE;
const overlaps = (unit: Unit, { first, last }: { readonly first: number; readonly last: number }): boolean => unit.linear <= last && unit.linear + unit.bytes > first;

export class Tallies {
  private watched: readonly Watched[] = [];
  private readonly units = new Set<Unit>();
  /** Numbers of counters that are free: places in the table go with them. */
  private readonly free = Array.from({ length: TALLIES_MAX }, (_, n) => TALLIES_MAX - 1 - n);
  /** Executions by linear address of units that were discarded while they were watched. */
  private readonly settled = new Map<number, number>();
  private readonly u32: Uint32Array;

  constructor(
    private readonly memory: WebAssembly.Memory, private readonly translator: Translator, private readonly moduleOf: (codeSize: number) => TallyModule,
    /** Regions of which units are counted now, or no longer. */
    private readonly rewrite: (region: Region) => void,
  ) {
    this.u32 = new Uint32Array(memory.buffer);
    translator.onTranslated = (unit) => this.translated(unit);
    translator.onLeaving = (record, next) => {
      this.left(record);
      this.cut(next);
    };
  }

  /** Counts the units that have code in these ranges of linear addresses, and no others; what goes on being counted keeps its counts. Never while threaded code runs. */
  watch(ranges: readonly { readonly first: number; readonly last: number }[], now: number): void {
    if (!ranges.length && !this.watched.length) return;
    this.watched = ranges.map((range) => ({ ...range, since: this.watched.find(({ first, last }) => range.first >= first && range.last <= last)?.since ?? now }));
    const wanted = new Set(this.watched.flatMap((range) => this.translator.unitsIn(Math.max(0, range.first - UNIT_BYTES), range.last).filter((unit) => overlaps(unit, range))));
    const changed = new Set<Region>();
    const note = (unit: Unit): void => { for (const region of unit.regions ?? []) changed.add(region); };
    const dropped: Tally[] = [];
    for (const unit of this.units) {
      if (wanted.has(unit)) continue;
      dropped.push(this.drop(unit));
      note(unit);
    }
    for (const linear of this.settled.keys()) if (!ranges.some(({ first, last }) => linear >= first && linear <= last)) this.settled.delete(linear);
    for (const unit of wanted) if (!unit.tally && this.begin(unit, now)) note(unit);
    for (const region of changed) this.rewrite(region);
    // Only now nothing refers to their places any more.
    for (const tally of dropped) this.release(tally);
  }

  /**
   * How often the instructions of the units that are counted were begun, by linear address. The same one can be in several units: one that a jump
   * into the middle has made, one for steps.
   */
  executions(): ReadonlyMap<number, number> {
    const executions = new Map(this.settled);
    for (const unit of this.units) this.add(executions, unit, unit.record, this.countOf(unit.tally!));
    return executions;
  }

  /** Adds to the executions of a unit's instructions from a record on, as far as threaded code goes in the unit. */
  private add(executions: Map<number, number>, unit: Unit, from: number, count: number): void {
    let before = -1;
    for (let record = from; record < endOf(unit); record += RECORD_SIZE) {
      if (this.u32[record >> 2] === SpecialHandler.Leave) return;
      const eip = this.u32[(record + RecordField.eip) >> 2];
      // Some instructions have two records.
      if (eip === before) continue;
      before = eip;
      const linear = this.translator.linearOf(eip, unit.context);
      executions.set(linear, (executions.get(linear) ?? 0) + count);
    }
  }

  /**
   * The unit at work is left at a record: by a fault, by an interrupt, between two iterations (`again`: the instruction is begun once more). What
   * stands behind is not executed this time.
   */
  left(record: number, again = false): void {
    if (this.units.size === 0) return;
    const unit = this.unitAtWork(record);
    if (unit) this.add(this.settled, unit, again ? this.firstRecord(record, unit) : this.behind(record, unit), -1);
  }

  /** Whoever comes to a record of the unit at work will leave the unit there from now on. */
  private cut(record: number): void {
    const unit = this.unitAtWork(record);
    if (unit) this.add(this.settled, unit, record, this.countOf(unit.tally!));
  }

  /** The unit that a record belongs to, if it is counted. */
  private unitAtWork(record: number): Unit | undefined {
    for (const unit of this.units) if (record >= unit.record && record < endOf(unit)) return unit;
    return undefined;
  }

  /** The first record of the next instruction. */
  private behind(record: number, unit: Unit): number {
    const eip = this.u32[(record + RecordField.eip) >> 2];
    let at = record;
    while (at < endOf(unit) && this.u32[(at + RecordField.eip) >> 2] === eip) at += RECORD_SIZE;
    return at;
  }

  /** The first record of a record's instruction. */
  private firstRecord(record: number, unit: Unit): number {
    const eip = this.u32[(record + RecordField.eip) >> 2];
    let at = record;
    while (at > unit.record && this.u32[(at - RECORD_SIZE + RecordField.eip) >> 2] === eip) at -= RECORD_SIZE;
    return at;
  }

  /** A unit's code was overwritten: its records are about to change. */
  discarded(unit: Unit): void {
    const { tally } = unit;
    if (!tally) return;
    // It may be at work: an instruction that writes into its own unit.
    const working = this.translator.recordAtWork();
    if (working !== 0 && this.unitAtWork(working) === unit) this.left(working);
    this.add(this.settled, unit, unit.record, this.countOf(tally));
    this.units.delete(unit);
    unit.tally = undefined;
    this.release(tally);
  }

  flushed(): void {
    for (const unit of [...this.units]) this.discarded(unit);
  }

  /** A unit is new; it has not run yet. */
  private translated(unit: Unit): void {
    const range = this.watched.find((one) => overlaps(unit, one));
    if (range) this.begin(unit, range.since);
  }

  private begin(unit: Unit, since: number): boolean {
    const original = originalHandler(unit) ?? this.u32[unit.record >> 2];
    // A breakpoint's unit never runs: the debugger steps over its first instruction.
    if (original === SpecialHandler.Breakpoint) return false;
    const number = this.free.pop();
    if (number === undefined) return false;
    const { handlers, goThrough, firstSlot } = this.moduleOf(unit.context.codeSize);
    const tally: Tally = { handlers, slot: firstSlot + number, counter: TALLIES + 8 * number, original, since };
    this.u32.fill(0, tally.counter >> 2, (tally.counter >> 2) + 2);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(tallyModule(tally)), { machine: { memory: this.memory }, threaded: { goThrough } });
    handlers.set(tally.slot, instance.exports.tally as CallableFunction);
    unit.tally = tally;
    this.units.add(unit);
    if (!unit.region) this.u32[unit.record >> 2] = tally.slot;
    return true;
  }

  private drop(unit: Unit): Tally {
    const tally = unit.tally!;
    this.units.delete(unit);
    unit.tally = undefined;
    if (!unit.region) this.u32[unit.record >> 2] = tally.original;
    return tally;
  }

  private release({ handlers, slot, counter }: Tally): void {
    handlers.set(slot, null);
    this.free.push((counter - TALLIES) / 8);
  }

  private countOf({ counter }: Tally): number {
    return this.u32[counter >> 2] + this.u32[(counter >> 2) + 1] * 2 ** 32;
  }
}

/** One that adds one to a counter and goes on with the record's own handler. */
function tallyModule({ counter, original }: Tally): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  const handlerType = module.type(['i32'], []);
  module.importMemory('machine', 'memory', 1);
  const goThrough = module.importFunction('threaded', 'goThrough', module.type(['i32', 'i32'], []));
  const index = module.declare(handlerType);
  const body = module.body(handlerType);
  body.i32(0).i32(0).memory('i64.load', counter).i64(1).op('i64.add').memory('i64.store', counter);
  body.index('local.get', 0).i32(original).index('return_call', goThrough);
  module.define(index, body);
  module.export('tally', index);
  return module.finish();
}
