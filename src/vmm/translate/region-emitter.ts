/**
 * Writes a region's WebAssembly function from its plan: registers in locals, structured control flow (Ramsey, "Beyond Relooper", ICFP 2022), one
 * place where the region is left.
 *
 * The function has a handler's signature and stands in the handlers' table, so that threaded code and other regions enter it through the first
 * record of its root, or of another entry, like any other handler. It leaves by tail-calling a record's handler, or the dispatcher.
 */
import { counterAddress } from '../cpu/counters';
import { BUDGET, EIP, EXIT_REASON, GPR, MXCSR, READ_TABLE, REGION_EXACT, REGION_STOPPED, WRITE_TABLE, XMM } from '../cpu/layout';
import { FunctionBody } from '../wasm/module';
import type { TranslationContext } from './context';
import type { Form } from './forms';
import type { HandlerImports } from './handlers';
import { Exit, RECORD_SIZE, RecordField, SpecialHandler } from './record';
import { RegionBuilder, type BlockEnd } from './region-builder';
import { meetFacts, nothing, type Facts } from './region-facts';
import { inMemory, meet, type FlagKind, type FlagState } from './region-flags';
import { pageOf, type RecordReader, type RegionBlock, type RegionPage, type RegionPlan, type RegionUnit } from './region-former';
import { RegionState, type FlagUse } from './region-state';
import { enterX87, leaveX87 } from './region-x87';
import type { Value } from '../isa/builder';
import { node } from './threaded-values';

/** Function indices in a region's module. */
export interface RegionImports extends HandlerImports {
  /** (record): on with the record's handler. */
  readonly go: number;
  /** (record, handler): on with a handler that is not the record's. */
  readonly goThrough: number;
}

/** With more pages than these most ways through a region need but some of them. */
const CHECKED_AT_ENTRY = 4;

/** For people who want to see which code was written for what. */
export class RegionRecorder {
  /** From each offset on the code belongs to a record's instruction, or (0) to the region's entry and exit. */
  readonly marks: { readonly offset: number; readonly record: number }[] = [];
  /** Records whose instructions threaded code has to do. */
  readonly left = new Set<number>();
  /** What the function's locals hold. */
  readonly locals = new Map<number, string>([[0, 'record']]);
  /** Names of the functions that it calls, by number. */
  readonly functions = new Map<number, string>();
  code: Uint8Array = new Uint8Array();

  mark(offset: number, record: number): void {
    const last = this.marks.at(-1);
    if (last?.record === record) return;
    if (last?.offset === offset) this.marks.pop();
    this.marks.push({ offset, record });
  }
}

/** How many pages are kept in locals; that an access in a loop matters so many times as much as one outside, up to some depth. */
const PAGES_MAX = 12, DEPTH_WEIGHT = 8, DEEPEST = 4;

/** What is known after the dry run. */
interface Knowledge {
  /** Flags at each block's entry. */
  readonly entry: FlagState[];
  readonly facts: readonly (Facts | undefined)[];
  /** General and XMM registers that take part, and whether MXCSR does. */
  readonly registers: readonly number[];
  readonly vectors: readonly number[];
  readonly mxcsr: boolean;
  readonly x87: ReadonlySet<string>;
  /** Of each block: the records whose flags nobody sees. */
  readonly deadFlags: readonly ReadonlySet<number>[];
  /** Accesses whose last page is worth a few locals. */
  readonly pages: ReadonlySet<string>;
  readonly written: ReadonlySet<number>;
  readonly kinds: ReadonlySet<FlagKind>;
}

export class RegionEmitter {
  private readonly context: TranslationContext;
  private readonly state: RegionState;
  private readonly labels = new Map<number, number>();
  private knowledge!: Knowledge;
  private leavesAtOnce = false;
  /** Pages are looked at on the way there. */
  private readonly checksLate: boolean;

  constructor(
    private readonly plan: RegionPlan, private readonly source: RecordReader, private readonly imports: RegionImports, private readonly body: FunctionBody,
    /** Handlers of the entries' first records, where this function stands now. */
    private readonly originals: readonly number[], private readonly recorder?: RegionRecorder,
  ) {
    this.context = plan.blocks[0].unit.context;
    this.state = new RegionState(body, source.u8, source.u16, source.u32, this.context, plan.precisionNoted);
    this.checksLate = plan.pages.size > CHECKED_AT_ENTRY;
  }

  /** False, with nothing written, when the region would leave at its first instruction. */
  write(): boolean {
    const { body, state, plan } = this;
    this.knowledge = this.rehearse();
    if (this.leavesAtOnce) return false;
    state.kept = this.knowledge.pages;
    this.mark(0);
    this.enter();
    body.open('block');
    state.leaveLevel = body.depth;
    this.tree(plan.shape.graph.order[0]);
    this.mark(0);
    body.op('unreachable').op('end');
    this.leave();
    if (this.recorder) state.nameLocals(this.recorder.locals);
    return true;
  }

  private mark(record: number): void {
    this.recorder?.mark(this.body.code.length, record);
  }

  // ---- rehearsal ----

  /** Writes every block for nothing, until it is known which operations may define the flags at each block's entry. */
  private rehearse(): Knowledge {
    const { plan, source } = this;
    const scratch = new RegionState(new FunctionBody(1), source.u8, source.u16, source.u32, this.context, plan.precisionNoted);
    const entry: FlagState[] = plan.blocks.map(() => []);
    const facts: (Facts | undefined)[] = plan.blocks.map(() => undefined);
    const kinds = new Set<FlagKind>();
    for (const block of plan.entries) {
      entry[block] = [inMemory];
      facts[block] = nothing();
    }
    const uses: FlagUse[][] = plan.blocks.map(() => []);
    const ends: (BlockEnd['kind'] | undefined)[] = [];
    const waiting = [...plan.entries];
    for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
      const depth = plan.shape.graph.depth[block];
      scratch.weight = depth > 0 ? DEPTH_WEIGHT ** Math.min(depth, DEEPEST) : 0;
      scratch.flags = entry[block];
      scratch.facts = facts[block]!;
      uses[block] = [];
      const last = this.instructions(plan.blocks[block], scratch, (flags) => { for (const kind of flags) kinds.add(kind); }, uses[block]);
      ends[block] = last?.end?.kind;
      scratch.body.code.reset();
      if (block === 0 && last?.end?.kind === 'left' && last.restart === plan.blocks[0].unit.record) this.leavesAtOnce = true;
      for (const to of this.successors(plan.blocks[block], last)) {
        const flags = meet(entry[to], scratch.flags);
        const known = facts[to];
        const common = known ? meetFacts(known, scratch.facts) : scratch.facts;
        if (flags === entry[to] && common === known) continue;
        entry[to] = flags;
        facts[to] = common;
        waiting.push(to);
      }
    }
    const used = (locals: Int32Array): number[] => [...locals].flatMap((local, n) => (local >= 0 ? [n] : []));
    const pages = new Set([...scratch.uses].filter(([, weight]) => weight > 0).sort(([, a], [, b]) => b - a).slice(0, PAGES_MAX).map(([name]) => name));
    return { deadFlags: this.deadFlags(uses, ends), pages, entry, facts, kinds, written: scratch.written, registers: used(scratch.registers), vectors: used(scratch.vectors), mxcsr: scratch.mxcsr >= 0, x87: scratch.usedX87 };
  }

  /** By the flags that each instruction needs, from the last one to the first, until nothing changes. */
  private deadFlags(uses: readonly (readonly FlagUse[])[], ends: readonly (BlockEnd['kind'] | undefined)[]): Set<number>[] {
    const { blocks, shape } = this.plan;
    const needed = new Array<boolean>(blocks.length).fill(false);
    const neededBehind = (block: number): boolean => {
      const { taken, next } = blocks[block];
      const end = ends[block];
      const exits = end === undefined ? [next] : end === 'jump' ? [taken] : end === 'condition' ? [taken, next] : [-1];
      return exits.some((to) => to < 0 || shape.backward(block, to) || (this.checksLate && !this.samePage(block, to)) || needed[to]);
    };
    const dead = blocks.map(() => new Set<number>());
    for (let changed = true; changed;) {
      changed = false;
      for (const block of [...shape.order].reverse()) {
        let behind = neededBehind(block);
        dead[block].clear();
        for (let n = uses[block].length - 1; n >= 0; n--) {
          const { needs, keeps, defines } = uses[block][n];
          if (!behind) dead[block].add(n);
          behind = needs || (behind && (keeps || !defines));
        }
        if (behind === needed[block]) continue;
        needed[block] = behind;
        changed = true;
      }
    }
    return dead;
  }

  private samePage(a: number, b: number): boolean {
    const { blocks } = this.plan;
    return pageOf(blocks[a].unit.linear) === pageOf(blocks[b].unit.linear);
  }

  private successors(block: RegionBlock, last: RegionBuilder | undefined): number[] {
    const end = last?.end;
    const all = end === undefined ? [block.next] : end.kind === 'jump' ? [block.taken] : end.kind === 'condition' ? [block.taken, block.next] : end.kind === 'indirect' ? block.targets : [];
    return all.filter((to) => to >= 0);
  }

  // ---- blocks ----

  /** Writes a block's instructions; the builder of the one that ended it, or undefined when the next unit follows. */
  private instructions(block: RegionBlock, state: RegionState, seen?: (flags: FlagState) => void, uses?: FlagUse[]): RegionBuilder | undefined {
    const { unit } = block;
    state.knownBytes = 0;
    const dead = uses ? undefined : this.knowledge.deadFlags[this.plan.blocks.indexOf(block)];
    let restart: number | undefined;
    let first = true;
    for (let n = 0; n < unit.records; n++) {
      const record = unit.record + n * RECORD_SIZE;
      const handler = this.source.handler(record);
      if (state === this.state) this.mark(record);
      seen?.(state.flags);
      state.flagsDead = dead?.has(n) ?? false;
      state.flagUse = { needs: false, keeps: false, defines: false };
      if (handler < SpecialHandler.Count) {
        this.recorder?.left.add(record);
        // Threaded code was told to stop here once: it knows how to go on.
        const builder = new RegionBuilder(anyForm(this.source), this.imports, state, record);
        state.leave(record);
        uses?.push(state.flagUse);
        builder.end = { kind: 'left' };
        return builder;
      }
      const { form, load } = this.source.form(handler);
      const builder = new RegionBuilder(form, this.imports, state, record, restart);
      restart = load ? record : undefined;
      if (load) builder.buildLoad(load);
      else builder.build();
      uses?.push(state.flagUse);
      seen?.(state.flags);
      if (builder.end?.kind === 'left') this.recorder?.left.add(record);
      if (builder.end) return builder;
      if (first && !load) {
        first = false;
        if (state === this.state) this.tally(unit);
      }
      state.body.releaseLocals();
    }
    return undefined;
  }

  private tree(block: number): void {
    const { body, plan: { blocks, shape: { graph, hall } } } = this;
    this.mark(block === hall ? 0 : blocks[block].unit.record);
    if (graph.loopHeader[block]) {
      body.open('loop');
      this.labels.set(block, body.depth);
    }
    // What is behind the hall is behind a door, or between several of them.
    const merges = graph.dominated[block].filter((child) => block === hall || graph.merge[child]);
    // The one that comes last in reverse postorder is outermost.
    for (const merge of [...merges].reverse()) {
      body.open('block');
      this.labels.set(merge, body.depth);
    }
    if (block === hall) this.hall();
    else this.block(block);
    for (const merge of merges) {
      body.op('end');
      // Blocks that only a block which leaves early would lead to are never reached.
      if (this.knowledge.entry[merge].length) this.tree(merge);
      else body.op('unreachable');
    }
    if (graph.loopHeader[block]) body.op('end');
  }

  private hall(): void {
    const { body, state, plan: { shape: { doors } } } = this;
    body.index('local.get', state.door()).branchTable(doors.map((block) => this.labels.get(block)!));
  }

  private block(number: number): void {
    const { state, body } = this;
    const block = this.plan.blocks[number];
    state.flags = this.knowledge.entry[number];
    state.facts = this.knowledge.facts[number] ?? nothing();
    const builder = this.instructions(block, state);
    const { unit } = block;
    const last = unit.record + (unit.records - 1) * RECORD_SIZE;
    const end = builder?.end;
    switch (end?.kind) {
      case 'left':
        break;
      case undefined:
        if (block.next < 0) state.leave(last + RECORD_SIZE);
        else {
          this.charge(unit, end);
          this.edge(number, block.next);
        }
        break;
      case 'jump':
        this.charge(unit, end);
        this.taken(number, last);
        break;
      case 'condition': {
        this.charge(unit, end);
        node(end.condition).emit();
        body.open('if');
        const { flags } = state;
        this.taken(number, last);
        this.mark(last);
        body.op('end');
        state.flags = flags;
        if (block.next < 0) state.leave(last + RECORD_SIZE);
        else this.edge(number, block.next);
        break;
      }
      case 'indirect': {
        this.charge(unit, end);
        this.search(number, end.target, [...block.targets].sort((a, b) => this.plan.blocks[a].unit.linear - this.plan.blocks[b].unit.linear));
        body.i32(0);
        node(end.target).emit();
        body.memory(state.wide ? 'i64.store' : 'i32.store', EIP);
        state.leave(0);
        break;
      }
      case 'dispatch':
        this.charge(unit, end);
        state.leave(0);
        break;
    }
  }

  /** A block's address as an instruction pointer. */
  private pushAddress(block: number): void {
    const { linear } = this.plan.blocks[block].unit;
    // Of a canonical address the low 48 bits are known: the others are copies of the highest of them.
    if (this.state.wide) this.body.i64(linear < 2 ** 47 ? linear : linear - 2 ** 48);
    else this.body.i32((linear - this.context.csBase) | 0);
  }

  /** On with the block that has the target's address, if any of them has: by bisection. */
  private search(from: number, target: Value, sorted: readonly number[]): void {
    const { body, state } = this;
    if (!sorted.length) return;
    const { flags } = state;
    const middle = sorted.length >> 1;
    node(target).emit();
    this.pushAddress(sorted[middle]);
    body.op(`${state.wide ? 'i64' : 'i32'}.${sorted.length === 1 ? 'eq' : 'ge_u'}`).open('if');
    const { unit } = this.plan.blocks[from];
    const last = unit.record + (unit.records - 1) * RECORD_SIZE;
    if (sorted.length === 1) {
      this.edge(from, sorted[0]);
      this.mark(last);
    } else {
      this.search(from, target, sorted.slice(middle));
      state.flags = flags;
      body.op('else');
      this.search(from, target, sorted.slice(0, middle));
    }
    body.op('end');
    state.flags = flags;
  }

  private taken(from: number, last: number): void {
    const to = this.plan.blocks[from].taken;
    if (to >= 0) this.edge(from, to);
    else this.state.leave(() => { this.body.i32(0).memory('i32.load', last + RecordField.link); });
  }

  private edge(from: number, to: number): void {
    const { body, state, plan: { blocks, shape } } = this;
    const backward = shape.backward(from, to);
    if (backward) {
      body.index('local.get', state.budget).i32(0).op('i32.lt_s').open('if');
      this.noteStop();
      state.leave(blocks[to].unit.record);
      body.op('end');
    }
    if (this.checksLate && !this.samePage(from, to)) this.checkPage(to);
    if (this.knowledge.entry[to].length > 1) state.noteKind();
    if (!backward && !shape.graph.merge[to]) {
      this.tree(to);
      return;
    }
    const door = shape.door(from, to);
    if (door >= 0) body.i32(door).index('local.set', state.door());
    body.branch('br', this.labels.get(door < 0 ? to : shape.hall)!);
  }

  private noteStop(): void {
    this.body.i32(0).i32(1).memory('i32.store', REGION_STOPPED);
  }

  private charge(unit: RegionUnit, end: BlockEnd | undefined): void {
    const { body, state } = this;
    if (end && unit.instructions === 1) this.tally(unit);
    body.index('local.get', state.budget).i32(unit.instructions).op('i32.sub').index('local.set', state.budget);
  }

  /** A unit's first instruction is done: see tallies.ts. */
  private tally({ tally }: RegionUnit): void {
    if (tally) this.body.i32(0).i32(0).memory('i64.load', tally.counter).i64(1).op('i64.add').memory('i64.store', tally.counter);
  }

  // ---- the region's two ends ----

  private enter(): void {
    const { body, state, plan } = this;
    const original = () => {
      body.index('local.get', 0);
      this.byEntry(0, (entry) => body.i32(this.originals[entry]));
      body.index('return_call', this.imports.goThrough);
    };
    const load = (local: number, address: number) => body.i32(0).memory('i32.load', address).index('local.set', local);
    load(state.budget, BUDGET);
    const longest = longestPath(plan);
    body.i32(longest).i32(0).i32(0).memory('i32.load', REGION_EXACT).op('select').index('local.set', state.limit);
    load(state.readTable, READ_TABLE);
    load(state.writeTable, WRITE_TABLE);
    // What has to be left counts as spent: going backward then asks for the sign alone.
    body.index('local.get', state.budget).index('local.get', state.limit).op('i32.sub').index('local.tee', state.budget).i32(0).op('i32.lt_s').open('if');
    this.noteStop();
    original();
    body.op('end');
    if (!this.checksLate) {
      for (const page of plan.pages.values()) {
        this.pageMoved(page);
        body.open('if');
        original();
        body.op('end');
      }
    }
    const entries = counterAddress('regionEntries');
    body.i32(0).i32(0).memory('i64.load', entries).i64(1).op('i64.add').memory('i64.store', entries);
    for (const n of this.knowledge.registers) {
      body.i32(0).memory(state.wide ? 'i64.load' : 'i32.load', GPR + 8 * n).index('local.set', state.register(n));
    }
    for (const n of this.knowledge.vectors) body.i32(0).memory('v128.load', XMM + 16 * n).index('local.set', state.vector(n));
    enterX87(body, state, this.knowledge.x87);
    if (!state.wide) for (const name of this.knowledge.pages) body.i64(2 ** 40).index('local.set', state.page(name, false)!.address);
    if (this.knowledge.mxcsr) load(state.controlAndStatus(), MXCSR);
    if (plan.shape.hall >= 0) {
      this.byEntry(0, (entry) => body.i32(entry));
      body.index('local.set', state.door());
    }
  }

  /** What belongs to the entry whose record is in a local, as `push` puts it on the stack; the root's if it is none of the others'. */
  private byEntry(record: number, push: (entry: number) => void): void {
    const { body, plan: { blocks, entries } } = this;
    push(0);
    for (let entry = 1; entry < entries.length; entry++) {
      push(entry);
      body.index('local.get', record).i32(blocks[entries[entry]].unit.record).op('i32.ne').op('select');
    }
  }

  /** Whether a page is not mapped as it was when the region was formed. */
  private pageMoved({ offset, expected, tag }: RegionPage): void {
    const { body, state } = this;
    const value = state.wide ? 8 : 0;
    body.index('local.get', state.readTable).memory('i32.load', offset + value).i32(expected).op('i32.ne');
    // A hashed table: the entry has to be this page's at all.
    if (state.wide) body.index('local.get', state.readTable).memory('i64.load', offset).i64(tag).op('i64.ne').op('i32.or');
  }

  /** On the way to another page, unless every way there leads over it: nothing is mapped anew while the region is at work. */
  private checkPage(to: number): void {
    const { body, state, plan: { blocks, pages, shape: { graph, hall } } } = this;
    const number = pageOf(blocks[to].unit.linear);
    const page = pages.get(number);
    if (!page) return;
    for (let block = to, above = graph.dominator[to]; above !== block && above !== hall; block = above, above = graph.dominator[above]) {
      if (pageOf(blocks[above].unit.linear) === number) return;
    }
    this.pageMoved(page);
    body.open('if');
    body.i32(0);
    this.pushAddress(to);
    body.memory(state.wide ? 'i64.store' : 'i32.store', EIP);
    state.leave(0);
    body.op('end');
  }

  private leave(): void {
    const { body, state } = this;
    const { kinds, written } = this.knowledge;
    const builder = new RegionBuilder(anyForm(this.source), this.imports, state, 0);
    for (const kind of kinds) {
      if (kind === inMemory) continue;
      body.index('local.get', state.flagKind).i32(kind.id).op('i32.eq').open('if');
      builder.spillFlags(kind);
      body.op('end');
    }
    for (const n of written) body.i32(0).index('local.get', state.register(n)).memory(state.wide ? 'i64.store' : 'i32.store', GPR + 8 * n);
    for (const n of state.writtenVectors) body.i32(0).index('local.get', state.vector(n)).memory('v128.store', XMM + 16 * n);
    leaveX87(body, state, this.knowledge.x87);
    if (state.mxcsrWritten) body.i32(0).index('local.get', state.controlAndStatus()).memory('i32.store', MXCSR);
    body.index('local.get', state.budget).index('local.get', state.limit).op('i32.add').index('local.set', state.budget);
    body.i32(0).index('local.get', state.budget).memory('i32.store', BUDGET);
    body.index('local.get', state.leaveRecord).op('i32.eqz').open('if');
    body.index('local.get', state.budget).i32(0).op('i32.lt_s').open('if');
    body.i32(0).i32(Exit.Budget).memory('i32.store', EXIT_REASON).op('return').op('end');
    body.index('return_call', this.imports.dispatch).op('end');
    // At the entries' first records stands this very region.
    const { blocks, entries } = this.plan;
    entries.forEach((block, entry) => {
      body.index('local.get', state.leaveRecord).i32(blocks[block].unit.record).op('i32.eq').open('if');
      body.index('local.get', state.leaveRecord).i32(this.originals[entry]).index('return_call', this.imports.goThrough).op('end');
    });
    body.index('local.get', state.leaveRecord).index('return_call', this.imports.go);
  }
}

/** Instructions on the longest way between two looks at the budget. */
function longestPath({ blocks, shape }: RegionPlan): number {
  const ahead = blocks.map(() => 0);
  for (const block of [...shape.order].reverse()) {
    const { unit, taken, next, targets } = blocks[block];
    ahead[block] = unit.instructions + Math.max(0, ...[taken, next, ...targets].map((to) => (to < 0 || shape.backward(block, to) ? 0 : ahead[to])));
  }
  return Math.max(...ahead);
}

/** Spilling and leaving need no operands: any form will do. */
function anyForm(source: RecordReader): Form {
  return source.form(SpecialHandler.Count).form;
}
