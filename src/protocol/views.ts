/** The typed messages between the extension and its webviews. Like messages.ts: plain data that survives structured cloning. */
import type { CounterDefinition, CounterSample, MouseMovement, RunState, ScreenGraphics, ScreenText } from './messages';

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
