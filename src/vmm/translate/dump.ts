/**
 * What the translator has made of a guest, stage by stage, as text: decoded instructions, records of threaded code, the blocks of regions, their
 * WebAssembly, and the state of every continuation. For people, for golden tests, and for the views.
 */
import { disassemble } from '../decode/disassembler';
import { wasmText } from '../wasm/text';
import type { Engine } from './engine';
import type { HandlerForm } from './handlers';
import { RECORD_SIZE, RecordField, SpecialHandler } from './record';
import type { RegionRecorder } from './region-emitter';
import { originalHandler, type Region } from './regions';
import { memoryName } from './state-names';
import type { Unit } from './translator';

export const dumpStages = ['decode', 'records', 'ir', 'wasm', 'chains'] as const;
export type DumpStage = (typeof dumpStages)[number];

/** What each stage shows, in words. */
export const dumpStageTitles: Readonly<Record<DumpStage, string>> = {
  decode: 'the guest instructions of every translation unit',
  records: 'the records of threaded code of every unit',
  ir: 'the blocks of every region: where they lead, which are loops',
  wasm: 'the WebAssembly of every region, beside the guest instructions',
  chains: 'the continuations of every unit: open, chained, or elided',
};

/** State of an exit: it still invokes the translator, leads straight to a unit, or needs no record at all. */
export type ExitState = 'open' | 'chained' | 'elided';

export interface UnitExit {
  readonly kind: 'taken' | 'next';
  readonly state: ExitState;
  /** Where it leads (offset in CS). */
  readonly target: number;
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');

const specialNames = ['none', 'continuation', 'goto', 'goto, page checked', 'discarded', 'second page', 'breakpoint', 'distant continuation'];

export class TranslationDump {
  private readonly u32: Uint32Array;

  constructor(private readonly engine: Engine) {
    this.u32 = new Uint32Array(engine.mmu.physical.bytes.buffer);
  }

  text(stage: DumpStage): string {
    switch (stage) {
      case 'decode': return this.each((unit) => this.instructions(unit).map(({ linear, text }) => `  ${hex(linear)}  ${text}`));
      case 'records': return this.each((unit) => this.records(unit));
      case 'chains': return this.each((unit) => this.exits(unit).map(({ kind, state, target }) => `  ${kind.padEnd(5)} ${hex(target)}  ${state}`));
      case 'ir': return this.blocks();
      case 'wasm': return this.webAssembly();
    }
  }

  units(): Unit[] {
    return [...this.engine.translator.units()].filter(({ context }) => context.cut === 'full').sort((a, b) => a.linear - b.linear);
  }

  private each(lines: (unit: Unit) => string[]): string {
    return this.units().map((unit) => [`unit ${hex(unit.linear)}, ${unit.instructions} instruction${unit.instructions === 1 ? '' : 's'}`, ...lines(unit), ''].join('\n')).join('\n');
  }

  instructions(unit: Unit): { linear: number; bytes: Uint8Array; text: string }[] {
    const bytes = this.engine.mmu.debugRead(unit.linear, unit.bytes);
    const result: { linear: number; bytes: Uint8Array; text: string }[] = [];
    for (let at = 0; at < bytes.length;) {
      const { length, text } = disassemble(this.engine.decoder, bytes, at, bytes.length, unit.context, unit.linear + at - unit.context.csBase);
      result.push({ linear: unit.linear + at, bytes: bytes.subarray(at, at + length), text });
      at += length;
    }
    return result;
  }

  /** The handler of a record's own instruction, also where a region or a count has taken the first record's place. */
  handler(record: number, unit: Unit): number {
    const handler = this.u32[record >> 2];
    if (handler === unit.region?.slot) return originalHandler(unit)!;
    return unit.tally && handler === unit.tally.slot ? unit.tally.original : handler;
  }

  handlerName(record: number, unit: Unit): string {
    const handler = this.handler(record, unit);
    if (handler < SpecialHandler.Count) return specialNames[handler];
    const { form, load }: HandlerForm = this.engine.handlerForm(handler, unit.context.codeSize);
    const name = load ? `load ${load.bytes} bytes` : `${form.encoding.instruction.mnemonic} ${form.operands.map(({ kind, width }) => `${kind}${width}`).join(' ')}`.trim();
    return this.u32[record >> 2] === unit.region?.slot ? `region ${unit.region.slot} instead of ${name}` : name;
  }

  /** A record's fields between handler and EIP, as they stand in memory. */
  recordFields(record: number): string {
    return [1, 2, 3, 4, 5].map((word) => hex(this.u32[(record >> 2) + word])).join(' ');
  }

  private records(unit: Unit): string[] {
    const { u32 } = this;
    return Array.from({ length: unit.records + (this.exits(unit).some(({ kind, state }) => kind === 'next' && state !== 'elided') ? 1 : 0) }, (_, n) => {
      const at = unit.record + n * RECORD_SIZE;
      return `  ${hex(at)}  ${hex(u32[(at + RecordField.eip) >> 2])}  ${this.recordFields(at)}  ${this.handlerName(at, unit)}`;
    });
  }

  /** How a unit goes on, apart from indirect transfers, which have no continuation. */
  exits(unit: Unit): UnitExit[] {
    const { u32 } = this;
    const last = unit.record + (unit.records - 1) * RECORD_SIZE;
    const handler = this.handler(last, unit);
    const form = handler < SpecialHandler.Count ? undefined : this.engine.handlerForm(handler, unit.context.codeSize).form;
    const result: UnitExit[] = [];
    const stateOf = (at: number): ExitState => {
      const state: SpecialHandler = u32[at >> 2];
      return state === SpecialHandler.Continue || state === SpecialHandler.Distant ? 'open' : 'chained';
    };
    const behind = last + RECORD_SIZE;
    const next = (unit.linear + unit.bytes - unit.context.csBase) >>> 0;
    if (form?.operands.some(({ kind }) => kind === 'target')) {
      result.push({ kind: 'taken', state: stateOf(u32[(last + RecordField.link) >> 2]), target: u32[(last + RecordField.target) >> 2] });
    }
    const goesOn = form && (form.encoding.instruction.control === 'condition' || !form.encoding.instruction.ends);
    if (goesOn) result.push({ kind: 'next', state: u32[behind >> 2] >= SpecialHandler.Count ? 'elided' : stateOf(behind), target: next });
    return result;
  }

  private blocks(): string {
    const lines: string[] = [];
    for (const region of this.engine.regions.list()) {
      lines.push(`region ${region.slot}, root ${hex(region.root.linear)}, ${region.units.length} block${region.units.length === 1 ? '' : 's'}`);
      for (const number of region.plan.shape.order) {
        const { unit, taken, next, targets } = region.plan.blocks[number];
        const leads = [...(taken >= 0 ? [`taken ${taken}`] : []), ...(next >= 0 ? [`next ${next}`] : []), ...targets.map((to) => `target ${to}`)];
        const { loops, graph } = region.plan.shape;
        const marks = [...(loops[number] ? ['loop'] : []), ...(graph.merge[number] ? ['merge'] : []), ...(number > 0 && region.plan.entries.includes(number) ? ['entry'] : [])];
        lines.push(`  block ${number}  ${hex(unit.linear)}  ${marks.join(' ').padEnd(10)} ${leads.join(', ') || 'leaves'}`);
      }
      lines.push('');
    }
    return lines.join('\n');
  }

  private webAssembly(): string {
    const lines: string[] = [];
    for (const region of this.engine.regions.list()) {
      lines.push(`region ${region.slot}, root ${hex(region.root.linear)}`);
      const guest = new Map(region.units.flatMap((unit) => this.instructions(unit).map(({ linear, text }) => [(linear - unit.context.csBase) >>> 0, text])));
      for (const { record, code } of this.regionText(region)) {
        const eip = this.u32[(record + RecordField.eip) >> 2];
        lines.push(record === 0 ? ';; enter and leave' : `;; ${hex(eip)}  ${guest.get(eip) ?? ''}`, ...code.map((line) => `    ${line}`));
      }
      lines.push('');
    }
    return lines.join('\n');
  }

  /** A region's WebAssembly in the order in which it stands, and which record each part was written for; record 0 for its beginning and end. */
  regionText(region: Region, recorder: RegionRecorder = this.engine.regions.record(region)): { record: number; code: string[] }[] {
    const parts: { record: number; code: string[] }[] = [];
    let next = 0;
    for (const { offset, text, note } of wasmText(recorder.code, { functions: recorder.functions, locals: recorder.locals, memory: memoryName })) {
      for (; next < recorder.marks.length && recorder.marks[next].offset <= offset; next++) parts.push({ record: recorder.marks[next].record, code: [] });
      parts.at(-1)!.code.push(note === undefined ? text : `${text}  ;; ${note}`);
    }
    return parts;
  }
}
