/** What the builders of one region's instructions share: the locals that hold the processor's registers, and what is known at the point being written. */
import type { Width } from '../isa/builder';
import type { FunctionBody } from '../wasm/module';
import type { TranslationContext } from './context';
import { nothing, type Facts } from './region-facts';
import { inMemory, type FlagState } from './region-flags';
import { generalRegisterName } from './state-names';

export const REGISTERS = 16;

/** Locals of a page: its linear address; how far into it accesses may begin, 0 while none is known; its lookup entry. */
export interface PageLocals {
  readonly address: number;
  readonly bound: number;
  readonly entry: number;
}

/** What an instruction has to do with the flags that it finds. */
export interface FlagUse {
  /** It may leave the region, or reads flags. */
  needs: boolean;
  /** It reads flags only to give them on. */
  keeps: boolean;
  /** It defines all of them, whatever happens. */
  defines: boolean;
}

export class RegionState {
  flagUse: FlagUse = { needs: false, keeps: false, defines: false };
  /** Nobody will see the flags that the instruction being written defines. */
  flagsDead = false;
  /** How much the accesses of a name matter, what one at the present point adds to that, and the names whose page is kept. */
  readonly uses = new Map<string, number>();
  weight = 0;
  kept: ReadonlySet<string> = new Set();
  readonly pages = new Map<string, PageLocals>();
  /** Local of each general register, or -1 while nobody has used it. */
  readonly registers = new Int32Array(REGISTERS).fill(-1);
  readonly written = new Set<number>();
  /** Of registers whose low byte was written last, in this block: a local with that byte, so that who reads it need not wait for the whole register. */
  private readonly lowBytes = new Int32Array(REGISTERS).fill(-1);
  knownBytes = 0;
  /** The same for XMM registers. */
  readonly vectors = new Int32Array(REGISTERS).fill(-1);
  readonly writtenVectors = new Set<number>();
  /** Local of MXCSR, or -1 while nobody has used it. */
  mxcsr = -1;
  private doorLocal = -1;
  mxcsrWritten = false;
  private readonly x87Locals = new Map<string, number>();
  /** Local: what the record before has loaded for a vector instruction. */
  private loadedVector = -1;
  flags: FlagState = [inMemory];
  facts: Facts = nothing();
  /** Local: the record to leave to, 0 for the dispatcher. */
  readonly leaveRecord: number;
  /** Local: the kind of the flags where more than one is possible, and where the region is left. */
  readonly flagKind: number;
  readonly readTable: number;
  readonly writeTable: number;
  readonly budget: number;
  readonly limit: number;
  /** 64-bit code: registers are i64. */
  readonly wide: boolean;
  /** Bits 63–32 of RIP. */
  readonly codeHigh: number;
  /** Nesting level of the block behind which the region is left. */
  leaveLevel = 0;
  private readonly operands: Record<'i32' | 'i64', number[]> = { i32: [], i64: [] };

  constructor(
    readonly body: FunctionBody, readonly u8: Uint8Array, readonly u16: Uint16Array, readonly u32: Uint32Array, { codeSize, codeHigh }: TranslationContext,
    /** MXCSR had noted the precision exception when the region was formed. */
    readonly precisionNoted: boolean,
  ) {
    this.wide = codeSize === 64;
    this.codeHigh = codeHigh;
    this.leaveRecord = body.ownLocal('i32');
    this.flagKind = body.ownLocal('i32');
    this.readTable = body.ownLocal('i32');
    this.writeTable = body.ownLocal('i32');
    this.budget = body.ownLocal('i32');
    this.limit = body.ownLocal('i32');
  }

  get registerType(): 'i32' | 'i64' { return this.wide ? 'i64' : 'i32'; }

  /** The local of a register. */
  register(n: number): number {
    if (this.registers[n] < 0) this.registers[n] = this.body.ownLocal(this.registerType);
    return this.registers[n];
  }

  lowByte(n: number): number {
    if (this.lowBytes[n] < 0) this.lowBytes[n] = this.body.ownLocal('i32');
    return this.lowBytes[n];
  }

  /** Of the accesses of a name: the page of the last one, or undefined when each looks its page up. */
  page(name: string, wide: boolean): PageLocals | undefined {
    this.uses.set(name, (this.uses.get(name) ?? 0) + this.weight);
    if (!this.kept.has(name)) return undefined;
    let locals = this.pages.get(name);
    if (!locals) {
      locals = { address: this.body.ownLocal('i64'), bound: wide ? this.body.ownLocal('i64') : -1, entry: this.body.ownLocal('i32') };
      this.pages.set(name, locals);
    }
    return locals;
  }

  /** The local of an XMM register. */
  vector(n: number): number {
    if (this.vectors[n] < 0) this.vectors[n] = this.body.ownLocal('v128');
    return this.vectors[n];
  }

  /** Locals of the x87: its top of stack and marks, the record of its last instruction and of the last with a memory operand, and that one's offset. */
  x87(name: 'top' | 'empty' | 'instruction' | 'access' | 'offset'): number {
    let local = this.x87Locals.get(name);
    if (local === undefined) {
      local = this.body.ownLocal(name === 'offset' ? 'i64' : 'i32');
      this.x87Locals.set(name, local);
    }
    return local;
  }
  get usedX87(): ReadonlySet<string> { return new Set(this.x87Locals.keys()); }

  get loaded(): number {
    if (this.loadedVector < 0) this.loadedVector = this.body.ownLocal('v128');
    return this.loadedVector;
  }

  /** By which door the hall is left (region-shape.ts). */
  door(): number {
    if (this.doorLocal < 0) this.doorLocal = this.body.ownLocal('i32');
    return this.doorLocal;
  }

  controlAndStatus(): number {
    if (this.mxcsr < 0) this.mxcsr = this.body.ownLocal('i32');
    return this.mxcsr;
  }

  /** An XMM register's numbers are these (see Plain). */
  setPlain(n: number, bits: number): void {
    if (this.facts.plain[n] === bits) return;
    const plain = [...this.facts.plain];
    plain[n] = bits;
    this.facts = { ...this.facts, plain };
  }

  /** The n-th operand of the last operation. */
  operand(n: number, width: Width): number {
    const type = width === 64 ? 'i64' : 'i32';
    const known = this.operands[type];
    while (known.length <= n) known.push(this.body.ownLocal(type));
    return known[n];
  }

  /** What the locals hold, by number. */
  nameLocals(names: Map<number, string>): void {
    const { leaveRecord, flagKind, readTable, writeTable, budget, limit, mxcsr, loadedVector, doorLocal: door } = this;
    for (const [name, local] of Object.entries({ leaveRecord, flagKind, readTable, writeTable, budget, limit, mxcsr, loadedVector, door })) if (local >= 0) names.set(local, name);
    this.registers.forEach((local, n) => {
      if (local >= 0) names.set(local, generalRegisterName(n, this.wide ? 64 : 32).toLowerCase());
    });
    for (const [name, local] of this.x87Locals) names.set(local, `x87.${name}`);
    this.vectors.forEach((local, n) => {
      if (local >= 0) names.set(local, `xmm${n}`);
    });
    for (const [type, locals] of Object.entries(this.operands)) locals.forEach((local, n) => names.set(local, `flags.${type}.${'abc'[n]}`));
  }

  /** Goes on in threaded code. The record is constant, or emitted by the caller. */
  leave(record: number | (() => void)): void {
    const { body } = this;
    this.flagUse.needs = true;
    if (typeof record === 'number') body.i32(record);
    else record();
    body.index('local.set', this.leaveRecord);
    this.noteKind();
    body.branch('br', this.leaveLevel);
  }

  /** The kind local says what the flags are. */
  noteKind(): void {
    if (this.flags.length === 1) this.body.i32(this.flags[0].id).index('local.set', this.flagKind);
  }
}

