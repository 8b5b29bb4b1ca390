/**
 * Interrupts, returns and fast system calls as systems have them all the time, in WebAssembly: gates and stacks of the code's own size, flat
 * segments of the GDT whose accessed bits are set, memory that the lookup tables reach, a frame within one page. Descriptors, gates and the TSS
 * are read and checked each time; what the segment registers hold already is only compared. A change between level 3 and the others
 * exchanges the address space with its twin.
 *
 * Each function either does all of it, or returns 0 and nothing has changed: then the full code of the room cpu (deliver.ts, returns.ts, fast-calls.ts)
 * does it, whatever was out of the ordinary.
 */
import { Attribute, Cr0, Cr4, Efer, Flag } from '../cpu/bits';
import {
  ACTIVE_SPACE, BREAKPOINTS, BUDGET, CPL, CR0, CR4, DR, EFER, EIP, GDTR_BASE, GDTR_LIMIT, GPR, IDTR_BASE, IDTR_LIMIT,
  INTERRUPT_MAY_WAIT, INTERRUPT_SHADOW, LAZY_CARRY, LAZY_SIGN, LAZY_ZERO, LONG_TABLE_ENTRIES, LSTAR, NMI_BLOCKED, PAGING_MODE, PORT_LATCHES, PORT_LATCHES_MOST, READ_TABLE, RETIRED, RUN_BUDGET, SEGMENT_FIELDS,
  SEGMENT_SIZE, SEGMENTS, Segment, SFMASK, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, SYSTEM_FLAGS, TSC_AUX, TSC_OFFSET, TWIN_READ_TABLE, TWIN_SPACE, TWIN_WRITE_TABLE, WIDE_RESULT, WRITE_TABLE,
} from '../cpu/layout';
import { MODE_USER } from '../mmu/page-walk';
import type { Expression } from '../wasm/expression';
import { ModuleWriter, type FunctionBody } from '../wasm/module';
import { RecordField, UNIT_CAP } from './record';
import { definePageFunctions } from './page-functions';
import { StateCode, UNUSUAL_FLAGS, type Variable } from './state-code';

// Upper words of descriptors: what is looked at, and how it has to look.
/** Present interrupt or trap gate, of 32 bits, or of 64 in long mode. */
const GATE_MASK = 0x9e00, GATE = 0x8e00;
const TRAP_GATE = 0x100;
/** Present, accessed code that is not conforming; flat, of 32 bits. */
const CODE32_MASK = 0xffcf9dff, CODE32 = 0x00cf9900;
/** The same of 64 bits; base and limit mean nothing. */
const CODE64_MASK = 0x00609d00, CODE64 = 0x00209900;
/** Present, accessed, writable data that does not expand down; flat, with a 32-bit stack pointer. */
const STACK_MASK = 0xffcf9fff, STACK = 0x00cf9300;
/** Present, accessed data that does not expand down. */
const DATA_MASK = 0x9d00, DATA = 0x9100;
/** Low word of a flat descriptor: base 0, limit FFFFFh. */
const FLAT_LOW = 0xffff;
const FLAT_LIMIT = -1;
/** What makes no difference to code, of a segment's attributes. */
const KEPT_ATTRIBUTES = ~(Attribute.DplMask | Attribute.Accessed);
const USABLE_STACK = Attribute.DB | Attribute.S | Attribute.ReadWrite;
const STACK_ATTRIBUTES_MASK = Attribute.Unusable | Attribute.DB | Attribute.S | Attribute.Code | Attribute.ExpandDownOrConforming | Attribute.ReadWrite;

/** EFLAGS bits that SYSRET takes from R11: all but RF and VM. */
const RETURNED_FLAGS = 0x3c7fd7;

const RCX = 1, RDX = 2, RSP = 4, R11 = 11;
const PAGE = 4096;

const field = (segment: Segment, name: keyof typeof SEGMENT_FIELDS): number => SEGMENTS + segment * SEGMENT_SIZE + SEGMENT_FIELDS[name];
const register = (n: number): number => GPR + 8 * n;

/** Callouts that have a quick way here, and those that transfer control. */
const transfers = ['softwareInterrupt', 'interruptReturn', 'sysenter', 'sysexit', 'syscall', 'sysret'] as const;
/** Callouts whose result counts. */
const results = ['movFromCr', 'portIn'] as const;
export const quickCallouts = [...transfers, ...results, 'loadSegment', 'invlpg', 'rdtsc', 'rdtscp'] as const;
export type QuickCallout = (typeof quickCallouts)[number];

abstract class Transition extends StateCode {
  /** A slot of the state page as an address of the code's size. */
  slot(address: number): Expression { return this.load(this.long ? 'i64.load' : 'i32.load', address); }

  private low(address: Expression): Expression { return address.type === 'i64' ? this.narrow(address) : address; }
  private toAddress(value: Expression): Expression { return this.long && value.type === 'i32' ? this.wide(value) : value; }

  // ---- memory ----

  /** Host address of a linear one through a table; refuses what the table has not. */
  host(table: Expression, linear: Expression, writes: boolean): Variable {
    const at = this.variable(linear);
    const page = this.low(at);
    const entry = this.long ? this.hashedEntry(table, at) : this.variable(this.load('i32.load', 0, this.add(table, this.shl(this.shr(page, 12), 2))));
    this.refuseIf(writes ? this.and(entry, 0xfff) : this.eq(entry, -1));
    return this.variable(this.xor(entry, page));
  }

  private hashedEntry(table: Expression, at: Expression): Variable {
    const place = this.variable(this.add(table, this.and(this.shr(this.low(at), 8), (LONG_TABLE_ENTRIES - 1) << 4)));
    this.refuseIf(this.ne(this.load('i64.load', 0, place), this.and(at, -PAGE)));
    return this.variable(this.load('i32.load', 8, place));
  }

  /** The supervisor's tables: those in force, or their twin's while a program runs. */
  supervisorTables(cpl: Expression): { read: Variable; write: Variable } {
    const read = this.variable(this.word(READ_TABLE)), write = this.variable(this.word(WRITE_TABLE));
    this.if(this.eq(cpl, 3), () => {
      this.refuseIf(this.lessSigned(this.word(TWIN_SPACE), 0));
      read.set(this.word(TWIN_READ_TABLE));
      write.set(this.word(TWIN_WRITE_TABLE));
    });
    return { read, write };
  }

  /** Host address of a GDT descriptor. */
  descriptor(table: Expression, selector: Expression): Variable {
    const selectorBits = this.and(selector, 0xfff8);
    this.refuseIf(this.or(this.or(this.and(selector, 4), this.isZero(selectorBits)), this.greater(this.or(selector, 7), this.word(GDTR_LIMIT))));
    const linear = this.variable(this.add(this.slot(GDTR_BASE), this.toAddress(selectorBits)));
    this.refuseIf(this.and(this.low(linear), 7));
    return this.host(table, linear, false);
  }

  dpl(high: Expression): Expression { return this.and(this.shr(high, 13), 3); }
  attributes(high: Expression): Expression { return this.and(this.shr(high, 8), 0xf0ff); }

  /** A code segment like the present one but for its level: its upper word. */
  codeSegment(table: Expression, selector: Expression): Variable {
    const at = this.descriptor(table, selector);
    const low = this.variable(this.load('i32.load', 0, at)), high = this.variable(this.load('i32.load', 4, at));
    const [mask, wanted] = this.long ? [CODE64_MASK, CODE64] : [CODE32_MASK, CODE32];
    this.refuseIf(this.ne(this.and(high, mask), wanted));
    this.refuseIf(this.and(this.xor(this.word(field(Segment.CS, 'attributes')), this.attributes(high)), KEPT_ATTRIBUTES));
    if (!this.long) {
      this.refuseIf(this.or(this.ne(low, FLAT_LOW), this.or(this.word(field(Segment.CS, 'base')), this.ne(this.word(field(Segment.CS, 'limit')), FLAT_LIMIT))));
      return high;
    }
    // They mean nothing here, but whoever looks at the register sees them.
    this.refuseIf(this.or(this.ne(this.base(low, high), this.word(field(Segment.CS, 'base'))), this.ne(this.limit(low, high), this.word(field(Segment.CS, 'limit')))));
    return high;
  }

  base(low: Expression, high: Expression): Expression {
    return this.or(this.or(this.and(high, 0xff000000), this.shl(this.and(high, 0xff), 16)), this.shr(low, 16));
  }
  limit(low: Expression, high: Expression): Expression {
    const units = this.variable(this.or(this.and(high, 0xf0000), this.and(low, 0xffff)));
    return this.select(this.and(high, 0x800000), this.or(this.shl(units, 12), 0xfff), units);
  }

  /** A flat stack segment of a level: its upper word. */
  stackSegment(table: Expression, selector: Expression, level: Expression): Variable {
    const at = this.descriptor(table, selector);
    const high = this.variable(this.load('i32.load', 4, at));
    this.refuseIf(this.or(this.ne(this.load('i32.load', 0, at), FLAT_LOW), this.ne(this.and(high, STACK_MASK), STACK)));
    this.refuseIf(this.or(this.ne(this.dpl(high), level), this.ne(this.and(selector, 3), level)));
    return high;
  }

  /** SS is flat, writable, and of 32 bits. */
  refuseUnlessFlatStack(): void {
    this.refuseIf(this.ne(this.and(this.word(field(Segment.SS, 'attributes')), STACK_ATTRIBUTES_MASK), USABLE_STACK));
    this.refuseIf(this.or(this.word(field(Segment.SS, 'base')), this.ne(this.word(field(Segment.SS, 'limit')), FLAT_LIMIT)));
  }
  /** … and differs from a segment with these attributes by its level at most. */
  refuseUnlessStackLike(attributes: Expression): void {
    this.refuseUnlessFlatStack();
    this.refuseIf(this.and(this.xor(this.word(field(Segment.SS, 'attributes')), attributes), KEPT_ATTRIBUTES));
  }

  /** The mode that the functions are for. */
  refuseOtherModes(): void {
    if (this.long) {
      this.refuseIf(this.isZero(this.and(this.word(EFER), Efer.LMA)));
      this.refuseIf(this.isZero(this.and(this.word(field(Segment.CS, 'attributes')), Attribute.L)));
    } else this.refuseIf(this.or(this.isZero(this.and(this.word(CR0), Cr0.PE)), this.and(this.word(EFER), Efer.LMA)));
  }

  refuseNonCanonical(address: Expression): void {
    this.refuseIf(this.ne(this.sar(this.shl(address, 16), 16), address));
  }

  /** An access of so many bytes reaches into the next page. */
  crosses(at: Expression, bytes: Expression | number): Expression {
    return this.greater(this.and(this.low(at), PAGE - 1), typeof bytes === 'number' ? PAGE - bytes : this.sub(this.constant(PAGE, 'i32'), bytes));
  }

  // ---- the state page ----

  setSegment(segment: Segment, selector: Expression, attributes: Expression | number): void {
    this.setWord(field(segment, 'selector'), selector);
    this.setWord(field(segment, 'attributes'), attributes);
  }

  /** All of SS: a flat segment, or (64-bit code) the null one. */
  setWholeStack(selector: Expression, attributes: Expression | number, flat: boolean): void {
    this.setSegment(Segment.SS, selector, attributes);
    this.store('i64.store', field(Segment.SS, 'base'), 0);
    this.setWord(field(Segment.SS, 'limit'), flat ? FLAT_LIMIT : 0);
    this.setWord(field(Segment.SS, 'low'), 0);
    this.setWord(field(Segment.SS, 'readQuick'), flat ? FLAT_LIMIT - 14 : 0);
    this.setWord(field(Segment.SS, 'writeQuick'), flat ? FLAT_LIMIT - 14 : 0);
  }

  /** Between level 3 and the others: exchanges the address space in force with its twin. */
  exchangeSpaces(): void {
    for (const [one, other] of [[ACTIVE_SPACE, TWIN_SPACE], [READ_TABLE, TWIN_READ_TABLE], [WRITE_TABLE, TWIN_WRITE_TABLE]]) {
      const kept = this.variable(this.word(one));
      this.setWord(one, this.word(other));
      this.setWord(other, kept);
    }
    this.setWord(PAGING_MODE, this.xor(this.word(PAGING_MODE), MODE_USER));
    this.count('addressSpaceSwitches');
  }

  setArithmeticFlags(eflags: Expression): void {
    const bit = (n: number): Expression => this.and(this.shr(eflags, n), 1);
    this.setWord(LAZY_ZERO, this.isZero(bit(6)));
    this.setWord(LAZY_SIGN, this.or(this.shl(bit(7), 31), this.isZero(bit(2))));
    this.setWord(LAZY_CARRY, this.or(this.or(this.shl(bit(0), 31), this.shl(this.xor(bit(0), bit(11)), 30)), this.shl(bit(4), 3)));
  }

  /** Interrupts are on behind the transition: refuses when one is waiting. */
  refuseWaitingInterrupt(after: Expression, interruptRequested: number): void {
    this.if(this.and(this.ne(this.and(after, Flag.IF), 0), this.ne(this.word(INTERRUPT_MAY_WAIT), 0)), () => this.refuseIf(this.call(interruptRequested, 'i32')));
  }

}

class Functions extends Transition {
  constructor(body: FunctionBody, long: boolean, private readonly interruptRequested: number, private readonly enterIndex: number) { super(body, long); }

  /** (vector, software, EFLAGS to push, error code or -1): one delivery through the IDT. RIP is what is pushed. */
  enter(): void {
    const vector = this.i32(0), software = this.i32(1), image = this.i32(2), errorCode = this.i32(3);
    const { long } = this;
    const slots = long ? 8 : 4;
    this.refuseOtherModes();
    const flags = this.variable(this.word(SYSTEM_FLAGS));
    this.refuseIf(this.and(flags, Flag.VM | Flag.VIF | Flag.VIP | Flag.AC));
    const cpl = this.variable(this.word(CPL));
    const { read, write } = this.supervisorTables(cpl);

    const offset = this.variable(this.shl(vector, long ? 4 : 3));
    this.refuseIf(this.greater(this.add(offset, long ? 15 : 7), this.word(IDTR_LIMIT)));
    const gateAt = this.variable(this.add(this.slot(IDTR_BASE), long ? this.wide(offset) : offset));
    this.refuseIf(this.and(long ? this.narrow(gateAt) : gateAt, long ? 15 : 7));
    const gate = this.host(read, gateAt, false);
    const gateLow = this.variable(this.load('i32.load', 0, gate)), gateHigh = this.variable(this.load('i32.load', 4, gate));
    this.refuseIf(this.ne(this.and(gateHigh, GATE_MASK), GATE));
    this.refuseIf(this.and(software, this.less(this.dpl(gateHigh), cpl)));
    const entry = this.or(this.and(gateHigh, 0xffff0000), this.and(gateLow, 0xffff));
    const target = this.variable(long ? this.or(this.wide(entry), this.shl(this.load('i64.load32_u', 8, gate), 32)) : entry);
    if (long) this.refuseNonCanonical(target);
    const selector = this.variable(this.shr(gateLow, 16));
    const code = this.codeSegment(read, selector);
    const level = this.variable(this.dpl(code));
    this.refuseIf(this.greater(level, cpl));

    const inner = this.variable(this.less(level, cpl));
    const old = this.variable(this.slot(register(RSP)));
    const pointer = this.variable(old);
    const stackSelector = this.variable(0), stack = this.variable(0);
    if (long) {
      this.refuseNonCanonical(old);
      const ist = this.variable(this.and(gateHigh, 7));
      this.if(this.or(ist, inner), () => {
        const at = this.variable(this.select(ist, this.add(this.shl(ist, 3), 0x1c), this.add(this.shl(level, 3), 4)));
        pointer.set(this.load('i64.load', 0, this.taskField(read, at, 8)));
        this.refuseNonCanonical(pointer);
      });
      pointer.set(this.and(pointer, -16));
    } else {
      this.if(inner, () => {
        this.refuseIf(this.ne(this.and(this.word(field(Segment.TR, 'attributes')), Attribute.Unusable | 8), 8));
        const task = this.taskField(read, this.variable(this.add(this.shl(level, 3), 4)), 6);
        pointer.set(this.load('i32.load', 0, task));
        stackSelector.set(this.load('i32.load16_u', 4, task));
        stack.set(this.attributes(this.stackSegment(read, stackSelector, level)));
        this.refuseUnlessStackLike(stack);
      }, () => this.refuseUnlessFlatStack());
    }
    const hasError = this.variable(this.op('i32.ge_s', errorCode, 0));
    const bytes = this.variable(this.add(this.shl(hasError, long ? 3 : 2), long ? 40 : this.select(inner, 20, 12)));
    const wideBytes = long ? this.wide(bytes) : bytes;
    this.refuseIf(this.less(pointer, wideBytes));
    const top = this.variable(this.sub(pointer, wideBytes));
    this.refuseIf(this.crosses(top, bytes));
    const frame = this.host(this.select(this.eq(level, 3), this.word(WRITE_TABLE), write), top, true);

    // Nothing fails from here on.
    const put = (n: number, value: Expression): void => {
      if (long) this.store('i64.store', n * slots, value.type === 'i64' ? value : this.wide(value), frame);
      else this.store('i32.store', n * slots, value, frame);
    };
    this.if(hasError, () => {
      put(0, errorCode);
      frame.set(this.add(frame, slots));
    });
    put(0, this.slot(EIP));
    put(1, this.word(field(Segment.CS, 'selector')));
    put(2, image);
    const putStack = (): void => {
      put(3, old);
      put(4, this.word(field(Segment.SS, 'selector')));
    };
    if (long) putStack();
    this.setSegment(Segment.CS, this.or(this.and(selector, 0xfffc), level), this.attributes(code));
    this.if(inner, () => {
      if (long) this.setWholeStack(level, Attribute.Unusable, false);
      else {
        putStack();
        this.setSegment(Segment.SS, stackSelector, stack);
      }
      this.setWord(CPL, level);
      this.if(this.eq(cpl, 3), () => this.exchangeSpaces());
    });
    this.setSlot(EIP, target);
    this.setSlot(register(RSP), top);
    const cleared = this.select(this.and(gateHigh, TRAP_GATE), Flag.TF | Flag.NT | Flag.RF, Flag.TF | Flag.NT | Flag.RF | Flag.IF);
    this.setWord(SYSTEM_FLAGS, this.and(flags, this.xor(cleared, -1)));
    this.setWord(INTERRUPT_SHADOW, 0);
    this.return(1);
    this.body.op('unreachable');
  }

  /** Host address of a field of the TSS. */
  private taskField(table: Expression, at: Expression, bytes: number): Expression {
    this.refuseIf(this.greater(this.add(at, bytes - 1), this.word(field(Segment.TR, 'limit'))));
    const linear = this.variable(this.add(this.slot(field(Segment.TR, 'base')), this.long ? this.wide(at) : at));
    this.refuseIf(this.crosses(linear, 8));
    return this.host(table, linear, false);
  }

  // ---- callouts: (record, a, b, c) ----

  /** INT n, with the vector and 1; INT3 and INTO may concern the debugger. */
  softwareInterrupt(): void {
    const vector = this.i32(1), numbered = this.i32(2);
    this.refuseIf(this.isZero(numbered));
    this.ordinaryFlags();
    this.setSlot(EIP, this.recordEip(true));
    this.return(this.call(this.enterIndex, 'i32', this.and(vector, 0xff), this.constant(1, 'i32'), this.eflags(), this.constant(-1, 'i32')));
    this.body.op('unreachable');
  }

  /** IRET of the code's own size, without nested tasks. */
  interruptReturn(): void {
    const { long } = this;
    const slots = long ? 8 : 4;
    this.refuseOtherModes();
    this.refuseOtherSizes();
    const before = this.ordinaryFlags();
    this.refuseIf(this.or(this.and(before, Flag.NT), this.word(NMI_BLOCKED)));
    if (!long) this.refuseUnlessFlatStack();
    const cpl = this.variable(this.word(CPL));
    const pointer = this.variable(this.slot(register(RSP)));
    this.refuseIf(this.crosses(pointer, long ? 40 : 12));
    const frame = this.host(this.word(READ_TABLE), pointer, false);
    const slot = (n: number): Expression => this.load(long ? 'i64.load' : 'i32.load', n * slots, frame);
    const target = this.variable(slot(0));
    const selector = this.variable(this.load('i32.load16_u', slots, frame));
    const flags = this.variable(this.load('i32.load', 2 * slots, frame));
    const level = this.variable(this.and(selector, 3));
    // RF matters to a breakpoint or an interrupt right behind IRET, which need a look; the next instruction clears it. Faults push it.
    this.refuseIf(this.or(this.less(level, cpl), this.and(flags, (UNUSUAL_FLAGS & ~Flag.RF) | Flag.NT)));
    this.if(this.and(flags, Flag.RF), () => this.refuseIf(this.or(this.word(BREAKPOINTS), this.op('i32.le_s', this.word(BUDGET), UNIT_CAP))));
    if (long) this.refuseNonCanonical(target);
    const { read } = this.supervisorTables(cpl);
    const code = this.codeSegment(read, selector);
    this.refuseIf(this.ne(this.dpl(code), level));

    const outer = this.variable(this.greater(level, cpl));
    const toUser = this.variable(this.and(outer, this.eq(level, 3)));
    this.refuseIf(this.and(toUser, this.lessSigned(this.word(TWIN_SPACE), 0)));
    this.if(outer, () => this.refuseUnlessDataStays(level));
    const newPointer = this.variable(this.add(pointer, 12));
    const stackSelector = this.variable(0), stack = this.variable(0);
    const noStack = this.variable(0);
    if (long) {
      newPointer.set(slot(3));
      this.refuseNonCanonical(newPointer);
      stackSelector.set(this.load('i32.load16_u', 4 * slots, frame));
      noStack.set(this.isZero(this.and(stackSelector, 0xfffc)));
      this.if(noStack, () => this.refuseIf(this.eq(level, 3)), () => stack.set(this.attributes(this.stackSegment(read, stackSelector, level))));
    } else {
      this.if(outer, () => {
        this.refuseIf(this.crosses(pointer, 20));
        newPointer.set(slot(3));
        stackSelector.set(this.load('i32.load16_u', 4 * slots, frame));
        stack.set(this.attributes(this.stackSegment(read, stackSelector, level)));
        this.refuseUnlessStackLike(stack);
      });
    }
    const iopl = this.and(this.shr(before, 12), 3);
    const taken = this.or(Flag.DF | Flag.ID, this.or(this.select(this.greater(cpl, iopl), 0, Flag.IF), this.select(cpl, 0, Flag.IOPL)));
    const mask = this.variable(taken);
    const after = this.variable(this.or(this.and(flags, mask), this.and(before, this.xor(mask, -1))));
    this.refuseWaitingInterrupt(after, this.interruptRequested);

    // Nothing fails from here on.
    this.setSegment(Segment.CS, selector, this.attributes(code));
    if (long) {
      this.if(noStack, () => this.setWholeStack(stackSelector, Attribute.Unusable, false), () => this.setWholeStack(stackSelector, stack, true));
    }
    this.if(outer, () => {
      if (!long) this.setSegment(Segment.SS, stackSelector, stack);
      this.setWord(CPL, level);
    });
    this.if(toUser, () => this.exchangeSpaces());
    this.setSlot(EIP, target);
    this.setSlot(register(RSP), newPointer);
    this.setArithmeticFlags(flags);
    this.setWord(SYSTEM_FLAGS, after);
    this.return(1);
    this.body.op('unreachable');
  }

  /** Refuses when a data segment would be lost on the way to an outer level. */
  private refuseUnlessDataStays(level: Expression): void {
    for (const segment of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) {
      const attributes = this.variable(this.word(field(segment, 'attributes')));
      const inner = this.less(this.and(this.shr(attributes, 5), 3), level);
      const conforming = this.eq(this.and(attributes, Attribute.Code | Attribute.ExpandDownOrConforming), Attribute.Code | Attribute.ExpandDownOrConforming);
      this.refuseIf(this.and(this.and(inner, this.isZero(conforming)), this.isZero(this.and(attributes, Attribute.Unusable))));
    }
  }

  /** EFLAGS, when the instruction boundary behind needs no look. */
  private ordinaryFlags(): Variable {
    const flags = this.variable(this.word(SYSTEM_FLAGS));
    this.refuseIf(this.or(this.and(flags, UNUSUAL_FLAGS), this.word(INTERRUPT_SHADOW)));
    return flags;
  }

  private refuseOtherSizes(): void {
    this.refuseIf(this.ne(this.and(this.load('i32.load8_u', RecordField.sizes, this.i32(0)), 3), this.long ? 2 : 1));
  }

  /** What a fast transfer to a level needs: present segments like those that it brings, and the address space. Then it cannot fail. */
  private refuseUnlikeFast(level: 0 | 3): Variable {
    this.refuseOtherModes();
    const cpl = this.variable(this.word(CPL));
    if (level === 3) this.refuseIf(cpl);
    this.refuseIf(this.and(this.xor(this.word(field(Segment.CS, 'attributes')), flatCode(level, this.long)), KEPT_ATTRIBUTES));
    this.refuseIf(this.or(this.word(field(Segment.CS, 'base')), this.ne(this.word(field(Segment.CS, 'limit')), FLAT_LIMIT)));
    if (!this.long) this.refuseUnlessStackLike(this.constant(flatData(level), 'i32'));
    const exchange = this.variable(level === 3 ? 1 : this.eq(cpl, 3));
    this.refuseIf(this.and(exchange, this.lessSigned(this.word(TWIN_SPACE), 0)));
    return exchange;
  }

  /** Flat CS and SS of a level without a look at the tables. */
  private fastTransfer(code: Expression, stack: Expression, level: 0 | 3, exchange: Expression): void {
    this.setSegment(Segment.CS, this.or(this.and(code, 0xfffc), level), flatCode(level, this.long));
    this.setWholeStack(this.or(this.and(stack, 0xfffc), level), flatData(level), true);
    this.setWord(CPL, level);
    this.if(exchange, () => this.exchangeSpaces());
  }

  sysenter(): void {
    const exchange = this.refuseUnlikeFast(0);
    const flags = this.ordinaryFlags();
    const selector = this.variable(this.load('i32.load16_u', SYSENTER_CS));
    this.refuseIf(this.isZero(this.and(selector, 0xfffc)));
    this.fastTransfer(selector, this.add(selector, 8), 0, exchange);
    this.setWord(SYSTEM_FLAGS, this.and(flags, ~Flag.IF));
    this.setSlot(EIP, this.slot(SYSENTER_EIP));
    this.setSlot(register(RSP), this.slot(SYSENTER_ESP));
    this.return(1);
    this.body.op('unreachable');
  }

  sysexit(): void {
    const exchange = this.refuseUnlikeFast(3);
    this.ordinaryFlags();
    const selector = this.variable(this.load('i32.load16_u', SYSENTER_CS));
    this.refuseIf(this.isZero(this.and(selector, 0xfffc)));
    if (this.long) {
      this.refuseOtherSizes();
      this.refuseNonCanonical(this.slot(register(RDX)));
      this.refuseNonCanonical(this.slot(register(RCX)));
    }
    const [code, stack] = this.long ? [32, 40] : [16, 24];
    this.fastTransfer(this.add(selector, code), this.add(selector, stack), 3, exchange);
    this.setSlot(EIP, this.slot(register(RDX)));
    this.setSlot(register(RSP), this.slot(register(RCX)));
    this.return(1);
    this.body.op('unreachable');
  }

  /** 64-bit code. */
  syscall(): void {
    const exchange = this.refuseUnlikeFast(0);
    this.ordinaryFlags();
    this.refuseIf(this.isZero(this.and(this.word(EFER), Efer.SCE)));
    const selector = this.variable(this.load('i32.load16_u', STAR + 4));
    const flags = this.eflags();
    const kept = this.variable(this.and(flags, this.xor(this.word(SFMASK), -1)));
    this.fastTransfer(selector, this.add(this.and(selector, 0xfffc), 8), 0, exchange);
    this.setSlot(register(RCX), this.recordEip(true));
    this.setSlot(register(R11), flags);
    this.setArithmeticFlags(kept);
    this.setWord(SYSTEM_FLAGS, this.or(this.and(kept, ~Flag.Arithmetic), Flag.Fixed));
    this.setSlot(EIP, this.slot(LSTAR));
    this.return(1);
    this.body.op('unreachable');
  }

  /** 64-bit code. */
  sysret(): void {
    const exchange = this.refuseUnlikeFast(3);
    this.refuseOtherSizes();
    this.ordinaryFlags();
    this.refuseIf(this.isZero(this.and(this.word(EFER), Efer.SCE)));
    const target = this.variable(this.slot(register(RCX)));
    this.refuseNonCanonical(target);
    const flags = this.variable(this.or(this.and(this.word(register(R11)), RETURNED_FLAGS), Flag.Fixed));
    this.refuseIf(this.and(flags, UNUSUAL_FLAGS));
    this.refuseWaitingInterrupt(flags, this.interruptRequested);
    const selector = this.variable(this.load('i32.load16_u', STAR + 6));
    this.fastTransfer(this.add(selector, 16), this.add(selector, 8), 3, exchange);
    this.setArithmeticFlags(flags);
    this.setWord(SYSTEM_FLAGS, this.and(flags, ~Flag.Arithmetic));
    this.setSlot(EIP, target);
    this.return(1);
    this.body.op('unreachable');
  }

  /** Segment register, selector: ES, DS, FS or GS get a data segment or the null selector. In 32-bit code nothing that contexts depend on may change. */
  loadSegment(): void {
    const { long } = this;
    const n = this.i32(1);
    this.refuseOtherModes();
    this.ordinaryFlags();
    this.refuseIf(this.or(this.eq(n, Segment.CS), this.or(this.eq(n, Segment.SS), this.greater(n, Segment.GS))));
    const cpl = this.variable(this.word(CPL));
    const selector = this.variable(this.and(this.i32(2), 0xffff));
    const at = this.variable(this.shl(n, Math.log2(SEGMENT_SIZE)));
    const get = (name: keyof typeof SEGMENT_FIELDS): Expression => this.load('i32.load', SEGMENTS + SEGMENT_FIELDS[name], at);
    const put = (name: keyof typeof SEGMENT_FIELDS, value: Expression | number): void => this.store('i32.store', SEGMENTS + SEGMENT_FIELDS[name], value, at);
    const old = this.variable(get('attributes'));
    const matters = this.variable(long ? 0 : this.less(n, Segment.FS));
    const attributes = this.variable(Attribute.Unusable), base = this.variable(0), limit = this.variable(0), quick = this.variable(0);
    this.if(this.and(selector, 0xfffc), () => {
      const { read } = this.supervisorTables(cpl);
      const place = this.descriptor(read, selector);
      const low = this.variable(this.load('i32.load', 0, place)), high = this.variable(this.load('i32.load', 4, place));
      this.refuseIf(this.ne(this.and(high, DATA_MASK), DATA));
      this.refuseIf(this.or(this.less(this.dpl(high), cpl), this.less(this.dpl(high), this.and(selector, 3))));
      attributes.set(this.attributes(high));
      base.set(this.base(low, high));
      limit.set(this.limit(low, high));
      this.if(this.greater(limit, 14), () => quick.set(this.sub(limit, 14)));
      this.refuseIf(this.and(matters, this.or(this.or(this.and(this.xor(old, attributes), KEPT_ATTRIBUTES), this.xor(get('base'), base)), this.xor(get('limit'), limit))));
    }, () => this.refuseIf(this.and(matters, this.isZero(this.and(old, Attribute.Unusable)))));
    put('selector', selector);
    put('attributes', attributes);
    this.store('i64.store', SEGMENTS + SEGMENT_FIELDS.base, this.wide(base), at);
    put('limit', limit);
    put('low', 0);
    put('readQuick', quick);
    put('writeQuick', this.select(this.and(attributes, Attribute.ReadWrite), quick, 0));
    this.return(1);
    this.body.op('unreachable');
  }

  /** The instruction boundary behind needs no look. */
  private isOrdinary(): Expression {
    return this.isZero(this.or(this.word(INTERRUPT_SHADOW), this.and(this.word(SYSTEM_FLAGS), UNUSUAL_FLAGS)));
  }

  private instead(full: number): void {
    this.call(full, 'i32', ...[0, 1, 2, 3].map((parameter) => this.i32(parameter))).emit();
  }

  /** CR0, CR2, CR3 and CR4: result as callouts leave it. */
  movFromCr(full: number): void {
    const n = this.i32(1);
    const takes = this.and(this.and(this.isOrdinary(), this.isZero(this.word(CPL))), this.and(this.ne(n, 1), this.less(n, 5)));
    this.if(takes, () => {
      // There is no CR1, and no slot for it.
      const value = this.variable(this.load('i64.load', CR0, this.select(n, this.shl(this.sub(n, 1), 3), 0)));
      this.count('callouts');
      this.store('i64.store', WIDE_RESULT, value);
      this.return(this.narrow(value));
    });
    this.instead(full);
  }

  /** (port, bytes): a byte that the port has until the guest writes to one, where no I/O permission and no I/O breakpoint can matter. */
  portIn(full: number): void {
    const port = this.i32(1);
    this.if(this.and(this.eq(this.i32(2), 1), this.less(port, PORT_LATCHES_MOST)), () => {
      const latch = this.variable(this.load('i32.load16_u', PORT_LATCHES, this.shl(port, 1)));
      const iopl = this.and(this.shr(this.word(SYSTEM_FLAGS), 12), 3);
      const allowed = this.or(this.isZero(this.and(this.word(CR0), Cr0.PE)), this.isZero(this.greater(this.word(CPL), iopl)));
      this.if(this.and(this.and(this.shr(latch, 8), allowed), this.and(this.isOrdinary(), this.isZero(this.and(this.word(DR + 8 * 7), 0xff)))), () => {
        this.count('callouts');
        this.count('portReads');
        this.return(this.and(latch, 0xff));
      });
    });
    this.instead(full);
  }

  /** The shadow is coherent at all times: there is nothing to drop. */
  invlpg(): void {
    this.ordinaryFlags();
    this.refuseIf(this.word(CPL));
    this.return(1);
    this.body.op('unreachable');
  }

  /** The time stamp is the machine's count of instructions plus an offset. */
  rdtsc(): void {
    this.readTimeStamp();
    this.return(1);
    this.body.op('unreachable');
  }
  rdtscp(): void {
    this.readTimeStamp();
    this.store('i64.store', GPR + 8, this.wide(this.word(TSC_AUX)));
    this.return(1);
    this.body.op('unreachable');
  }
  private readTimeStamp(): void {
    this.refuseIf(this.and(this.ne(this.word(CPL), 0), this.ne(this.and(this.word(CR4), Cr4.TSD), 0)));
    const inRun = this.add(this.sub(this.word(RUN_BUDGET), this.word(BUDGET)), this.load('i32.load8_u', RecordField.position, this.i32(0)));
    const stamp = this.variable(this.add(this.add(this.load('i64.load', RETIRED), this.wide(inRun)), this.load('i64.load', TSC_OFFSET)));
    this.store('i64.store', GPR, this.wide(this.narrow(stamp)));
    this.store('i64.store', GPR + 16, this.shr(stamp, 32));
  }

  /** A callout: quickly, or as ever. */
  callout(quick: number, full: number, transfer: boolean): void {
    const all = [0, 1, 2, 3].map((n) => this.i32(n));
    this.if(this.call(quick, 'i32', ...all), () => {
      this.count('callouts');
      if (transfer) this.noteTransfer();
      this.return(0);
    });
    this.call(full, 'i32', ...all).emit();
  }
}

/** Attributes of the segments that fast system calls bring (SDM Vol. 2, SYSENTER). */
const flatCode = (level: number, long: boolean): number => Attribute.G | (long ? Attribute.L : Attribute.DB) | Attribute.P | (level << 5) | Attribute.S | 0xb;
const flatData = (level: number): number => Attribute.G | Attribute.DB | Attribute.P | (level << 5) | Attribute.S | 0x3;

type QuickEntry = (vector: number, software: number, image: number, errorCode: number) => number;
type CalloutFunction = (record: number, a: number, b: number, c: number) => number;

/** What handlers call when the inlined lookup fails: (record, linear, bytes), and the value to write. */
export interface MemorySlowPaths {
  read(this: void, record: number, linear: number, bytes: number): number;
  readForWrite(this: void, record: number, linear: number, bytes: number): number;
  write(this: void, record: number, linear: number, bytes: number, value: number): void;
}

/** The same with the common misses served, and what the dispatcher asks: (linear) → 1 when that page has a lookup entry now, which it had not. */
export interface MemoryPaths extends MemorySlowPaths {
  fetch(this: void, linear: number): number;
}

/** The functions for code of one size. */
export interface Transitions {
  /** One delivery through the IDT: 0 when it is out of the ordinary. `image` is EFLAGS as they are pushed, `errorCode` -1 for none. */
  readonly enter: QuickEntry;
  /** To be called in the place of callouts. */
  readonly callouts: Readonly<Record<QuickCallout, CalloutFunction>>;
}

function generate(): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  const found = module.type([], ['i32']);
  const four = module.type(['i32', 'i32', 'i32', 'i32'], ['i32']);
  module.importMemory('machine', 'memory', 1);
  const interruptRequested = module.importFunction('machine', 'interruptRequested', found);
  const three = module.type(['i32', 'i32', 'i32'], ['i32']);
  const memory = {
    read: module.importFunction('memory', 'read', three), readForWrite: module.importFunction('memory', 'readForWrite', three),
    write: module.importFunction('memory', 'write', module.type(['i32', 'i32', 'i32', 'i32'], [])),
  };
  const full = quickCallouts.map((name) => module.importFunction('callout', name, four));
  for (const long of [false, true]) {
    const suffix = long ? '64' : '32';
    const enter = module.declare(four);
    const define = (index: number, write: (functions: Functions) => void): number => {
      const body = module.body(four);
      write(new Functions(body, long, interruptRequested, enter));
      module.define(index, body);
      return index;
    };
    module.export(`enter${suffix}`, define(enter, (f) => f.enter()));
    if (!long) Object.entries(definePageFunctions(module, { ...memory, enter })).forEach(([name, index]) => module.export(name, index));
    quickCallouts.forEach((name, n) => {
      // What 32-bit code has not.
      const exists = long || (name !== 'syscall' && name !== 'sysret');
      if (name === 'movFromCr' || name === 'portIn') {
        module.export(`${name}${suffix}`, define(module.declare(four), (f) => f[name](full[n])));
        return;
      }
      const quick = exists ? define(module.declare(four), (f) => f[name]()) : undefined;
      const transfer = (transfers as readonly string[]).includes(name);
      module.export(`${name}${suffix}`, quick === undefined ? full[n] : define(module.declare(four), (f) => f.callout(quick, full[n], transfer)));
    });
  }
  return module.finish();
}

let compiled: WebAssembly.Module | undefined;

/** Instances of one memory, for 16- and 32-bit and for 64-bit code, and the memory paths of the former. `callouts` and `slow` do what is out of the ordinary. */
export function instantiateTransitions(
  memory: WebAssembly.Memory, interruptRequested: () => number, callouts: Readonly<Record<QuickCallout, CalloutFunction>>, slow: MemorySlowPaths,
): { readonly legacy: Transitions; readonly long: Transitions; readonly memory: MemoryPaths } {
  compiled ??= new WebAssembly.Module(generate());
  const { exports } = new WebAssembly.Instance(compiled, { machine: { memory, interruptRequested }, callout: callouts, memory: { ...slow } });
  const named = (suffix: string): Transitions => ({
    enter: exports[`enter${suffix}`] as QuickEntry,
    callouts: Object.fromEntries(quickCallouts.map((name) => [name, exports[`${name}${suffix}`]])) as unknown as Transitions['callouts'],
  });
  return { legacy: named('32'), long: named('64'), memory: exports as unknown as MemoryPaths };
}
