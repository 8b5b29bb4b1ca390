/**
 * Forms a region around a hot translation unit: follows the links that threaded code has already been patched with, so that only what has been
 * executed is taken in, and tells for each unit where its exits lead inside the region. Everything else is an exit to threaded code.
 */
import { MXCSR, ZERO } from '../cpu/layout';
import type { Form } from './forms';
import type { HandlerForm } from './handlers';
import { RECORD_SIZE, RecordField, SpecialHandler } from './record';
import { shapeOf, type BlockEdges, type RegionShape } from './region-shape';
import { PRECISION } from './threaded-vector';
import type { Translator, Unit } from './translator';

/** What has to be known of a unit to write it. */
export type RegionUnit = Pick<Unit, 'linear' | 'context' | 'record' | 'records' | 'bytes' | 'instructions' | 'tally'>;

/** A unit in a region. */
export interface RegionBlock<U extends RegionUnit = RegionUnit> extends BlockEdges {
  readonly unit: U;
}

/** A page that has to be mapped as it was. */
export interface RegionPage {
  /** Where its entry stands in a lookup table, and the entry. */
  readonly offset: number;
  readonly expected: number;
  /** In hashed tables: the entry's tag, as a signed number. */
  readonly tag: number;
}

export interface RegionPlan<U extends RegionUnit = RegionUnit> {
  /** The root is block 0. */
  readonly blocks: readonly RegionBlock<U>[];
  /** Blocks through whose first record the region is entered; the root comes first. */
  readonly entries: readonly number[];
  readonly shape: RegionShape;
  /** Pages that have to be mapped as they were, by their numbers; not the root's, unless the region is entered on others, too. */
  readonly pages: ReadonlyMap<number, RegionPage>;
  /** MXCSR has noted the precision exception. */
  readonly precisionNoted: boolean;
}

export const pageOf = (linear: number): number => Math.floor(linear / 4096);

const BLOCKS_MAX = 48;
/**
 * So many of a region's first units may be in other regions, too: what is hot together is compiled together, and yet regions tile the code more than
 * they overlap. Farther away each unit is compiled once, unless it is of a loop through the root.
 */
const SHARED_MAX = 12;
/** Entries of a region: whoever enters it by another one than the root has to be told apart. */
const ENTRIES_MAX = 8;
/** More than any path through a region retires between two looks at the budget. */
export const REGION_INSTRUCTIONS_MAX = BLOCKS_MAX * 12;
/** Entries of a jump table that are looked at. */
const JUMP_TABLE_MAX = 64;
/** An entry that leads farther away belongs to something else. */
const JUMP_TABLE_REACH = 0x100000;

/** What the former reads of the translation cache. */
export interface RecordReader {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  form(handler: number): HandlerForm;
  /** Handler of a record, the one from before a region took its place. */
  handler(record: number): number;
}

/** True when every record of the unit is an instruction's: no breakpoint, no second page to check. */
function isPlain(unit: Unit, reader: RecordReader): boolean {
  return unit.live && unit.restless === 0 && unit.secondPage < 0 && unit.context.flat && unit.context.cut === 'full' && reader.handler(unit.record) >= SpecialHandler.Count;
}

/** The unit that a link, continuation or record behind a unit leads to by now. */
export function unitBehind(link: number, translator: Translator, reader: Pick<RecordReader, 'u32'>): Unit | undefined {
  let at = link;
  for (let hops = 0; hops < 4; hops++) {
    const unit = translator.unitOfRecord(at);
    if (unit) return unit;
    const handler = reader.u32[at >> 2];
    if (handler !== SpecialHandler.Goto && handler !== SpecialHandler.GotoChecked) return undefined;
    at = reader.u32[(at + RecordField.link) >> 2];
  }
  return undefined;
}

/** Where an indirect jump or call has led last, and all that its jump table names if it goes through one. */
function indirectTargets(record: number, form: Form, unit: Unit, translator: Translator, reader: RecordReader): number[] {
  const seen = reader.u32[(record + RecordField.target) >> 2];
  const throughTable = form.operands[0]?.kind === 'memory' && form.operands[0].width === 32 && form.flatMemory
    && reader.u16[(record + RecordField.base) >> 1] === ZERO && reader.u16[(record + RecordField.index) >> 1] !== ZERO && reader.u8[record + RecordField.scale] === 2;
  if (!throughTable) return [seen];
  const bytes = translator.peek(reader.u32[(record + RecordField.displacement) >> 2], 4 * JUMP_TABLE_MAX);
  const entries = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const targets = [seen];
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const eip = entries.getUint32(at, true);
    if (Math.abs(eip - unit.linear) > JUMP_TABLE_REACH) break;
    targets.push(eip);
  }
  return targets;
}

/** What the former knows of a block's exits. */
interface Exits extends BlockEdges {
  readonly control: string | undefined;
  /** Block behind a call. */
  back: number;
}

/**
 * Where returns lead: behind those calls from whose target the return is reached, calls on the way being stepped over. Blocks without an entry
 * return to callers outside.
 */
function returnTargets(exits: readonly Exits[]): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const call of exits) {
    if (call.control !== 'call' || call.back < 0) continue;
    const seen = new Set([call.taken, ...call.targets].filter((block) => block >= 0));
    for (const block of seen) {
      const { control, taken, next, targets, back } = exits[block];
      if (control === 'return') {
        const known = found.get(block);
        if (!known) found.set(block, [call.back]);
        else if (!known.includes(call.back)) known.push(call.back);
        continue;
      }
      for (const to of control === 'call' ? [back] : [taken, next, ...targets]) if (to >= 0) seen.add(to);
    }
  }
  return found;
}

/** The region rooted at a unit, or undefined when the unit cannot be its root. */
export function formRegion(root: Unit, translator: Translator, reader: RecordReader): RegionPlan<Unit> | undefined {
  if (!isPlain(root, reader)) return undefined;
  const gather = (shared: (unit: Unit, position: number) => boolean): Gathering => new Gathering(root, translator, reader, shared);
  const tile = gather((_unit, position) => position < SHARED_MAX);
  if (!tile.refused) return tile.plan();
  // A loop through the root belongs together, whoever has parts of it.
  const loop = gather(() => true).loop();
  return loop ? gather((unit, position) => position < SHARED_MAX || loop.has(unit)).plan() : tile.plan();
}

/** Gathers the units of a region: those that the root's links lead to, and so on. */
class Gathering {
  private readonly units: Unit[];
  private readonly numbers: Map<Unit, number>;
  private readonly pages = new Map<number, RegionPage>();
  private readonly edges: Exits[] = [];
  /** Blocks with a way on that there was no room for. */
  private readonly cut = new Set<number>();
  /** A unit was not taken in because other regions have it. */
  refused = false;

  constructor(
    private readonly root: Unit, private readonly translator: Translator, private readonly reader: RecordReader,
    /** Whether a unit that other regions have may be this one's n-th. */
    private readonly shared: (unit: Unit, n: number) => boolean,
  ) {
    this.units = [root];
    this.numbers = new Map([[root, 0]]);
    const { units, edges } = this;
    this.follow();
    // A function that was entered from outside: on with the caller that it returned to last.
    for (let n = 0, known = returnTargets(edges); n < units.length; n++) {
      const edge = edges[n];
      const last = lastRecord(units[n]);
      if (edge.control !== 'return' || known.has(n) || reader.form(reader.handler(last)).form.encoding.instruction.mnemonic !== 'ret') continue;
      edge.targets = this.admitAll([reader.u32[(last + RecordField.returned) >> 2]], n);
      this.follow();
      known = returnTargets(edges);
    }
    for (const [block, targets] of returnTargets(edges)) edges[block].targets = [...new Set([...edges[block].targets, ...targets])];
  }

  plan(): RegionPlan<Unit> {
    const { units, edges, pages, root, reader } = this;
    const mayEnter = (unit: Unit): boolean => !unit.region && (pageOf(unit.linear) === pageOf(root.linear) || this.mapped(root));
    const entries = [0, ...returnsFromOutside(edges).filter((block) => block !== 0 && mayEnter(units[block]))].slice(0, ENTRIES_MAX);
    return {
      blocks: units.map((unit, n) => ({ unit, taken: edges[n].taken, next: edges[n].next, targets: edges[n].targets })), entries, shape: shapeOf(edges, entries), pages,
      precisionNoted: (reader.u32[MXCSR >> 2] & PRECISION) !== 0,
    };
  }

  /** The units of the loops through the root; undefined when there is none, or it does not fit. */
  loop(): ReadonlySet<Unit> | undefined {
    const { edges, units } = this;
    const before: number[][] = edges.map(() => []);
    edges.forEach(({ taken, next, targets }, from) => { for (const to of [taken, next, ...targets]) if (to >= 0) before[to].push(from); });
    // All of them are reached from the root: what is left is what reaches it.
    const found = new Set(before[0]);
    for (const block of found) for (const from of before[block]) found.add(from);
    return found.size === 0 || [...found].some((block) => this.cut.has(block)) ? undefined : new Set([...found].map((block) => units[block]));
  }

  /** Whether the unit's page is among those that are looked at by now. */
  private mapped(unit: Unit): boolean {
    const { pages, translator } = this;
    const page = pageOf(unit.linear);
    if (pages.has(page)) return true;
    const expected = translator.mappedEntry(unit);
    if (expected === undefined) return false;
    const tag = page * 4096;
    pages.set(page, { offset: translator.lookupOffset(unit.linear, unit.context), expected, tag: tag < 2 ** 47 ? tag : tag - 2 ** 48 });
    return true;
  }

  /** The block of a unit to which another block leads; -1: it stays outside. */
  private admit(unit: Unit | undefined, from: number): number {
    if (!unit) return -1;
    const { units, numbers, root } = this;
    const known = numbers.get(unit);
    if (known !== undefined) return known;
    if (unit.context !== root.context || !isPlain(unit, this.reader)) return -1;
    if (units.length >= BLOCKS_MAX) {
      this.cut.add(from);
      return -1;
    }
    if (unit.regions?.size && !this.shared(unit, units.length)) {
      this.refused = true;
      return -1;
    }
    if (pageOf(unit.linear) !== pageOf(root.linear) && !this.mapped(unit)) return -1;
    units.push(unit);
    numbers.set(unit, units.length - 1);
    return units.length - 1;
  }

  private admitAll(targets: readonly number[], from: number): number[] {
    const { translator, root: { context } } = this;
    const found = new Set(targets.map((eip) => this.admit(translator.find(translator.linearOf(eip, context), context), from)));
    found.delete(-1);
    return [...found];
  }

  /** Follows what has been admitted, and what it leads to. */
  private follow(): void {
    const { units, edges, reader, translator } = this;
    for (let n = edges.length; n < units.length; n++) {
      const unit = units[n];
      const last = lastRecord(unit);
      const handler = reader.handler(last);
      const form = handler < SpecialHandler.Count ? undefined : reader.form(handler).form;
      const control = form?.encoding.instruction.control;
      const ends = !form || form.encoding.instruction.ends === true;
      const direct = form?.operands.some((operand) => operand.kind === 'target') === true && !form.distant;
      const edge: Exits = { taken: -1, next: -1, targets: [], control, back: -1 };
      edges.push(edge);
      if (direct) edge.taken = this.admit(unitBehind(reader.u32[(last + RecordField.link) >> 2], translator, reader), n);
      else if (form && (control === 'jump' || control === 'call') && !form.operands.some((operand) => operand.kind === 'far')) {
        edge.targets = this.admitAll(indirectTargets(last, form, unit, translator, reader), n);
      }
      if (!ends || control === 'condition') edge.next = this.admit(unitBehind(last + RECORD_SIZE, translator, reader), n);
      if (control === 'call') {
        const after = translator.find(unit.linear + unit.bytes, unit.context);
        if (after && pageOf(after.linear) === pageOf(unit.linear)) edge.back = this.admit(after, n);
      }
    }
  }
}

const lastRecord = ({ record, records }: Unit): number => record + (records - 1) * RECORD_SIZE;

/** Where calls that leave the region return to. */
function returnsFromOutside(edges: readonly Exits[]): number[] {
  return [...new Set(edges.flatMap(({ control, back, taken, targets }) => (control === 'call' && back >= 0 && taken < 0 && targets.length === 0 ? [back] : [])))];
}
