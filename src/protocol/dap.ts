/**
 * What the debug session offers beyond the Debug Adapter Protocol: custom requests and events under `ringside/…`, so that views can talk
 * to the machine through `DebugSession.customRequest` and `onDidReceiveDebugSessionCustomEvent`. Values are plain JSON here
 * (the session may run in another process): bytes travel as base64, 64-bit registers as hexadecimal strings.
 */
import type {
  CounterDefinition, CounterSample, CpuMode, DeviceSnapshot, DisassembledInstruction, DriveSummary, EndReason, FpuSnapshot, MouseMovement, PictureRectangle, PostMortem, RegisterSnapshot, RunState, Screen, ScreenGraphics, ScreenText,
  StopReason, WritableDrive,
} from './messages';

import type { HotCode, TranslatedCode } from './translated-code';

/** The `type` of debug configurations. */
export const debugType = 'ringside';

/** JSON form of {@link RegisterSnapshot}: what is wider than 32 bits as hexadecimal strings ("0x1f"). */
export type RegistersJson = Omit<RegisterSnapshot, 'general' | 'fpu' | 'xmm'> & {
  readonly general: readonly string[];
  readonly fpu?: Omit<FpuSnapshot, 'stack'> & { readonly stack: readonly string[] };
  readonly xmm?: readonly string[];
};
/** JSON form of {@link Screen}: `cells`, `font` and `pixels` in base64. */
export type ScreenJson =
  | Omit<ScreenText, 'cells' | 'font'> & { readonly cells: string; readonly font?: string }
  | Omit<ScreenGraphics, 'rectangles'> & { readonly rectangles: readonly (Omit<PictureRectangle, 'pixels'> & { readonly pixels: string })[] };
export type PostMortemJson = Omit<PostMortem, 'registers'> & { readonly registers: RegistersJson };
export type InstructionJson = Omit<DisassembledInstruction, 'bytes'> & {
  /** Two hexadecimal digits a byte, separated by spaces. */
  readonly bytes: string;
  readonly source?: { readonly path: string; readonly line: number };
};

export interface MachineDescription {
  readonly state: RunState;
  readonly program: string;
  readonly counters: readonly CounterDefinition[];
  readonly mode: CpuMode;
  /** Source files with code, as paths. */
  readonly sources: readonly string[];
}

export interface DiskJson extends DriveSummary {
  /** Attribute of the launch configuration, and the file that stands there. */
  readonly attribute: string;
  readonly path: string;
}

/** Custom requests: name → [arguments, response body]. */
export interface CustomRequests {
  'ringside/machine': [Record<string, never>, MachineDescription];
  'ringside/registers': [Record<string, never>, RegistersJson];
  'ringside/counters': [Record<string, never>, CounterSample];
  'ringside/screen': [Record<string, never>, ScreenJson];
  'ringside/devices': [Record<string, never>, { readonly devices: readonly DeviceSnapshot[] }];
  /** `data` in base64. */
  'ringside/serialInput': [{ readonly port: number; readonly data: string }, Record<string, never>];
  'ringside/keyboard': [{ readonly scancodes: readonly number[] }, Record<string, never>];
  'ringside/mouse': [MouseMovement, Record<string, never>];
  /** Rates in hertz of the events `ringside/counters` and `ringside/screen`; 0 for none. The session starts with none. */
  'ringside/subscribe': [{ readonly countersHz: number; readonly screenHz: number }, Record<string, never>];
  'ringside/postMortem': [Record<string, never>, { readonly postMortem?: PostMortemJson }];
  'ringside/hiddenPageFaults': [{ readonly most: number }, {
    readonly sites: readonly { readonly linear: number; readonly count: number; readonly symbol?: string; readonly path?: string; readonly line?: number }[];
  }];
  /** Instructions around an address, or those of one source line (for inline values and inlay hints). */
  'ringside/disassemble': [
    { readonly linear: number; readonly count: number; readonly instructionOffset?: number } | { readonly path: string; readonly line: number },
    { readonly instructions: readonly InstructionJson[] },
  ];
  /** Lines of a source with the addresses and bytes of their first instruction, for inlay hints. */
  'ringside/lines': [{ readonly path: string }, { readonly lines: readonly { readonly line: number; readonly linear: number; readonly bytes: string }[] }];
  /** The page tables in words: the walk of an expression's address, or of the instruction's, and what the address space maps. */
  'ringside/pageTables': [{ readonly expression?: string }, { readonly text: string }];
  /**
   * What the translator has made of the code at a source line, at an expression's address, or (when nothing is given) at the instruction pointer.
   * With `count` its executions are counted from then on, until other code is or `ringside/stopCounting`.
   */
  'ringside/translation': [
    ({ readonly path: string; readonly line: number } | { readonly expression?: string }) & { readonly count?: boolean },
    {
      readonly code: TranslatedCode;
      /** Names of the addresses in it, `name+0x12` for those that have none of their own. */
      readonly names: readonly { readonly linear: number; readonly name: string }[];
      readonly sources: readonly { readonly linear: number; readonly path: string; readonly line: number }[];
    },
  ];
  'ringside/stopCounting': [Record<string, never>, Record<string, never>];
  /** Where the guest was found at work lately, most first. */
  'ringside/hotCode': [{ readonly most: number }, { readonly looks: number; readonly code: readonly (HotCode & { readonly name?: string })[] }];
  /** The disks that a guest can write to. */
  'ringside/disks': [Record<string, never>, { readonly disks: readonly DiskJson[] }];
  /** Saves a disk as a new image: VDI when the path ends so, else raw. */
  'ringside/saveDisk': [{ readonly drive: WritableDrive; readonly path: string }, Record<string, never>];
  /** Address of a symbol, or the symbol at or before an address. */
  'ringside/symbol': [{ readonly name: string } | { readonly linear: number }, { readonly name?: string; readonly linear?: number; readonly offset?: number }];
}
export type CustomRequestName = keyof CustomRequests;

/** Custom events: name → body. */
export interface CustomEvents {
  'ringside/running': Record<string, never>;
  'ringside/stopped': { readonly reason: StopReason; readonly registers: RegistersJson };
  'ringside/ended': { readonly reason: Exclude<EndReason, { kind: 'tripleFault' }> | { readonly kind: 'tripleFault'; readonly postMortem: PostMortemJson };
    readonly exitStatus: number; readonly registers: RegistersJson; readonly counters: CounterSample };
  /** `data` in base64. */
  'ringside/serial': { readonly port: number; readonly data: string };
  'ringside/counters': CounterSample & { readonly registers: RegistersJson };
  'ringside/screen': ScreenJson;
  /** The assembler's messages for the Problems panel; an empty list after a clean run. Lines and columns from 1. */
  'ringside/diagnostics': { readonly diagnostics: readonly DiagnosticJson[] };
}
export type CustomEventName = keyof CustomEvents;

export interface DiagnosticJson {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn?: number;
  /** A note belongs to the error before it. */
  readonly severity: 'error' | 'warning' | 'note';
  readonly message: string;
}

const wideToJson = (values: readonly bigint[]): string[] => values.map((value) => `0x${value.toString(16)}`);
export function registersToJson({ general, fpu, xmm, ...others }: RegisterSnapshot): RegistersJson {
  return { ...others, general: wideToJson(general), ...(fpu && { fpu: { ...fpu, stack: wideToJson(fpu.stack) } }), ...(xmm && { xmm: wideToJson(xmm) }) };
}
export function registersFromJson({ general, fpu, xmm, ...others }: RegistersJson): RegisterSnapshot {
  return { ...others, general: general.map(BigInt), ...(fpu && { fpu: { ...fpu, stack: fpu.stack.map(BigInt) } }), ...(xmm && { xmm: xmm.map(BigInt) }) };
}
export function screenToJson(screen: Screen): ScreenJson {
  if (screen.kind === 'graphics') return { ...screen, rectangles: screen.rectangles.map((part) => ({ ...part, pixels: toBase64(part.pixels) })) };
  const { font, ...rest } = screen;
  return { ...rest, cells: toBase64(screen.cells), ...(font && { font: toBase64(font) }) };
}
export function screenFromJson(screen: ScreenJson): Screen {
  if (screen.kind === 'graphics') return { ...screen, rectangles: screen.rectangles.map((part) => ({ ...part, pixels: fromBase64(part.pixels) })) };
  const { font, ...rest } = screen;
  return { ...rest, cells: fromBase64(screen.cells), ...(font !== undefined && { font: fromBase64(font) }) };
}
export function postMortemToJson(postMortem: PostMortem): PostMortemJson {
  return { ...postMortem, registers: registersToJson(postMortem.registers) };
}

/** Base64 without Node's Buffer: the session also runs in a browser. */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  // String.fromCharCode takes its bytes as arguments, of which there may only be so many.
  for (let at = 0; at < bytes.length; at += 0x4000) text += String.fromCharCode(...bytes.subarray(at, at + 0x4000));
  return btoa(text);
}
/** @throws DOMException when the text is not base64. */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
