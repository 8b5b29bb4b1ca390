/**
 * The common misses of 32-bit paging in WebAssembly: what handlers call when the inlined lookup fails, and the dispatcher. A hidden page fault fills the lookup entry when the
 * guest's tables are known as tables already (mmu/table-uses.ts), a true one is delivered, and a write to a page table drops what was derived from
 * the entry. Everything comes out as the room mmu would do it, whose arrays these functions use; what they refuse, with nothing changed, the monitor does.
 */
import { Flag } from '../cpu/bits';
import {
  ACTIVE_SPACE, BUDGET, BUS_PAGE_MASK, CR2, CR3, DR, EIP, EXIT_REASON, FAULTS_DELIVERED, FRAME_DERIVED, FRAME_INTERCEPTS, FRAME_NODE_COUNT, FRAME_NODES, FRAME_USES, HIDDEN_FAULTS, HIDDEN_FAULTS_MOST,
  HIDDEN_FAULTS_NOTED, KIN_SPACES, LINEAR_WATCHES, LOOKUP, LOOKUP_FILLED, LOOKUP_SPACES, LOOKUP_TABLE_SIZE, NODE_MARKS, NODE_NEXT, NODE_PREVIOUS, PAGE_FRAMES, PAGE_KINDS, PAGING_MODE, RAM, READ_TABLE, SCRATCH,
  SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, USE_FIRST_PAGE, USE_LARGE, USE_LEVEL, USE_NEXT, USE_SPACE, WRITE_TABLE,
} from '../cpu/layout';
import { Vector } from '../cpu/exceptions';
import { GUARD, INVALID, MAY_WRITE, MOST_ENTRIES_PER_FRAME, NO_EXECUTE } from '../mmu/lookup';
import {
  ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE, ENTRY_ACCESSED, ENTRY_DIRTY, ENTRY_PAGE_SIZE, ENTRY_PRESENT, ENTRY_USER, ENTRY_WRITABLE, FAULT_PROTECTION, MODE_ALIGNED, MODE_PAE, MODE_PAGE_SIZE_EXTENSIONS, MODE_PAGING, MODE_SMAP, MODE_SMEP,
  MODE_USER, MODE_WRITE_PROTECT,
} from '../mmu/page-walk';
import { INTERCEPT_CODE, INTERCEPT_PAGE_TABLE, KIND_RAM } from '../mmu/physical-memory';
import type { Expression } from '../wasm/expression';
import type { FunctionBody, ModuleWriter } from '../wasm/module';
import { Exit, RecordField } from './record';
import { StateCode, type Variable } from './state-code';

/** Modes that these functions know: 32-bit paging, at any level and with any protection of the supervisor. */
const MODE_MASK = MODE_PAGING | MODE_PAE | MODE_ALIGNED;
const CS_BASE = SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.base;
const PAGE = 4096;
/** Bits of a page number that the range of a page table, or of a directory, has in common. */
const TABLE_RANGE = ~0x3ff, LARGE_RANGE = ~0xfffff;
/** Bits of a 4 MiB PDE that name memory above 4 GiB, or are reserved. */
const HIGH_LARGE = 0x3fe000;
/** What `reach` returns besides host addresses: refused; the access has faulted, and its handler is next. */
const REFUSED = 0, FAULTED = 1;

/** Function indices. */
export interface PageImports {
  /** As in the module of threaded code: (record, linear, bytes) and (record, linear, bytes, value). */
  readonly read: number;
  readonly readForWrite: number;
  readonly write: number;
  /** transitions.ts. */
  readonly enter: number;
}
interface Indices extends PageImports {
  readonly drop: number;
  readonly fault: number;
  readonly reach: number;
  readonly tableWrite: number;
}

class PageFunctions extends StateCode {
  constructor(body: FunctionBody, private readonly indices: Indices) { super(body, false); }

  private frameOf(page: Expression): Variable {
    return this.variable(this.xor(this.load('i32.load', PAGE_FRAMES, this.shl(this.and(page, this.word(BUS_PAGE_MASK)), 2)), -1));
  }
  /** Offset of a node's entries from LOOKUP: each space has a read and a write table. */
  private entryOffset(node: Expression): Expression {
    return this.add(this.mul(this.shr(node, 20), 2 * LOOKUP_TABLE_SIZE), this.shl(this.and(node, 0xfffff), 2));
  }
  private hostOfFrame(frame: Expression): Expression { return this.add(this.shl(frame, 12), RAM); }
  private increment(opcode: 'i32.load16_u', store: 'i32.store16', address: number, at: Expression, by: number): void {
    this.store(store, address, this.add(this.load(opcode, address, at), by), at);
  }

  private loop(body: (level: number) => void): void {
    this.body.open('block').open('loop');
    body(this.body.depth);
    this.body.op('end').op('end');
  }
  /** The uses of a frame; `done` level: to leave early with `br`. */
  private eachUse(frame: Expression, visit: (use: Expression) => void): void {
    const use = this.variable(this.load('i32.load', FRAME_USES, this.shl(frame, 2)));
    this.loop((level) => {
      this.isZero(use).emit();
      this.body.branch('br_if', level - 1);
      visit(use);
      use.set(this.load('i32.load', USE_NEXT, this.shl(use, 2)));
      this.body.branch('br', level);
    });
  }
  private isUseOf(use: Expression, space: Expression): Expression {
    return this.eq(this.load('i32.load8_u', USE_SPACE, use), space);
  }
  private firstPage(use: Expression): Expression {
    return this.op('i32.trunc_sat_f64_s', this.load('f64.load', USE_FIRST_PAGE, this.shl(use, 3)));
  }

  private unknownMode(): Expression {
    return this.or(this.ne(this.and(this.word(PAGING_MODE), MODE_MASK), MODE_PAGING), this.word(LINEAR_WATCHES));
  }

  /** (node): its entries become invalid; LookupTables.drop. */
  drop(): void {
    const node = this.i32(0);
    const at = this.variable(this.entryOffset(node));
    const entry = this.variable(this.load('i32.load', LOOKUP, at));
    this.refuseIf(this.eq(entry, INVALID));
    const frame = this.variable(this.shr(this.sub(this.xor(entry, this.shl(node, 12)), RAM), 12));
    const next = this.variable(this.load('i32.load', NODE_NEXT, this.shl(node, 2))), previous = this.variable(this.load('i32.load', NODE_PREVIOUS, this.shl(node, 2)));
    // Neighbours are numbers + 1.
    this.if(previous, () => this.store('i32.store', NODE_NEXT - 4, next, this.shl(previous, 2)), () => this.store('i32.store', FRAME_NODES, next, this.shl(frame, 2)));
    this.if(next, () => this.store('i32.store', NODE_PREVIOUS - 4, previous, this.shl(next, 2)));
    this.increment('i32.load16_u', 'i32.store16', LOOKUP_FILLED, this.shl(this.shr(node, 9), 1), -1);
    this.increment('i32.load16_u', 'i32.store16', FRAME_NODE_COUNT, this.shl(frame, 1), -1);
    this.store('i32.store', LOOKUP, INVALID, at);
    this.store('i32.store', LOOKUP + LOOKUP_TABLE_SIZE, INVALID, at);
    this.return(1);
    this.body.op('unreachable');
  }

  /** (record, linear, error code): a page fault of the record's instruction, in flat code; one without a record is the monitor's. */
  fault(): void {
    const record = this.i32(0), linear = this.i32(1), errorCode = this.i32(2);
    this.refuseIf(this.isZero(record));
    this.refuseIf(this.or(this.isZero(this.word(FAULTS_DELIVERED)), this.and(this.word(DR + 8 * 7), 0xff)));
    // The delivery takes a tick.
    const left = this.variable(this.sub(this.sub(this.word(BUDGET), this.load('i32.load8_u', RecordField.position, record)), 1));
    this.refuseIf(this.lessSigned(left, 0));
    this.setSlot(EIP, this.recordEip(false));
    this.setSlot(CR2, linear);
    const image = this.or(this.eflags(), Flag.RF);
    this.refuseIf(this.isZero(this.call(this.indices.enter, 'i32', this.constant(Vector.PF, 'i32'), this.constant(0, 'i32'), image, errorCode)));
    this.count('truePageFaults');
    this.count('exceptions');
    this.count('skippedTicks');
    this.noteTransfer();
    this.setWord(BUDGET, left);
    this.setWord(EXIT_REASON, Exit.Delivered);
    this.return(FAULTED);
    this.body.op('unreachable');
  }

  /**
   * (record, linear, bytes, access bits but ACCESS_USER): host address, REFUSED or FAULTED. The page then has its read entry, and the write entry that it may
   * have. A fetch has no record.
   */
  reach(): void {
    const record = this.i32(0), linear = this.i32(1), bytes = this.i32(2);
    this.refuseIf(this.or(this.unknownMode(), this.greater(this.and(linear, PAGE - 1), this.sub(PAGE, bytes))));
    const mode = this.variable(this.word(PAGING_MODE));
    const user = this.variable(this.and(mode, MODE_USER));
    const write = this.variable(this.and(this.i32(3), ACCESS_WRITE)), fetch = this.variable(this.and(this.i32(3), ACCESS_FETCH));
    const access = this.variable(this.or(write, this.select(user, ACCESS_USER, 0)));
    const page = this.variable(this.shr(linear, 12));
    const fault = (errorCode: Expression): void => this.return(this.call(this.indices.fault, 'i32', record, linear, errorCode));

    // The walk (page-walk.ts).
    // The table with the entry that maps the page: the directory, for a page of 4 MiB.
    const tablePage = this.variable(this.and(this.shr(this.word(CR3), 12), this.word(BUS_PAGE_MASK)));
    const table = this.frameOf(tablePage);
    this.refuseIf(this.lessSigned(table, 0));
    const index = this.variable(this.shr(linear, 22));
    const entryAt = this.variable(this.add(this.hostOfFrame(table), this.shl(index, 2)));
    const pde = this.variable(this.load('i32.load', 0, entryAt));
    this.if(this.isZero(this.and(pde, ENTRY_PRESENT)), () => fault(access));
    const large = this.variable(this.and(pde, ENTRY_PAGE_SIZE));
    const pte = this.variable(pde);
    const mapped = this.variable(this.or(this.shl(this.shr(pde, 22), 10), this.and(page, 0x3ff)));
    const range = this.variable(LARGE_RANGE);
    this.if(large, () => this.refuseIf(this.or(this.and(pde, HIGH_LARGE), this.isZero(this.and(mode, MODE_PAGE_SIZE_EXTENSIONS)))), () => {
      this.refuseIf(this.isZero(this.and(pde, ENTRY_ACCESSED)));
      tablePage.set(this.and(this.shr(pde, 12), this.word(BUS_PAGE_MASK)));
      table.set(this.frameOf(tablePage));
      this.refuseIf(this.lessSigned(table, 0));
      index.set(this.and(page, 0x3ff));
      entryAt.set(this.add(this.hostOfFrame(table), this.shl(index, 2)));
      pte.set(this.load('i32.load', 0, entryAt));
      this.if(this.isZero(this.and(pte, ENTRY_PRESENT)), () => fault(access));
      mapped.set(this.shr(pte, 12));
      range.set(TABLE_RANGE);
    });
    const rights = this.variable(this.and(pde, pte));
    const writable = this.variable(this.or(this.ne(this.and(rights, ENTRY_WRITABLE), 0), this.isZero(this.or(user, this.and(mode, MODE_WRITE_PROTECT)))));
    // The supervisor's pages are kept from the user; SMAP keeps the user's from the supervisor, SMEP from being executed by it.
    const strange = this.variable(this.and(this.isZero(user), this.ne(this.and(rights, ENTRY_USER), 0)));
    const kept = this.variable(this.select(user, this.isZero(this.and(rights, ENTRY_USER)), this.and(strange, this.ne(this.and(mode, MODE_SMAP), 0))));
    const notExecutable = this.variable(this.and(strange, this.ne(this.and(mode, MODE_SMEP), 0)));
    this.refuseIf(this.and(this.ne(fetch, 0), this.or(kept, notExecutable)));
    this.if(this.or(kept, this.and(this.ne(write, 0), this.isZero(writable))), () => fault(this.or(access, FAULT_PROTECTION)));
    const wanted = this.variable(this.select(write, ENTRY_ACCESSED | ENTRY_DIRTY, ENTRY_ACCESSED));
    const target = this.variable(this.and(mapped, this.word(BUS_PAGE_MASK)));
    const frame = this.frameOf(target);
    this.refuseIf(this.lessSigned(frame, 0));
    const intercepts = this.variable(this.load('i32.load8_u', FRAME_INTERCEPTS, frame));
    this.refuseIf(this.or(this.and(intercepts, ~(INTERCEPT_CODE | INTERCEPT_PAGE_TABLE)), this.and(notExecutable, this.ne(this.and(intercepts, INTERCEPT_CODE), 0))));

    // The table is in use for this range already (table-uses.ts).
    const space = this.variable(this.word(ACTIVE_SPACE));
    const known = this.variable(0);
    this.eachUse(table, (use) => {
      const same = this.eq(this.firstPage(use), this.and(page, range));
      const level = this.eq(this.load('i32.load8_u', USE_LEVEL, use), this.select(large, 2, 1));
      this.if(this.and(this.and(this.isUseOf(use, space), level), same), () => known.set(use));
    });
    this.refuseIf(this.isZero(known));

    // The entries (lookup.ts).
    const node = this.variable(this.or(this.shl(space, 20), page));
    const at = this.variable(this.entryOffset(node));
    const host = this.variable(this.hostOfFrame(frame));
    const entry = this.variable(this.xor(host, this.shl(page, 12)));
    const old = this.variable(this.load('i32.load', LOOKUP, at));
    this.refuseIf(this.and(this.ne(old, entry), this.ne(old, INVALID)));
    this.refuseIf(this.or(this.eq(this.load('i32.load16_u', FRAME_NODE_COUNT, this.shl(frame, 1)), MOST_ENTRIES_PER_FRAME), this.eq(this.word(HIDDEN_FAULTS_NOTED), HIDDEN_FAULTS_MOST)));
    this.if(this.ne(this.and(pte, wanted), wanted), () => {
      this.refuseIf(this.or(
        this.ne(this.load('i32.load8_u', PAGE_KINDS, tablePage), KIND_RAM), this.and(this.load('i32.load8_u', FRAME_INTERCEPTS, table), ~INTERCEPT_PAGE_TABLE),
      ));
      pte.set(this.or(pte, wanted));
      this.store('i32.store', 0, pte, entryAt);
    });

    // Nothing is refused from here on.
    this.if(large, () => this.store('i32.store8', USE_LARGE, 1, known));
    const derivedAt = this.variable(this.add(this.shl(table, 7), this.shl(this.shr(index, 5), 2)));
    this.store('i32.store', FRAME_DERIVED, this.or(this.load('i32.load', FRAME_DERIVED, derivedAt), this.shl(1, this.and(index, 31))), derivedAt);
    const changed = this.variable(this.eq(old, INVALID));
    this.if(changed, () => {
      this.increment('i32.load16_u', 'i32.store16', FRAME_NODE_COUNT, this.shl(frame, 1), 1);
      this.increment('i32.load16_u', 'i32.store16', LOOKUP_FILLED, this.shl(this.shr(node, 9), 1), 1);
      this.store('i32.store', LOOKUP, entry, at);
      const head = this.variable(this.load('i32.load', FRAME_NODES, this.shl(frame, 2)));
      this.store('i32.store', NODE_NEXT, head, this.shl(node, 2));
      this.store('i32.store', NODE_PREVIOUS, 0, this.shl(node, 2));
      this.if(head, () => this.store('i32.store', NODE_PREVIOUS - 4, this.add(node, 1), this.shl(head, 2)));
      this.store('i32.store', FRAME_NODES, this.add(node, 1), this.shl(frame, 2));
    });
    const mayWrite = this.variable(this.and(this.and(writable, this.ne(this.and(pte, ENTRY_DIRTY), 0)), this.eq(this.load('i32.load8_u', PAGE_KINDS, target), KIND_RAM)));
    this.store('i32.store8', NODE_MARKS, this.or(this.select(mayWrite, MAY_WRITE, 0), this.select(notExecutable, NO_EXECUTE, 0)), node);
    this.if(this.and(mayWrite, this.isZero(this.and(intercepts, ~INTERCEPT_CODE))), () => {
      const writeEntry = this.variable(this.select(intercepts, this.or(entry, GUARD), entry));
      this.if(this.ne(this.load('i32.load', LOOKUP + LOOKUP_TABLE_SIZE, at), writeEntry), () => {
        this.store('i32.store', LOOKUP + LOOKUP_TABLE_SIZE, writeEntry, at);
        changed.set(1);
      });
    });
    this.if(changed, () => {
      this.count('hiddenPageFaults');
      const noted = this.variable(this.word(HIDDEN_FAULTS_NOTED));
      const at = this.variable(linear);
      this.if(record, () => at.set(this.add(this.word(CS_BASE), this.recordEip(false))));
      this.store('i32.store', HIDDEN_FAULTS, at, this.shl(noted, 2));
      this.setWord(HIDDEN_FAULTS_NOTED, this.add(noted, 1));
    });
    this.return(this.or(host, this.and(linear, PAGE - 1)));
    this.body.op('unreachable');
  }

  /** (record, linear, bytes, value): a write to an entry of a page table that the guest's tables let be written. 1 when it is done. */
  tableWrite(): void {
    const record = this.i32(0), linear = this.i32(1), bytes = this.i32(2), value = this.i32(3);
    this.refuseIf(this.or(this.unknownMode(), this.or(this.ne(bytes, 4), this.and(linear, 3))));
    const active = this.variable(this.word(ACTIVE_SPACE)), kin = this.variable(this.word(KIN_SPACES));
    const node = this.variable(this.or(this.shl(active, 20), this.shr(linear, 12)));
    const entry = this.variable(this.load('i32.load', LOOKUP, this.entryOffset(node)));
    this.refuseIf(this.or(this.eq(entry, INVALID), this.isZero(this.and(this.load('i32.load8_u', NODE_MARKS, node), MAY_WRITE))));
    const host = this.variable(this.xor(entry, linear));
    const frame = this.variable(this.shr(this.sub(host, RAM), 12));
    this.refuseIf(this.ne(this.load('i32.load8_u', FRAME_INTERCEPTS, frame), INTERCEPT_PAGE_TABLE));
    // An entry rewritten with its own value changes no translation.
    this.if(this.ne(this.load('i32.load', 0, host), value), () => {
      const index = this.variable(this.shr(this.and(linear, PAGE - 1), 2));
      const derivedAt = this.variable(this.add(this.shl(frame, 7), this.shl(this.shr(index, 5), 2)));
      const derived = this.variable(this.load('i32.load', FRAME_DERIVED, derivedAt)), bit = this.variable(this.shl(1, this.and(index, 31)));
      const isOther = (use: Expression): Expression => {
        const space = this.variable(this.load('i32.load8_u', USE_SPACE, use));
        return this.or(this.greater(space, LOOKUP_SPACES - 1), this.isZero(this.and(this.shr(kin, space), 1)));
      };
      this.if(this.and(derived, bit), () => {
        // The page of this very code is the monitor's business.
        const codePage = this.variable(this.shr(this.add(this.word(CS_BASE), this.load('i32.load', RecordField.eip, record)), 12));
        this.eachUse(frame, (use) => {
          this.refuseIf(this.or(isOther(use), this.or(this.ne(this.load('i32.load8_u', USE_LEVEL, use), 1), this.eq(this.add(this.firstPage(use), index), codePage))));
        });
        this.store('i32.store', FRAME_DERIVED, this.and(derived, this.xor(bit, -1)), derivedAt);
        this.eachUse(frame, (use) => {
          this.call(this.indices.drop, 'i32', this.or(this.shl(this.load('i32.load8_u', USE_SPACE, use), 20), this.add(this.firstPage(use), index))).emit();
          this.body.op('drop');
        });
      }, () => this.refuseIf(isOther(this.load('i32.load', FRAME_USES, this.shl(frame, 2)))));
    });
    this.store('i32.store', 0, value, host);
    this.count('traceFaults');
    this.return(1);
    this.body.op('unreachable');
  }

  /** (linear): 1 when the page that instructions are fetched from has an entry now, which it had not. */
  fetch(): void {
    const linear = this.i32(0);
    const entry = this.load('i32.load', 0, this.add(this.word(READ_TABLE), this.shl(this.shr(linear, 12), 2)));
    this.refuseIf(this.or(this.unknownMode(), this.ne(entry, INVALID)));
    this.return(this.greater(this.call(this.indices.reach, 'i32', this.constant(0, 'i32'), linear, this.constant(1, 'i32'), this.constant(ACCESS_FETCH, 'i32')), FAULTED));
    this.body.op('unreachable');
  }

  private reachFor(access: number): Variable {
    return this.variable(this.call(this.indices.reach, 'i32', this.i32(0), this.i32(1), this.i32(2), this.constant(access, 'i32')));
  }

  /** Loads in place of the monitor: (record, linear, bytes) → value; 8 and 16 bytes at SCRATCH. */
  private loadFrom(host: Expression): void {
    const bytes = this.i32(2);
    for (const [size, load] of [[1, 'i32.load8_u'], [2, 'i32.load16_u'], [4, 'i32.load']] as const) this.if(this.eq(bytes, size), () => this.return(this.load(load, 0, host)));
    this.if(this.eq(bytes, 8), () => this.store('i64.store', SCRATCH, this.load('i64.load', 0, host)), () => this.store('v128.store', SCRATCH, this.load('v128.load', 0, host)));
    this.return(this.word(SCRATCH));
  }

  read(): void {
    const host = this.reachFor(0);
    this.if(this.greater(host, FAULTED), () => this.loadFrom(host));
    this.if(this.eq(host, FAULTED), () => this.return(0));
    this.call(this.indices.read, 'i32', this.i32(0), this.i32(1), this.i32(2)).emit();
  }

  readForWrite(): void {
    const linear = this.i32(1);
    // A page whose frame is intercepted has no write entry, though the guest's tables let it be written.
    const node = this.variable(this.or(this.shl(this.word(ACTIVE_SPACE), 20), this.shr(linear, 12)));
    this.if(this.isZero(this.or(this.unknownMode(), this.greater(this.and(linear, PAGE - 1), this.sub(PAGE, this.i32(2))))), () => {
      const entry = this.variable(this.load('i32.load', LOOKUP, this.entryOffset(node)));
      this.if(this.and(this.ne(entry, INVALID), this.ne(this.and(this.load('i32.load8_u', NODE_MARKS, node), MAY_WRITE), 0)), () => this.loadFrom(this.xor(entry, linear)));
    });
    const host = this.reachFor(ACCESS_WRITE);
    this.if(this.greater(host, FAULTED), () => this.loadFrom(host));
    this.if(this.eq(host, FAULTED), () => this.return(0));
    this.call(this.indices.readForWrite, 'i32', this.i32(0), linear, this.i32(2)).emit();
  }

  /** (record, linear, bytes, value); 8 and 16 bytes are at SCRATCH. */
  write(): void {
    const linear = this.i32(1), bytes = this.i32(2), value = this.i32(3);
    const leave = (): void => { this.body.op('return'); };
    const entry = this.load('i32.load', 0, this.add(this.word(WRITE_TABLE), this.shl(this.shr(linear, 12), 2)));
    const host = this.variable(REFUSED);
    // Who comes here with an entry writes over code, crosses a page, or has read the place before, which is what filled the entry.
    this.if(this.eq(entry, INVALID), () => {
      this.if(this.call(this.indices.tableWrite, 'i32', this.i32(0), linear, bytes, value), leave);
      host.set(this.reachFor(ACCESS_WRITE));
      this.if(this.eq(host, FAULTED), leave);
    }, () => this.if(this.isZero(this.greater(this.and(linear, PAGE - 1), this.sub(PAGE, bytes))), () => host.set(this.xor(entry, linear))));
    this.if(this.and(this.ne(host, REFUSED), this.isZero(this.and(entry, PAGE - 1))), () => {
      for (const [size, store] of [[1, 'i32.store8'], [2, 'i32.store16'], [4, 'i32.store']] as const) {
        this.if(this.eq(bytes, size), () => {
          this.store(store, 0, value, host);
          leave();
        });
      }
      this.if(this.eq(bytes, 8), () => this.store('i64.store', 0, this.load('i64.load', SCRATCH), host), () => this.store('v128.store', 0, this.load('v128.load', SCRATCH), host));
      leave();
    });
    this.i32(0).emit();
    linear.emit();
    bytes.emit();
    value.emit();
    this.body.index('call', this.indices.write);
  }
}

/** Writes the functions into a module; `read`, `readForWrite` and `write` go where the monitor's would, `fetch` before it is asked. */
export function definePageFunctions(module: ModuleWriter, imports: PageImports): Record<'read' | 'readForWrite' | 'write' | 'fetch', number> {
  const types = {
    one: module.type(['i32'], ['i32']), three: module.type(['i32', 'i32', 'i32'], ['i32']), four: module.type(['i32', 'i32', 'i32', 'i32'], ['i32']), stored: module.type(['i32', 'i32', 'i32', 'i32'], []),
  };
  const indices: Indices = {
    ...imports, drop: module.declare(types.one), fault: module.declare(types.three), reach: module.declare(types.four), tableWrite: module.declare(types.four),
  };
  const define = (index: number, type: number, write: (functions: PageFunctions) => void): number => {
    const body = module.body(type);
    write(new PageFunctions(body, indices));
    module.define(index, body);
    return index;
  };
  define(indices.drop, types.one, (f) => f.drop());
  define(indices.fault, types.three, (f) => f.fault());
  define(indices.reach, types.four, (f) => f.reach());
  define(indices.tableWrite, types.four, (f) => f.tableWrite());
  return {
    read: define(module.declare(types.three), types.three, (f) => f.read()),
    readForWrite: define(module.declare(types.three), types.three, (f) => f.readForWrite()),
    write: define(module.declare(types.stored), types.stored, (f) => f.write()),
    fetch: define(module.declare(types.one), types.one, (f) => f.fetch()),
  };
}
