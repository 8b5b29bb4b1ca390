/** Turns what the machine tells of its translations into the texts of the Translation view. Pure: no VS Code, no machine. */
import { addressDigits } from '../../protocol/addresses';
import type { CustomRequests } from '../../protocol/dap';
import type { TranslatedCode, TranslatedExit, TranslatedInstruction, TranslatedUnit } from '../../protocol/translated-code';
import type { TranslationBlock, TranslationEdge, TranslationExit, TranslationHeat, TranslationRow, TranslationViewModel } from '../../protocol/views';

export type TranslationAnswer = CustomRequests['ringside/translation'][1];
export type HotAnswer = CustomRequests['ringside/hotCode'][1];

/** What the view follows, and where the processor stands. */
export interface TranslationPlace {
  readonly program: string;
  readonly follows: string;
  readonly pinned: boolean;
  /** Linear address of the next instruction, while the guest stands still. */
  readonly instructionPointer?: number;
}

const plural = (count: number, one: string, many = `${one}s`): string => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
const address = (linear: number): string => addressDigits(linear);

/** Nothing to show, and why. */
export function emptyModel(state: 'none' | 'failed', summary: string, place?: TranslationPlace): TranslationViewModel {
  return {
    state, program: place?.program ?? '', title: state === 'none' ? 'Translation' : 'Nothing to show', summary, follows: place?.follows ?? '', pinned: place?.pinned ?? false,
    blocks: [], edges: [], block: -1, frame: [],
  };
}

export const noHeat: TranslationHeat = { counting: '', executions: [], samples: [], hot: [] };

class Names {
  private readonly names: ReadonlyMap<number, string>;

  constructor({ names }: TranslationAnswer) {
    this.names = new Map(names.map(({ linear, name }) => [linear, name]));
  }

  /** `name+0x12`, or the address. */
  of(linear: number): string {
    return this.names.get(linear) ?? address(linear);
  }

  label(linear: number): string | undefined {
    const name = this.names.get(linear);
    return name === undefined || name.includes('+') ? undefined : name;
  }
}

const exitWords: Readonly<Record<TranslatedExit['kind'], string>> = { taken: 'taken', next: 'not taken, or behind', indirect: 'indirect', return: 'behind the call' };

function exitOf(exit: TranslatedExit, names: Names, last: boolean): TranslationExit {
  const to = exit.target === undefined ? 'wherever it leads' : names.of(exit.target);
  const kind = exit.kind === 'next' && last ? 'next' : exitWords[exit.kind];
  const target = exit.target === undefined ? {} : { target: `0x${address(exit.target)}` };
  if (exit.inside) return { state: 'inside', text: `${kind}: ${to}, inside the region`, ...target };
  const words: Readonly<Record<TranslatedExit['state'], string>> = {
    open: `${kind}: an open continuation to ${to}, which has never been reached from here`,
    chained: `${kind}: chained to ${to}`,
    elided: `${kind}: ${to}, elided: its records stand right behind`,
    dispatched: exit.kind === 'return' ? `${kind}: ${to}, once the callee returns` : `${kind}: through the dispatcher${exit.target === undefined ? '' : `, last to ${to}`}`,
  };
  return { state: exit.state, text: words[exit.state], ...target };
}

function rowOf(instruction: TranslatedInstruction, code: TranslatedCode, names: Names, sources: ReadonlyMap<number, TranslationRow['source']>, place: TranslationPlace): TranslationRow {
  const { linear, bytes, text, treatment, reason, leaves } = instruction;
  const label = names.label(linear);
  const source = sources.get(linear);
  const handlers = instruction.records.flatMap(({ code: handler }) => (handler === undefined ? [] : code.handlers[handler]?.lines ?? []));
  return {
    linear, address: address(linear), ...(label !== undefined && { label }), bytes, text, treatment,
    reason: leaves ? `${reason}. The region leaves here: threaded code does it` : reason,
    records: instruction.records.map(({ handler, address: at, fields }) => {
      // A region stands in the first record's place.
      const [, region, own] = /^(region \d+) instead of (.*)$/.exec(handler) ?? [];
      return { text: own ?? handler, title: `record at ${at.toString(16)}: ${fields}${region ? `; its handler is ${region}` : ''}` };
    }),
    wasm: instruction.region ?? handlers,
    ...(linear === place.instructionPointer ? { here: 'instruction pointer' as const } : linear === code.linear ? { here: 'asked for' as const } : {}),
    ...(source && { source }),
  };
}

function blockOf(unit: TranslatedUnit, n: number, rows: readonly TranslationRow[], names: Names): TranslationBlock {
  const notes = [
    `block ${n}`, plural(unit.instructions.length, 'instruction'), ...(unit.loop ? ['a loop begins here'] : []), ...(unit.single ? ['made for a step'] : []),
    ...(unit.countingSince === undefined ? [] : [`counted since instruction ${unit.countingSince.toLocaleString('en')}`]),
  ];
  const conditional = unit.exits.some(({ kind }) => kind === 'taken');
  return { title: names.of(unit.linear), note: notes.join(', '), loop: unit.loop ?? false, rows, exits: unit.exits.map((exit) => exitOf(exit, names, !conditional)) };
}

function summaryOf({ state, units, region, linear, more, codeSize }: TranslatedCode, names: Names): string {
  switch (state) {
    case 'unmapped':
      return `The guest's page tables have nothing at ${names.of(linear)}. Put the cursor into code, or type another address, label or register.`;
    case 'untranslated':
      return `Nothing of ${names.of(linear)} is translated: it was not executed yet, or has been rewritten since. This is what stands in memory, as ${codeSize}-bit code; let the guest run there.`;
    case 'region':
      return `Region ${region!.slot}: ${plural(units.length, 'unit')} of ${codeSize}-bit code in one WebAssembly function of ${plural(region!.wasmBytes, 'byte')}, with ${plural(units.filter(({ loop }) => loop).length, 'loop')}.`;
    case 'threaded': {
      if (units.every(({ single }) => single)) return `Threaded code of ${plural(units.length, 'unit')} of one ${codeSize}-bit instruction each: made for steps and exact stops.`;
      const exits = units.flatMap((unit) => unit.exits).filter(({ kind }) => kind === 'taken' || kind === 'next');
      const count = (wanted: TranslatedExit['state']): string => `${exits.filter((exit) => exit.state === wanted).length} ${wanted}`;
      return `Threaded code of ${plural(units.length, 'unit')}${more ? ', and more that they lead to' : ''}, ${codeSize} bits; ${plural(exits.length, 'continuation')}: `
        + `${count('open')}, ${count('chained')}, ${count('elided')}.`;
    }
  }
}

export function translationModel(answer: TranslationAnswer, place: TranslationPlace): TranslationViewModel {
  const { code } = answer;
  const names = new Names(answer);
  const sources = new Map(answer.sources.map(({ linear, path, line }) => [linear, { path, line }]));
  const blocks = code.units.map((unit, n) => blockOf(unit, n, unit.instructions.map((one) => rowOf(one, code, names, sources, place)), names));
  if (code.memory?.length) {
    const rows = code.memory.map(({ linear, bytes, text }): TranslationRow => {
      const label = names.label(linear), source = sources.get(linear);
      return {
        linear, address: address(linear), ...(label !== undefined && { label }), bytes, text, treatment: 'untranslated', reason: 'not translated', records: [], wasm: [],
        ...(linear === place.instructionPointer ? { here: 'instruction pointer' as const } : linear === code.linear ? { here: 'asked for' as const } : {}), ...(source && { source }),
      };
    });
    blocks.push({ title: names.of(code.linear), note: 'not translated', loop: false, rows, exits: [] });
  }
  const edges = code.units.flatMap(({ exits }, from) => exits.flatMap(({ unit, kind }): TranslationEdge[] => (unit === undefined ? [] : [{ from, to: unit, kind }])));
  return {
    state: code.state, program: place.program, title: names.of(code.linear), summary: summaryOf(code, names), follows: place.follows, pinned: place.pinned,
    blocks, edges, block: code.unit, frame: code.region?.frame ?? [],
  };
}

/** What is found at work less often is not called hot. */
const LEAST_SHARE = 0.01;

/** Counts, and the guest's hottest code. */
export function translationHeat({ code }: TranslationAnswer, hot: HotAnswer): TranslationHeat {
  const counted = code.countingSince !== undefined;
  const inRegionOrThreaded = code.state === 'region' || code.state === 'threaded';
  return {
    counting: !inRegionOrThreaded ? '' : counted
      ? `Executions: exact counts of the last ${plural(code.instructions - code.countingSince!, 'instruction')}, since this view shows them.`
      : 'Executions are not counted.',
    executions: code.units.map(({ instructions }) => instructions.map(({ executions = null }) => executions)),
    samples: code.units.map(({ samples }) => samples),
    hot: hot.code.filter(({ samples }) => samples >= LEAST_SHARE * hot.looks).map((one) => ({
      title: one.name ?? address(one.linear), expression: `0x${address(one.linear)}`, share: hot.looks > 0 ? one.samples / hot.looks : 0,
      note: `${one.region ? `a region of ${plural(one.units, 'unit')}` : 'threaded code'}, found at work in ${one.samples} of the last ${plural(hot.looks, 'look')}`,
    })),
  };
}

/** The whole view as text. */
export function translationText(model: TranslationViewModel, heat: TranslationHeat): string {
  const lines = [`${model.title}  (${model.program})`, model.summary, heat.counting, ''];
  const margin = Math.max(0, ...heat.executions.flat().map((count) => String(count ?? '').length));
  if (model.frame.length) lines.push('function of the region:', ...model.frame.map((line) => `    ${line}`), '');
  model.blocks.forEach((block, n) => {
    lines.push(`${block.title}: ${block.note}`);
    block.rows.forEach((row, r) => {
      const count = String(heat.executions[n]?.[r] ?? '').padStart(margin);
      if (row.label !== undefined) lines.push(`${' '.repeat(margin)}  ${row.label}:`);
      lines.push(`${count}  ${row.address}  ${row.bytes.padEnd(24)}  ${row.text.padEnd(36)}  ${row.treatment}${row.here ? `  <- ${row.here}` : ''}`);
      for (const record of row.records) lines.push(`${' '.repeat(margin)}    | ${record.text}  (${record.title})`);
      for (const line of row.wasm) lines.push(`${' '.repeat(margin)}        ${line}`);
    });
    for (const exit of block.exits) lines.push(`${' '.repeat(margin)}  -> ${exit.text}`);
    lines.push('');
  });
  return lines.filter((line, n) => line !== '' || lines[n - 1] !== '').join('\n');
}
