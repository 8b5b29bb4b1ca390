/** The typed messages between the extension and its webviews. Like messages.ts: plain data that survives structured cloning. */
import type { CounterDefinition, CounterSample, MouseMovement, RunState, ScreenGraphics, ScreenText } from './messages';
import type { InstructionTreatment } from './translated-code';

/** A register as the Machine view shows it: texts only, so that the view has nothing to compute. */
export interface RegisterRow {
  readonly name: string;
  readonly value: string;
  /** Value at the stop before; present when it differs. */
  readonly previous?: string;
  /** Tooltip: the value read in other ways. */
  readonly note: string;
}

export interface FlagRow {
  readonly name: string;
  readonly title: string;
  readonly definition: string;
  readonly value: number;
  /** Value at the stop before; present when it differs. */
  readonly previous?: number;
}

export interface SegmentRow {
  readonly name: string;
  readonly selector: string;
  readonly base: string;
  readonly limit: string;
  /** The attributes in words. */
  readonly kind: string;
  readonly changed: boolean;
}

export interface MachineViewModel {
  /** Name of the program, or empty when there is no machine. */
  readonly program: string;
  readonly state: RunState | 'none';
  /** One sentence: what the machine does or why it stopped. */
  readonly status: string;
  readonly mode: string;
  /** Where the processor stands: address and instruction; only while it is paused. */
  readonly location?: { readonly address: string; readonly instruction: string };
  /** What the conditional instruction at hand will do ("jnz taken: ZF=0"). */
  readonly forecast?: string;
  readonly general: readonly RegisterRow[];
  readonly system: readonly RegisterRow[];
  /** ST(0)–ST(7) and the x87's words, XMM registers and MXCSR. */
  readonly floating: readonly RegisterRow[];
  readonly flags: readonly FlagRow[];
  readonly segments: readonly SegmentRow[];
  /** Lines of the post-mortem of a guest that died. */
  readonly postMortem: readonly string[];
}

export type ToMachineView =
  | { readonly type: 'model'; readonly model: MachineViewModel }
  /** A new machine: forget the history. */
  | { readonly type: 'counters'; readonly definitions: readonly CounterDefinition[] }
  | { readonly type: 'sample'; readonly sample: CounterSample }
  | { readonly type: 'snapshot'; readonly id: number };

export type MachineViewCommand = 'continue' | 'pause' | 'stepInstruction' | 'restart' | 'terminate' | 'showScreen' | 'showSerial';

export type FromMachineView =
  | { readonly type: 'ready' }
  | { readonly type: 'command'; readonly command: MachineViewCommand }
  /** The view's text as a reader sees it, and how often it was drawn. */
  | { readonly type: 'snapshot'; readonly id: number; readonly text: string };

/** A run of cells that differ from the picture the view has. */
export interface CellRun {
  /** Index of the first cell (row * columns + column). */
  readonly start: number;
  /** Character and attribute pairs. */
  readonly cells: Uint8Array;
}

/** What both kinds of update have: they are answered by an acknowledgement, and the next one waits for it. */
interface ScreenUpdate {
  readonly sequence: number;
  readonly program: string;
}

export type TextUpdate = ScreenUpdate & Omit<ScreenText, 'kind' | 'cells'> & { readonly type: 'text'; readonly runs: readonly CellRun[] };
export type PictureUpdate = ScreenUpdate & Omit<ScreenGraphics, 'kind'> & { readonly type: 'picture' };

export type ToScreenView =
  | TextUpdate
  | PictureUpdate
  | { readonly type: 'state'; readonly live: boolean; readonly text: string }
  | { readonly type: 'focus' }
  | { readonly type: 'snapshot'; readonly id: number };

export type FromScreenView =
  | { readonly type: 'ready' }
  | { readonly type: 'acknowledge'; readonly sequence: number }
  | { readonly type: 'keyboard'; readonly scancodes: readonly number[] }
  | { readonly type: 'mouse'; readonly movement: MouseMovement }
  | { readonly type: 'snapshot'; readonly id: number; readonly text: string };

/** A guest instruction in the Translation view. Texts only. */
export interface TranslationRow {
  /** Linear address, to tell rows apart and to ask for. */
  readonly linear: number;
  readonly address: string;
  /** The label that stands there. */
  readonly label?: string;
  readonly bytes: string;
  readonly text: string;
  readonly treatment: InstructionTreatment | 'untranslated';
  readonly reason: string;
  /** Names of the records' handlers; the records themselves are tooltips. */
  readonly records: readonly { readonly text: string; readonly title: string }[];
  /** The region's code for the instruction, else its handlers'. */
  readonly wasm: readonly string[];
  /** The instruction pointer is here, or the place that was asked for. */
  readonly here?: 'instruction pointer' | 'asked for';
  readonly source?: { readonly path: string; readonly line: number };
}

export interface TranslationExit {
  readonly state: 'open' | 'chained' | 'elided' | 'dispatched' | 'inside';
  /** "taken: chained to nexti". */
  readonly text: string;
  readonly target?: string;
}

/** A translation unit. */
export interface TranslationBlock {
  readonly title: string;
  readonly note: string;
  readonly loop: boolean;
  readonly rows: readonly TranslationRow[];
  readonly exits: readonly TranslationExit[];
}

/** What leads where among the blocks, by their positions. */
export interface TranslationEdge {
  readonly from: number;
  readonly to: number;
  readonly kind: 'taken' | 'next' | 'indirect' | 'return';
}

/** What changes when the translator has done something, not with every instruction. */
export interface TranslationViewModel {
  readonly state: 'none' | 'region' | 'threaded' | 'untranslated' | 'unmapped' | 'failed';
  readonly program: string;
  readonly title: string;
  /** What it is, in a sentence; why there is nothing, and what to do. */
  readonly summary: string;
  /** What the view follows. */
  readonly follows: string;
  readonly pinned: boolean;
  readonly blocks: readonly TranslationBlock[];
  readonly edges: readonly TranslationEdge[];
  /** The block that was asked for, or -1. */
  readonly block: number;
  /** The beginning and end of a region's function. */
  readonly frame: readonly string[];
}

/** What changes all the time. */
export interface TranslationHeat {
  /** What the counts are, in a sentence. */
  readonly counting: string;
  /** Executions by block and row; null where nobody counts (messages to webviews are JSON). */
  readonly executions: readonly (readonly (number | null)[])[];
  /** How often each block was found at work lately. */
  readonly samples: readonly number[];
  /** Where the guest is at work, most first. */
  readonly hot: readonly { readonly title: string; readonly expression: string; readonly note: string; readonly share: number }[];
}

export type ToTranslationView =
  | { readonly type: 'update'; readonly sequence: number; readonly heat: TranslationHeat; /** Absent when it is as it was. */ readonly model?: TranslationViewModel }
  | { readonly type: 'snapshot'; readonly id: number };

export type FromTranslationView =
  | { readonly type: 'ready' }
  /** The update is drawn: the next one may come. */
  | { readonly type: 'acknowledge'; readonly sequence: number }
  /** Stay at an address, a label, a register's value. */
  | { readonly type: 'show'; readonly expression: string }
  | { readonly type: 'follow' }
  | { readonly type: 'copy' }
  | { readonly type: 'openSource'; readonly path: string; readonly line: number }
  | { readonly type: 'snapshot'; readonly id: number; readonly text: string };
