/** What the translator has made of the guest's code at an address: what the Translation view shows. Plain data, the same in messages and in JSON. */

/**
 * How translated code does an instruction, in the terms of Adams & Agesen, section 3.2. 'ident': with the same effect, in line. 'simulated': not as it
 * stands, but in line (control transfers through links and continuations, privileged instructions on virtual state). 'callout': by a call of the
 * monitor's runtime.
 */
export type InstructionTreatment = 'ident' | 'simulated' | 'callout';

export interface TranslatedRecord {
  readonly address: number;
  readonly handler: string;
  /** The words between handler and EIP. */
  readonly fields: string;
  /** Where the handler's code is in {@link TranslatedCode.handlers}; absent for links and other records without an instruction. */
  readonly code?: number;
}

export interface TranslatedInstruction {
  readonly linear: number;
  /** Two hexadecimal digits a byte, separated by spaces. */
  readonly bytes: string;
  readonly text: string;
  readonly treatment: InstructionTreatment;
  /** The treatment in words. */
  readonly reason: string;
  readonly records: readonly TranslatedRecord[];
  /** What the region's function does for it, a line for each instruction of WebAssembly; absent in threaded code. */
  readonly region?: readonly string[];
  /** The region cannot do it: threaded code goes on here. */
  readonly leaves?: true;
  /** How often it was begun since counting began; absent while nobody counts. */
  readonly executions?: number;
}

/**
 * How a unit goes on. 'taken' and 'next': where its last instruction jumps, and what comes behind. 'indirect': to an address that is known only
 * then, through the dispatcher. 'return': what comes behind the call, once the callee has returned.
 */
export interface TranslatedExit {
  readonly kind: 'taken' | 'next' | 'indirect' | 'return';
  /** Of continuations: still there, patched to a link, or omitted because the target stands right behind. */
  readonly state: 'open' | 'chained' | 'elided' | 'dispatched';
  /** Linear; absent when nobody knows. */
  readonly target?: number;
  /** The unit there, when it is shown too. */
  readonly unit?: number;
  /** Inside the region: no record is involved. */
  readonly inside?: true;
}

export interface TranslatedUnit {
  readonly linear: number;
  /** How often it was found at work in the last looks (see {@link HotCode}). */
  readonly samples: number;
  /** Translated for steps and exact stops: one instruction, followed by a look at the budget. */
  readonly single?: true;
  /** A loop of the region, or of the units shown, begins here. */
  readonly loop?: true;
  readonly instructions: readonly TranslatedInstruction[];
  /** When it came to be counted, if later than the others. */
  readonly countingSince?: number;
  readonly exits: readonly TranslatedExit[];
}

export interface TranslatedCode {
  /** What was asked for. */
  readonly linear: number;
  readonly codeSize: 16 | 32 | 64;
  /** 'untranslated': nothing was executed there, or what was is discarded; the instructions are those that stand in memory. */
  readonly state: 'region' | 'threaded' | 'untranslated' | 'unmapped';
  /** Of a region in the order of its code, else by address. Those that the one asked for leads to are among them. */
  readonly units: readonly TranslatedUnit[];
  /** The one that contains the address asked for; -1 when there is none. */
  readonly unit: number;
  /** There are more units than are shown. */
  readonly more?: true;
  readonly handlers: readonly { readonly name: string; readonly lines: readonly string[] }[];
  readonly region?: {
    readonly slot: number;
    readonly root: number;
    readonly wasmBytes: number;
    /** The beginning and the end of the function. */
    readonly frame: readonly string[];
  };
  /** What stands in memory when nothing was translated. */
  readonly memory?: readonly { readonly linear: number; readonly bytes: string; readonly text: string }[];
  /** The machine's count of instructions when counting began here. */
  readonly countingSince?: number;
  /** The machine's count now. */
  readonly instructions: number;
}

/**
 * Code in which the engine has found the guest at work. It looks every few thousand instructions to find out what is hot; nothing is added to
 * the code for that. Code of 16 bits is looked at, too, though it makes no regions.
 */
export interface HotCode {
  /** The unit that was found most often. */
  readonly linear: number;
  readonly samples: number;
  readonly units: number;
  readonly region: boolean;
}
export interface HotCodeSample {
  /** Most first. */
  readonly code: readonly HotCode[];
  /** How many looks these are. */
  readonly looks: number;
}
