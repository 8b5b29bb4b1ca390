/**
 * Forms a region around a hot translation unit: follows the links that threaded code has already been patched with, so that only what has been
 * executed is taken in, and tells for each unit where its exits lead inside the region. Everything else is an exit to threaded code.
 */
import { ZERO } from '../cpu/layout';
import type { Form } from './forms';
import type { HandlerForm } from './handlers';
import { RECORD_SIZE, RecordField, SpecialHandler } from './record';
import { analyze, type RegionGraph } from './region-graph';
import type { Translator, Unit } from './translator';

/** A unit in a region. Targets are block numbers; -1 leaves the region. */
export interface RegionBlock {
  readonly unit: Unit;
  /** Where the last instruction jumps, and what comes behind it (or behind the unit). */
  taken: number;
  next: number;
  /** Blocks where an indirect jump, call or return may lead: what it loads is compared with their addresses. */
  targets: number[];
}

/** A page that has to be mapped as it was. */
export interface RegionPage {
  /** Where its entry stands in a lookup table, and the entry. */
  readonly offset: number;
  readonly expected: number;
  /** In hashed tables: the entry's tag, as a signed number. */
  readonly tag: number;
}

export interface RegionPlan {
  readonly blocks: readonly RegionBlock[];
  readonly graph: RegionGraph;
  /** Pages besides the root's. */
  readonly pages: readonly RegionPage[];
}

const pageOf = (linear: number): number => Math.floor(linear / 4096);

const BLOCKS_MAX = 48;
/** More than any path through a region retires between two looks at the budget. */
export const REGION_INSTRUCTIONS_MAX = BLOCKS_MAX * 12;
const RETURNS_MAX = 4;
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
function unitBehind(link: number, translator: Translator, reader: RecordReader): Unit | undefined {
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

/** The region rooted at a unit, or undefined when the unit cannot be its root. */
export function formRegion(root: Unit, translator: Translator, reader: RecordReader): RegionPlan | undefined {
  if (!isPlain(root, reader)) return undefined;
  const units: Unit[] = [root];
  const numbers = new Map<Unit, number>([[root, 0]]);
  const pages = new Map<number, RegionPage>();
  const calls: { readonly caller: number; readonly back: number }[] = [];
  const edges: { taken: number; next: number; targets: number[]; control: string | undefined }[] = [];

  const admit = (unit: Unit | undefined): number => {
    if (!unit) return -1;
    const known = numbers.get(unit);
    if (known !== undefined) return known;
    if (units.length >= BLOCKS_MAX || unit.context !== root.context || !isPlain(unit, reader)) return -1;
    const page = pageOf(unit.linear);
    if (page !== pageOf(root.linear) && !pages.has(page)) {
      const expected = translator.mappedEntry(unit);
      if (expected === undefined) return -1;
      const tag = page * 4096;
      pages.set(page, { offset: translator.lookupOffset(unit.linear, unit.context), expected, tag: tag < 2 ** 47 ? tag : tag - 2 ** 48 });
    }
    units.push(unit);
    numbers.set(unit, units.length - 1);
    return units.length - 1;
  };

  for (let n = 0; n < units.length; n++) {
    const unit = units[n];
    const last = unit.record + (unit.records - 1) * RECORD_SIZE;
    const behind = last + RECORD_SIZE;
    const handler = reader.handler(last);
    const form = handler < SpecialHandler.Count ? undefined : reader.form(handler).form;
    const control = form?.encoding.instruction.control;
    const ends = !form || form.encoding.instruction.ends === true;
    const direct = form?.operands.some((operand) => operand.kind === 'target') === true && !form.distant;
    const linked = () => unitBehind(reader.u32[(last + RecordField.link) >> 2], translator, reader);
    const edge = { taken: -1, next: -1, targets: [] as number[], control };
    edges.push(edge);
    if (direct) edge.taken = admit(linked());
    else if (form && (control === 'jump' || control === 'call') && !form.operands.some((operand) => operand.kind === 'far')) {
      const found = new Set(indirectTargets(last, form, unit, translator, reader).map((eip) => admit(translator.find(translator.linearOf(eip, unit.context), unit.context))));
      found.delete(-1);
      edge.targets = [...found];
    }
    if (!ends || control === 'condition') edge.next = admit(unitBehind(behind, translator, reader));
    if (control === 'call') {
      const after = translator.find(unit.linear + unit.bytes, unit.context);
      if (after && pageOf(after.linear) === pageOf(unit.linear)) calls.push({ caller: n, back: admit(after) });
    }
  }
  const backs = [...new Set(calls.map(({ back }) => back).filter((back) => back >= 0))].slice(0, RETURNS_MAX);
  for (const edge of edges) if (edge.control === 'return') edge.targets = [...backs];

  // What cannot be structured leaves the region.
  for (;;) {
    const successors = edges.map(({ taken, next, targets }) => [taken, next, ...targets].filter((to) => to >= 0));
    const graph = analyze(successors);
    if (!graph.irreducible.length) {
      return { blocks: units.map((unit, n) => ({ unit, taken: edges[n].taken, next: edges[n].next, targets: edges[n].targets })), graph, pages: [...pages.values()] };
    }
    for (const { from, to } of graph.irreducible) {
      const edge = edges[from];
      if (edge.taken === to) edge.taken = -1;
      if (edge.next === to) edge.next = -1;
      edge.targets = edge.targets.filter((block) => block !== to);
    }
  }
}
