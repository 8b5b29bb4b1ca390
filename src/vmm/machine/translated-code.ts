/**
 * What the translator has made of the code at an address, for the Translation view: the region that has it, or the units of threaded code that
 * are linked with it, each guest instruction beside its records and its WebAssembly. When it is asked to count, executions of what it shows are
 * counted from then on, until it shows something else.
 */
import type {
  HotCodeSample, InstructionTreatment, TranslatedCode, TranslatedExit, TranslatedInstruction, TranslatedRecord, TranslatedUnit,
} from '../../protocol/translated-code';
import { TranslationDump } from '../translate/dump';
import type { Engine } from '../translate/engine';
import { handlerText } from '../translate/handler-text';
import type { HandlerForm } from '../translate/handlers';
import { RECORD_SIZE, RecordField, SpecialHandler, UNIT_CAP } from '../translate/record';
import type { RegionRecorder } from '../translate/region-emitter';
import { unitBehind } from '../translate/region-former';
import type { Region } from '../translate/regions';
import type { Unit } from '../translate/translator';

/** Units of threaded code that are shown together. */
const UNITS_MAX = 32;
/** Steps over code leave units of one instruction: those are shown that follow each other around the address. */
const SINGLES_BEFORE = 16;
/** No unit is longer: 12 instructions of 15 bytes. */
const UNIT_BYTES = 180;
const HOT_MAX = 100;
const ADDRESSES = 2 ** 48;

const bytesText = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** The units that a view shows, and what leads where among them. */
interface Shown {
  readonly units: readonly Unit[];
  readonly more: boolean;
  readonly region?: Region;
}

/** What the units that are shown together have in common. */
interface Description {
  readonly handlers: Map<HandlerForm, number>;
  /** A region's code by record. */
  readonly parts: ReadonlyMap<number, readonly string[]> | undefined;
  readonly recorder: RegionRecorder | undefined;
  readonly executions: ReadonlyMap<number, number>;
  /** Since when the first of them is counted. */
  readonly since?: number;
}

/** How the translator treats an instruction, and why. */
function treatmentOf(handler: HandlerForm, engine: Engine, codeSize: number): { treatment: InstructionTreatment; reason: string } {
  const { always, sometimes } = handlerText(handler, engine.threadedModule(codeSize));
  const { encoding: { instruction }, operands } = handler.form;
  if (always.length) return { treatment: 'callout', reason: `callout: the monitor's runtime does it (${always.join(', ')})` };
  const rarely = sometimes.length ? `; a callout (${sometimes.join(', ')}) when something is out of the ordinary` : '';
  if (operands.some(({ kind }) => kind === 'target')) {
    const pushes = instruction.control === 'call' ? ', after pushing the return address' : '';
    return { treatment: 'simulated', reason: `simulated: a direct transfer becomes links, at first continuations${pushes}${rarely}` };
  }
  if (instruction.control) return { treatment: 'simulated', reason: `simulated: the target is looked up by the dispatcher${rarely}` };
  if (instruction.privilege) return { treatment: 'simulated', reason: `simulated: works on the processor's virtual state, in line${rarely}` };
  return { treatment: 'ident', reason: `identical: the same effect, in line${rarely}` };
}

export class TranslatedCodeReader {
  private readonly dump: TranslationDump;
  private readonly u32: Uint32Array;

  constructor(private readonly engine: Engine) {
    this.dump = new TranslationDump(engine);
    this.u32 = new Uint32Array(engine.mmu.physical.bytes.buffer);
  }

  /** `memory` lists what stands there when nothing was translated. */
  at(linear: number, codeSize: 16 | 32 | 64, count: boolean, memory: (linear: number, count: number) => { linear: number; bytes: Uint8Array; text: string; ends: boolean }[]): TranslatedCode {
    const base = { linear, codeSize, instructions: this.engine.now, handlers: [] };
    const { tallies } = this.engine.regions;
    const { gpa } = this.engine.mmu.translateForDebugger(linear);
    if (gpa === undefined) {
      if (count) tallies.watch([], base.instructions);
      return { ...base, state: 'unmapped', units: [], unit: -1 };
    }
    const unit = this.unitAt(linear, gpa);
    if (!unit) {
      // The first execution counts, too.
      if (count) tallies.watch([{ first: linear, last: linear + UNIT_BYTES }], base.instructions);
      const lines = memory(linear, UNIT_CAP);
      const end = lines.findIndex(({ ends }) => ends);
      return {
        ...base, state: 'untranslated', units: [], unit: -1,
        memory: lines.slice(0, end < 0 ? lines.length : end + 1).map(({ linear: at, bytes, text }) => ({ linear: at, bytes: bytesText(bytes), text })),
      };
    }
    const shown = this.around(unit);
    if (count) tallies.watch(shown.units.map((one) => ({ first: one.linear, last: one.linear + one.bytes - 1 })), base.instructions);
    const starts = shown.units.flatMap((one) => one.tally?.since ?? []);
    const counts = { executions: tallies.executions(), ...(starts.length && { since: Math.min(...starts) }) };
    const handlers = new Map<HandlerForm, number>();
    const { region } = shown;
    const recorder = region && this.engine.regions.record(region);
    const parts = recorder && this.partsOf(region, recorder);
    const units = shown.units.map((one) => this.describe(one, shown, { handlers, parts, recorder, ...counts }));
    return {
      ...base, codeSize: unit.context.codeSize, state: region ? 'region' : 'threaded', units: region ? units : markLoops(units), unit: shown.units.indexOf(unit),
      ...(shown.more && { more: true as const }), ...(counts.since !== undefined && { countingSince: counts.since }),
      handlers: [...handlers.keys()].map((handler) => {
        const { lines } = handlerText(handler, this.engine.threadedModule(unit.context.codeSize));
        const { form: { encoding: { instruction } }, load } = handler;
        return { name: load ? `load ${load.bytes} bytes` : instruction.mnemonic, lines };
      }),
      ...(region && parts && recorder && { region: { slot: region.slot, root: region.root.linear, wasmBytes: recorder.code.length, frame: parts.get(0) ?? [] } }),
    };
  }

  /** Nobody looks any more: everything runs at full speed. */
  stopCounting(): void {
    this.engine.regions.tallies.watch([], this.engine.now);
  }

  /** Where the guest was found at work lately. */
  hot(most: number): HotCodeSample {
    const found = new Map<Unit | Region, { unit: Unit; most: number; samples: number }>();
    const ofUnits = new Map<Unit, number>();
    let looks = 0;
    for (const unit of this.engine.regions.looks()) {
      looks++;
      if (unit.live) ofUnits.set(unit, (ofUnits.get(unit) ?? 0) + 1);
    }
    for (const [unit, samples] of ofUnits) {
      const owner = regionOf(unit) ?? unit;
      const entry = found.get(owner);
      if (!entry) found.set(owner, { unit, most: samples, samples });
      else {
        entry.samples += samples;
        if (samples > entry.most) Object.assign(entry, { unit, most: samples });
      }
    }
    const code = [...found].sort(([, a], [, b]) => b.samples - a.samples).slice(0, Math.min(most, HOT_MAX))
      .map(([owner, { unit, samples }]) => ({ linear: unit.linear, samples, units: 'units' in owner ? owner.units.length : 1, region: 'units' in owner }));
    return { code, looks };
  }

  // ---- which units ----

  /** The unit that has the instruction at an address: one that is mapped there now, whole rather than single, in a region rather than not. */
  private unitAt(linear: number, gpa: number): Unit | undefined {
    const present = this.engine.presentContext();
    const found = this.engine.translator.unitsIn(Math.max(0, linear - UNIT_BYTES), linear).filter((unit) => linear < unit.linear + unit.bytes
      && (gpa === unit.gpaFirst + (linear - unit.linear) || (unit.secondPage >= 0 && Math.floor(gpa / 4096) === unit.secondPage)));
    const rank = (unit: Unit): number => (unit.context.cut === 'full' ? 8 : 0) + (regionOf(unit) ? 4 : 0) + (unit.context.codeSize === present?.codeSize ? 2 : 0)
      + (unit.linear === linear ? 1 : 0);
    const best = found.sort((a, b) => rank(b) - rank(a)).at(0);
    // The address has to be an instruction's.
    return best && this.dump.instructions(best).some((instruction) => instruction.linear <= linear && linear < instruction.linear + instruction.bytes.length) ? best : undefined;
  }

  private around(unit: Unit): Shown {
    const region = regionOf(unit);
    if (region) return { region, more: false, units: region.plan.shape.order.map((number) => region.plan.blocks[number].unit) };
    if (unit.context.cut !== 'full') return { units: this.singles(unit), more: false };
    const page = Math.floor(unit.linear / 4096) * 4096;
    const leadsHere = new Map<Unit, Unit[]>();
    for (const one of this.engine.translator.unitsIn(page, page + 4095)) {
      if (one.context !== unit.context) continue;
      for (const { unit: to } of this.exits(one)) if (to) leadsHere.set(to, [...leadsHere.get(to) ?? [], one]);
    }
    const shown = new Set([unit]);
    let more = false;
    for (const one of shown) {
      for (const to of [...this.exits(one).map((exit) => exit.unit), ...leadsHere.get(one) ?? []]) {
        if (!to || shown.has(to) || to.context !== unit.context) continue;
        if (shown.size < UNITS_MAX) shown.add(to);
        else more = true;
      }
    }
    return { units: [...shown].sort((a, b) => a.linear - b.linear), more };
  }

  /** Units of one instruction that follow each other. */
  private singles(unit: Unit): Unit[] {
    const byLinear = new Map<number, Unit>();
    for (const one of this.engine.translator.unitsIn(Math.max(0, unit.linear - 15 * SINGLES_BEFORE), unit.linear + 15 * UNITS_MAX)) {
      if (one.context.cut !== 'full' && one.context.codeSize === unit.context.codeSize) byLinear.set(one.linear, one);
    }
    // The same instruction is there twice when a step went over a breakpoint.
    byLinear.set(unit.linear, unit);
    const near = [...byLinear.values()].sort((a, b) => a.linear - b.linear);
    const follows = (n: number): boolean => near[n] !== undefined && near[n + 1] !== undefined && near[n].linear + near[n].bytes === near[n + 1].linear;
    let first = near.indexOf(unit), last = first;
    while (follows(first - 1)) first--;
    while (follows(last)) last++;
    return near.slice(first, last + 1).slice(0, UNITS_MAX);
  }

  /** How a unit of threaded code goes on, with the units there. */
  private exits(unit: Unit): (Omit<TranslatedExit, 'unit'> & { readonly unit?: Unit })[] {
    const { translator } = this.engine;
    const { context } = unit;
    const last = unit.record + (unit.records - 1) * RECORD_SIZE;
    const handler = this.dump.handler(last, unit);
    const instruction = handler < SpecialHandler.Count ? undefined : this.engine.handlerForm(handler, context.codeSize).form.encoding.instruction;
    const calls = instruction?.control === 'call';
    const result: ReturnType<typeof this.exits> = this.dump.exits(unit).map(({ kind, state, target }) => {
      const link = kind === 'next' ? last + RECORD_SIZE : this.u32[(last + RecordField.link) >> 2];
      // What a call leads to is another function's code.
      const to = state === 'open' || calls ? undefined : unitBehind(link, translator, { u32: this.u32 });
      return { kind, state, target: translator.linearOf(target, context), ...(to && { unit: to }) };
    });
    const direct = result.some(({ kind }) => kind === 'taken');
    if (instruction?.control && instruction.control !== 'condition' && !direct) {
      // Where it led last stands in its record.
      const field = instruction.control === 'jump' || calls ? RecordField.target : instruction.mnemonic === 'ret' ? RecordField.returned : undefined;
      const seen = field === undefined ? 0 : this.u32[(last + field) >> 2];
      result.push({ kind: 'indirect', state: 'dispatched', ...(seen !== 0 && { target: translator.linearOf(seen, context) }) });
    }
    if (calls) {
      const behind = (unit.linear + unit.bytes) % ADDRESSES;
      const back = translator.find(behind, context);
      result.push({ kind: 'return', state: 'dispatched', target: behind, ...(back && { unit: back }) });
    }
    return result;
  }

  // ---- what they look like ----

  /** The region's code by the record that it was written for. */
  private partsOf(region: Region, recorder: RegionRecorder): Map<number, string[]> {
    const parts = new Map<number, string[]>();
    for (const { record, code } of this.dump.regionText(region, recorder)) {
      const known = parts.get(record);
      if (known) known.push(...code);
      else parts.set(record, [...code]);
    }
    return parts;
  }

  /** A unit's records by the EIP of their instructions. */
  private recordsOf(unit: Unit): Map<number, number[]> {
    const byEip = new Map<number, number[]>();
    for (let n = 0; n < unit.records; n++) {
      const record = unit.record + n * RECORD_SIZE;
      const eip = this.u32[(record + RecordField.eip) >> 2];
      const known = byEip.get(eip);
      if (known) known.push(record);
      else byEip.set(eip, [record]);
    }
    return byEip;
  }

  private describe(unit: Unit, shown: Shown, { handlers, parts, recorder, executions, since }: Description): TranslatedUnit {
    const { context } = unit;
    const byEip = this.recordsOf(unit);
    const instructions = this.dump.instructions(unit).map(({ linear, bytes, text }): TranslatedInstruction => {
      const records = byEip.get((linear - context.csBase) >>> 0) ?? [];
      const own = records.at(-1);
      const handler = own === undefined ? 0 : this.dump.handler(own, unit);
      const form = handler < SpecialHandler.Count ? undefined : this.engine.handlerForm(handler, context.codeSize);
      return {
        linear, bytes: bytesText(bytes), text,
        ...(form ? treatmentOf(form, this.engine, context.codeSize) : { treatment: 'callout' as const, reason: 'the translator is asked again before it runs' }),
        records: records.map((record) => this.recordOf(record, unit, handlers)),
        ...(parts && { region: records.flatMap((record) => parts.get(record) ?? []) }),
        ...(records.some((record) => recorder?.left.has(record)) && { leaves: true as const }),
        ...(executions.has(linear) && { executions: executions.get(linear) }),
      };
    });
    const began = unit.tally?.since;
    return {
      linear: unit.linear, ...(began !== undefined && began !== since && { countingSince: began }), samples: this.engine.regions.samplesOf(unit), ...(context.cut !== 'full' && { single: true as const }), instructions,
      ...(shown.region?.plan.shape.loops[shown.region.units.indexOf(unit)] && { loop: true as const }),
      exits: shown.region ? this.regionExits(unit, shown.region) : this.exits(unit).map(({ unit: to, ...exit }) => withUnit(exit, to ? shown.units.indexOf(to) : -1)),
    };
  }

  private recordOf(record: number, unit: Unit, handlers: Map<HandlerForm, number>): TranslatedRecord {
    const handler = this.dump.handler(record, unit);
    const base = { address: record, handler: this.dump.handlerName(record, unit), fields: this.dump.recordFields(record) };
    if (handler < SpecialHandler.Count) return base;
    const form = this.engine.handlerForm(handler, unit.context.codeSize);
    const code = handlers.get(form) ?? handlers.size;
    handlers.set(form, code);
    return { ...base, code };
  }

  private regionExits(unit: Unit, region: Region): TranslatedExit[] {
    const { blocks, shape: { order } } = region.plan;
    const { taken, next, targets } = blocks.find((block) => block.unit === unit)!;
    const exits = this.exits(unit);
    const shown = exits.flatMap(({ unit: _unit, ...exit }): TranslatedExit[] => {
      if (exit.kind === 'return') return [];
      const to = exit.kind === 'taken' ? taken : exit.kind === 'next' ? next : -1;
      return [to < 0 ? exit : { ...exit, unit: order.indexOf(to), inside: true }];
    });
    for (const to of targets) shown.push({ kind: 'indirect', state: 'dispatched', target: blocks[to].unit.linear, unit: order.indexOf(to), inside: true });
    return shown;
  }
}

/** The region that a unit is shown in: its own, or the first that it is part of. */
function regionOf(unit: Unit): Region | undefined {
  return unit.region ?? [...unit.regions ?? []].at(0);
}

const withUnit = (exit: Omit<TranslatedExit, 'unit'>, unit: number): TranslatedExit => (unit < 0 ? exit : { ...exit, unit });

/** Of units in the order of their addresses: one to which another behind it, or it itself, leads back begins a loop. */
function markLoops(units: TranslatedUnit[]): TranslatedUnit[] {
  const headers = new Set(units.flatMap(({ exits }, from) => exits.flatMap(({ unit }) => (unit !== undefined && unit <= from ? [unit] : []))));
  return units.map((unit, n) => (headers.has(n) ? { ...unit, loop: true } : unit));
}
