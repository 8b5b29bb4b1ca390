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
import type { TranslationContext } from './context';
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
 * they overlap. Farther away each unit is compiled once.
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
  const units: Unit[] = [root];
  const numbers = new Map<Unit, number>([[root, 0]]);
  const pages = new Map<number, RegionPage>();
  const edges: Exits[] = [];

  /** Whether the unit's page is among those that are looked at by now. */
  const mapped = (unit: Unit): boolean => {
    const page = pageOf(unit.linear);
    if (pages.has(page)) return true;
    const expected = translator.mappedEntry(unit);
    if (expected === undefined) return false;
    const tag = page * 4096;
    pages.set(page, { offset: translator.lookupOffset(unit.linear, unit.context), expected, tag: tag < 2 ** 47 ? tag : tag - 2 ** 48 });
    return true;
  };
  const admit = (unit: Unit | undefined): number => {
    if (!unit) return -1;
    const known = numbers.get(unit);
    if (known !== undefined) return known;
    if (units.length >= BLOCKS_MAX || (units.length >= SHARED_MAX && unit.regions?.size) || unit.context !== root.context || !isPlain(unit, reader)) return -1;
    if (pageOf(unit.linear) !== pageOf(root.linear) && !mapped(unit)) return -1;
    units.push(unit);
    numbers.set(unit, units.length - 1);
    return units.length - 1;
  };
  const admitAll = (targets: readonly number[], context: TranslationContext): number[] => {
    const found = new Set(targets.map((eip) => admit(translator.find(translator.linearOf(eip, context), context))));
    found.delete(-1);
    return [...found];
  };
  const lastRecord = (unit: Unit): number => unit.record + (unit.records - 1) * RECORD_SIZE;

  /** Follows what has been admitted, and what it leads to. */
  const follow = (): void => {
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
      if (direct) edge.taken = admit(unitBehind(reader.u32[(last + RecordField.link) >> 2], translator, reader));
      else if (form && (control === 'jump' || control === 'call') && !form.operands.some((operand) => operand.kind === 'far')) {
        edge.targets = admitAll(indirectTargets(last, form, unit, translator, reader), unit.context);
      }
      if (!ends || control === 'condition') edge.next = admit(unitBehind(last + RECORD_SIZE, translator, reader));
      if (control === 'call') {
        const after = translator.find(unit.linear + unit.bytes, unit.context);
        if (after && pageOf(after.linear) === pageOf(unit.linear)) edge.back = admit(after);
      }
    }
  };
  follow();
  // A function that was entered from outside: on with the caller that it returned to last.
  for (let n = 0, known = returnTargets(edges); n < units.length; n++) {
    const edge = edges[n];
    if (edge.control !== 'return' || known.has(n) || reader.form(reader.handler(lastRecord(units[n]))).form.encoding.instruction.mnemonic !== 'ret') continue;
    const seen = reader.u32[(lastRecord(units[n]) + RecordField.returned) >> 2];
    edge.targets = admitAll([seen], units[n].context);
    follow();
    known = returnTargets(edges);
  }
  for (const [block, targets] of returnTargets(edges)) edges[block].targets = [...new Set([...edges[block].targets, ...targets])];

  const entries = entriesOf(edges).filter((entry) => entry === 0 || !units[entry].region && (pageOf(units[entry].linear) === pageOf(root.linear) || mapped(root))).slice(0, ENTRIES_MAX);
  return {
    blocks: units.map((unit, n) => ({ unit, taken: edges[n].taken, next: edges[n].next, targets: edges[n].targets })), entries, shape: shapeOf(edges, entries), pages,
    precisionNoted: (reader.u32[MXCSR >> 2] & PRECISION) !== 0,
  };
}

/** The root, and where calls that leave the region return to. */
function entriesOf(edges: readonly Exits[]): number[] {
  const found = new Set([0]);
  for (const { control, back, taken, targets } of edges) if (control === 'call' && back >= 0 && taken < 0 && targets.length === 0) found.add(back);
  return [...found];
}
