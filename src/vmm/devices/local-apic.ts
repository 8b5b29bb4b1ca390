/**
 * A processor's local APIC (SDM Vol. 3, chapter 10) in xAPIC and x2APIC mode: priorities and acknowledge, the local vector table, interrupt
 * commands, the timer. Registers are read and written by offset in the page; x2APIC MSRs map to the same offsets.
 *
 * Differences from the manual: LINT0 of the boot processor takes ExtINT from power-on (firmware that knows no APIC still gets the 8259A's
 * interrupts), a page that is moved over RAM stays behind it, and system management interrupts are ignored, since there is no system
 * management mode.
 */
import { ApicTimer, TimerMode } from './apic-timer';
import { BROADCAST, Delivery, wideDestination, type ApicBus, type ApicReceiver, type InterruptMessage } from './apic-bus';
import type { AccessSize, Clock, Device, Line } from './device';
import { localApicRegisters, Reg } from './local-apic-registers';

/** Where the page of registers is at power-on. */
export const LOCAL_APIC_BASE = 0xfee00000;
export const LOCAL_APIC_BYTES = 0x1000;
/** Integrated APIC, six LVT entries. */
const VERSION = 0x00050014;
/** IA32_APIC_BASE: bootstrap processor 8, x2APIC 10, enable 11, page 12 and up. */
const BASE_BSP = 0x100, BASE_X2APIC = 0x400, BASE_ENABLE = 0x800;
const LVT_MASKED = 0x10000, LVT_LEVEL = 0x8000, LVT_REMOTE_IRR = 0x4000, LVT_ACTIVE_LOW = 0x2000;
const SVR_ENABLE = 0x100;
const ESR_SENT_VECTOR = 0x20, ESR_RECEIVED_VECTOR = 0x40, ESR_REGISTER = 0x80;
const ICR_ASSERT = 0x4000, ICR_LEVEL = 0x8000, ICR_LOGICAL = 0x800;
const enum Shorthand { None, Self, All, Others }
/** MSRs: the deadline, and the first and last one of x2APIC mode. */
const MSR_DEADLINE = 0x6e0, MSR_X2_FIRST = 0x800, MSR_X2_LAST = 0x8ff, MSR_APIC_BASE = 0x1b;

/** Local vector table: offset, and the bits that software may write. */
const lvt = {
  timer: { at: Reg.lvtTimer, writable: 0x700ff },
  thermal: { at: Reg.lvtThermal, writable: 0x107ff },
  performance: { at: Reg.lvtPerformance, writable: 0x107ff },
  lint0: { at: Reg.lvtLint0, writable: 0x1a7ff },
  lint1: { at: Reg.lvtLint1, writable: 0x1a7ff },
  error: { at: Reg.lvtError, writable: 0x100ff },
} as const;
type LvtName = keyof typeof lvt;
const lvtNames = Object.keys(lvt) as LvtName[];
const pins = ['lint0', 'lint1'] as const;

/** What a local APIC does to its processor. */
export interface LocalApicHooks {
  /** {@link LocalApic.interruptRequested} has become true. */
  interrupt(): void;
  nmi(): void;
  init(): void;
  startUp(page: number): void;
  /** The interrupt acknowledge cycle of an external interrupt: the 8259A's vector. */
  externalVector(): number;
  /** The processor's time-stamp counter. */
  timeStamp(): bigint;
}

export interface LocalApicOptions {
  readonly clock: Clock;
  readonly bus: ApicBus;
  /** APIC ID, 0 for the bootstrap processor. */
  readonly id: number;
  /** Processors of the machine. */
  readonly processors: number;
  /** What the processor model has (CPUID.1:ECX 21 and 24). */
  readonly x2apic: boolean;
  readonly deadline: boolean;
  readonly hooks: LocalApicHooks;
}

interface State {
  base: number;
  id: number;
  tpr: number;
  ldr: number;
  dfr: number;
  svr: number;
  esr: number;
  /** Errors since ESR was last written. */
  errors: number;
  icr: number;
  icrHigh: number;
  lvt: Record<LvtName, number>;
  isr: number[];
  tmr: number[];
  irr: number[];
  lines: [boolean, boolean];
  /** An external interrupt came by message and has not been acknowledged. */
  externalLatched: boolean;
}

function highest(bits: readonly number[]): number {
  for (let n = 7; n >= 0; n--) if (bits[n]) return 32 * n + 31 - Math.clz32(bits[n]);
  return -1;
}

function hasBit(bits: readonly number[], vector: number): boolean {
  return ((bits[vector >> 5] >>> (vector & 31)) & 1) !== 0;
}

export class LocalApic implements Device, ApicReceiver {
  readonly id: string;
  readonly title: string;
  readonly registers = localApicRegisters;
  /** LINT0 (INTR of the 8259A pair) and LINT1 (NMI). */
  readonly lint: readonly [Line, Line] = [(level) => this.setLine(0, level), (level) => this.setLine(1, level)];
  /** There is something to acknowledge: a vector above the processor's priority, or an external interrupt. */
  interruptRequested = false;

  private readonly timer: ApicTimer;
  private readonly bus: ApicBus;
  private readonly hooks: LocalApicHooks;
  private state: State;

  constructor(private readonly options: LocalApicOptions) {
    const { clock, hooks } = options;
    this.id = `local-apic-${options.id}`;
    this.title = `Local APIC of processor ${options.id}`;
    this.bus = options.bus;
    this.hooks = hooks;
    this.timer = new ApicTimer(clock, () => hooks.timeStamp(), () => this.local('timer'));
    this.state = this.afterReset(LOCAL_APIC_BASE | BASE_ENABLE | (options.id === 0 ? BASE_BSP : 0), [false, false]);
    options.bus.addProcessor(this);
  }

  private afterReset(base: number, lines: [boolean, boolean]): State {
    const bits = (): number[] => [0, 0, 0, 0, 0, 0, 0, 0];
    return {
      base: base >>> 0, id: this.options.id, tpr: 0, ldr: 0, dfr: 0xffffffff, svr: 0xff, esr: 0, errors: 0, icr: 0, icrHigh: 0,
      lvt: {
        timer: LVT_MASKED, thermal: LVT_MASKED, performance: LVT_MASKED, lint1: LVT_MASKED, error: LVT_MASKED,
        lint0: this.options.id === 0 ? Delivery.ExtInt << 8 : LVT_MASKED,
      },
      isr: bits(), tmr: bits(), irr: bits(), lines, externalLatched: false,
    };
  }

  /** Power-on and RESET. */
  reset(): void {
    this.initialize(LOCAL_APIC_BASE | BASE_ENABLE | (this.options.id === 0 ? BASE_BSP : 0));
  }

  /** INIT: everything but IA32_APIC_BASE and the ID (10.4.7.3). */
  init(): void {
    const { base, id } = this.state;
    this.initialize(base);
    this.state.id = id;
  }

  private initialize(base: number): void {
    this.state = this.afterReset(base, this.state.lines);
    this.timer.reset();
    this.update();
    this.onBase();
  }

  // ---- state that others ask for ----

  /** IA32_APIC_BASE.EN: without it the processor behaves as if it had no APIC. */
  get globallyEnabled(): boolean {
    return (this.state.base & BASE_ENABLE) !== 0;
  }

  private get x2(): boolean {
    return (this.state.base & BASE_X2APIC) !== 0;
  }

  private get softwareEnabled(): boolean {
    return this.globallyEnabled && (this.state.svr & SVR_ENABLE) !== 0;
  }

  /** Guest-physical page of the registers, or undefined while they are not memory-mapped. */
  get page(): number | undefined {
    return this.globallyEnabled && !this.x2 ? Math.floor(this.state.base / 0x1000) * 0x1000 : undefined;
  }

  get processors(): number {
    return this.options.processors;
  }

  get apicId(): number {
    return this.state.id;
  }

  /** TPR; CR8 is its class. */
  get taskPriority(): number {
    return this.state.tpr;
  }

  set taskPriority(value: number) {
    if (value === this.state.tpr) return;
    this.state.tpr = value & 0xff;
    this.update();
  }

  get processorPriority(): number {
    const { tpr, isr } = this.state;
    const serviced = Math.max(0, highest(isr));
    return tpr >> 4 >= serviced >> 4 ? tpr : serviced & 0xf0;
  }

  private get arbitrationPriority(): number {
    const { tpr, isr, irr } = this.state;
    const serviced = Math.max(0, highest(isr)) & 0xf0;
    const requested = Math.max(0, highest(irr)) & 0xf0;
    return tpr >> 4 >= requested >> 4 && (tpr & 0xf0) > serviced ? tpr : Math.max(tpr & 0xf0, serviced, requested);
  }

  // ---- interrupts on their way to the processor ----

  private get external(): boolean {
    const { lvt: entries, lines, externalLatched } = this.state;
    if (!this.globallyEnabled) return lines[0];
    return externalLatched || (lines[0] && (entries.lint0 & (LVT_MASKED | 0x700)) === Delivery.ExtInt << 8);
  }

  private update(): void {
    const vector = highest(this.state.irr);
    const requested = this.external || (vector >= 0 && vector >> 4 > this.processorPriority >> 4);
    if (requested === this.interruptRequested) return;
    this.interruptRequested = requested;
    if (requested) this.hooks.interrupt();
  }

  /** The processor takes the interrupt: its vector. */
  acknowledge(): number {
    const { state } = this;
    const vector = highest(state.irr);
    if (vector >= 0 && vector >> 4 > this.processorPriority >> 4) {
      state.irr[vector >> 5] &= ~(1 << (vector & 31));
      state.isr[vector >> 5] |= 1 << (vector & 31);
      this.update();
      return vector;
    }
    if (!this.external) return state.svr & 0xff;
    state.externalLatched = false;
    const answered = this.hooks.externalVector();
    this.update();
    return answered;
  }

  private endOfInterrupt(): void {
    const { state } = this;
    const vector = highest(state.isr);
    if (vector < 0) return;
    const bit = 1 << (vector & 31);
    state.isr[vector >> 5] &= ~bit;
    if (hasBit(state.tmr, vector)) {
      for (const [n, name] of pins.entries()) {
        if ((state.lvt[name] & 0xff) !== vector) continue;
        state.lvt[name] &= ~LVT_REMOTE_IRR;
        this.sensePin(n as 0 | 1);
      }
      this.bus.endOfInterrupt(vector);
    }
    this.update();
  }

  private request(vector: number, level: boolean): void {
    const { state } = this;
    if (vector < 16) {
      this.error(ESR_RECEIVED_VECTOR);
      return;
    }
    const bit = 1 << (vector & 31);
    state.irr[vector >> 5] |= bit;
    if (level) state.tmr[vector >> 5] |= bit;
    else state.tmr[vector >> 5] &= ~bit;
    this.update();
  }

  private error(bits: number): void {
    const { state } = this;
    const known = (state.errors & bits) !== 0;
    state.errors |= bits;
    // An error vector that is itself illegal does not report itself again.
    if (!known) this.local('error');
  }

  // ---- messages from the bus ----

  matches(destination: number, logical: boolean): boolean {
    const { state } = this;
    if (!this.globallyEnabled) return false;
    if (destination === BROADCAST) return true;
    if (!logical) return destination === (this.x2 ? state.id : state.id & 0xff);
    if (this.x2) {
      const ldr = this.logicalId;
      return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
    }
    const ldr = state.ldr >>> 24;
    const mda = destination & 0xff;
    if (state.dfr >>> 28 === 0xf) return (mda & ldr) !== 0;
    return (mda >> 4 === ldr >> 4 || mda >> 4 === 0xf) && (mda & ldr & 0xf) !== 0;
  }

  private get logicalId(): number {
    const { id, ldr } = this.state;
    return this.x2 ? (((id & ~15) << 12) | (1 << (id & 15))) >>> 0 : ldr >>> 0;
  }

  accepts(delivery: Delivery): boolean {
    if (delivery === Delivery.Fixed || delivery === Delivery.LowestPriority || delivery === Delivery.ExtInt) return this.softwareEnabled;
    return this.globallyEnabled;
  }

  receive({ vector, delivery, level }: InterruptMessage): void {
    switch (delivery) {
      case Delivery.Fixed:
      case Delivery.LowestPriority:
        this.request(vector, level);
        break;
      case Delivery.Nmi:
        this.hooks.nmi();
        break;
      case Delivery.Init:
        this.hooks.init();
        break;
      case Delivery.StartUp:
        this.hooks.startUp(vector);
        break;
      case Delivery.ExtInt:
        this.state.externalLatched = true;
        this.update();
        break;
      case Delivery.Smi:
        break;
    }
  }

  // ---- local sources ----

  /** An event of the local vector table. */
  private local(name: LvtName): void {
    const entry = this.state.lvt[name];
    if (entry & LVT_MASKED || !this.softwareEnabled) return;
    const delivery = name === 'timer' || name === 'error' ? Delivery.Fixed : ((entry >>> 8) & 7) as Delivery;
    if (delivery === Delivery.Nmi) this.hooks.nmi();
    else if (delivery === Delivery.Fixed) this.request(entry & 0xff, false);
  }

  private setLine(n: 0 | 1, level: boolean): void {
    const { state } = this;
    if (state.lines[n] === level) return;
    state.lines[n] = level;
    const entry = state.lvt[pins[n]];
    const edgeTriggered = !(entry & LVT_LEVEL) || ((entry >>> 8) & 7) !== Delivery.Fixed;
    if (edgeTriggered && level !== ((entry & LVT_ACTIVE_LOW) !== 0)) this.local(pins[n]);
    this.sensePin(n);
    this.update();
  }

  /** A level-triggered pin requests until its interrupt is in service, and again when that ended with the pin still active. */
  private sensePin(n: 0 | 1): void {
    const { state } = this;
    const name = pins[n];
    const entry = state.lvt[name];
    const active = state.lines[n] !== ((entry & LVT_ACTIVE_LOW) !== 0);
    if (!active || !this.softwareEnabled || (entry & (LVT_LEVEL | LVT_REMOTE_IRR | LVT_MASKED | 0x700)) !== LVT_LEVEL) return;
    state.lvt[name] |= LVT_REMOTE_IRR;
    this.request(entry & 0xff, true);
  }

  // ---- interrupt commands ----

  private sendCommand(icr: number, destination: number): void {
    const vector = icr & 0xff;
    const delivery = ((icr >>> 8) & 7) as Delivery;
    const shorthand = ((icr >>> 18) & 3) as Shorthand;
    const ordinary = delivery === Delivery.Fixed || delivery === Delivery.LowestPriority;
    if (ordinary && vector < 16) {
      this.error(ESR_SENT_VECTOR);
      return;
    }
    // INIT level de-assert only synchronized arbitration, long ago.
    if (delivery === Delivery.Init && icr & ICR_LEVEL && !(icr & ICR_ASSERT)) return;
    const message: InterruptMessage = {
      vector, delivery, level: false, destination: shorthand === Shorthand.None ? destination : BROADCAST,
      logical: shorthand === Shorthand.None && (icr & ICR_LOGICAL) !== 0,
    };
    // With the shorthand "self" only fixed interrupts exist.
    if (shorthand !== Shorthand.Self) this.bus.send(message, shorthand === Shorthand.Others ? this : undefined);
    else if (delivery === Delivery.Fixed && this.accepts(delivery)) this.receive(message);
  }

  // ---- registers ----

  /** The register at an offset (a multiple of 16) of the page. */
  private readRegister(at: number): number {
    const { state, timer } = this;
    switch (at) {
      case Reg.id: return this.x2 ? state.id : (state.id << 24) >>> 0;
      case Reg.version: return VERSION;
      case Reg.tpr: return state.tpr;
      case Reg.apr: return this.arbitrationPriority;
      case Reg.ppr: return this.processorPriority;
      case Reg.ldr: return this.logicalId;
      case Reg.dfr: return state.dfr;
      case Reg.svr: return state.svr;
      case Reg.esr: return state.esr;
      case Reg.icr: return state.icr;
      case Reg.icrHigh: return state.icrHigh;
      case Reg.initialCount: return timer.initial;
      case Reg.currentCount: return timer.current;
      case Reg.divide: return timer.divide;
      case Reg.eoi: case Reg.rrd: return 0;
    }
    const word = (at >> 4) & 7;
    switch (at & ~0x7f) {
      case Reg.isr: return state.isr[word] >>> 0;
      case Reg.tmr: return state.tmr[word] >>> 0;
      case Reg.irr: return state.irr[word] >>> 0;
    }
    for (const name of lvtNames) if (lvt[name].at === at) return state.lvt[name];
    this.error(ESR_REGISTER);
    return 0;
  }

  private writeRegister(at: number, value: number): void {
    const { state, timer } = this;
    switch (at) {
      case Reg.id: state.id = value >>> 24; return;
      case Reg.tpr: this.taskPriority = value & 0xff; return;
      case Reg.eoi: this.endOfInterrupt(); return;
      case Reg.ldr: state.ldr = (value & 0xff000000) >>> 0; return;
      case Reg.dfr: state.dfr = (value | 0x0fffffff) >>> 0; return;
      case Reg.svr: this.writeSvr(value); return;
      case Reg.esr:
        state.esr = state.errors;
        state.errors = 0;
        return;
      case Reg.icr:
        state.icr = value & 0xccfff;
        this.sendCommand(value, wideDestination(state.icrHigh >>> 24));
        return;
      case Reg.icrHigh: state.icrHigh = (value & 0xff000000) >>> 0; return;
      case Reg.initialCount: timer.initial = value; return;
      case Reg.divide: timer.divide = value; return;
      case Reg.version: case Reg.apr: case Reg.ppr: case Reg.rrd: case Reg.currentCount: return;
    }
    for (const name of lvtNames) {
      if (lvt[name].at !== at) continue;
      this.writeLvt(name, value);
      return;
    }
    if (at < Reg.isr || at >= Reg.esr) this.error(ESR_REGISTER);
  }

  private writeSvr(value: number): void {
    const { state } = this;
    state.svr = value & 0x1ff;
    // Software disable masks every local source.
    if (!(value & SVR_ENABLE)) for (const name of lvtNames) state.lvt[name] |= LVT_MASKED;
    this.update();
  }

  private writeLvt(name: LvtName, value: number): void {
    const { state } = this;
    // A model without the deadline has no bit 18.
    const writable = name === 'timer' && !this.options.deadline ? lvt.timer.writable & ~0x40000 : lvt[name].writable;
    const kept = value & LVT_LEVEL ? state.lvt[name] & LVT_REMOTE_IRR : 0;
    state.lvt[name] = (value & writable) | kept | (this.softwareEnabled ? 0 : LVT_MASKED);
    if (name === 'timer') {
      const mode = (value & writable) >>> 17;
      this.timer.mode = mode === 3 ? TimerMode.OneShot : mode;
    }
    if (name === 'lint0') this.sensePin(0);
    if (name === 'lint1') this.sensePin(1);
    this.update();
  }

  /** An access to the page. Registers are 32 bits wide at multiples of 16; narrower reads see their part, narrower writes do nothing. */
  read(offset: number, size: AccessSize): number {
    const at = offset & ~15;
    const within = offset & 15;
    if (within > 3) return 0;
    const value = this.readRegister(at) >>> (8 * within);
    return size === 4 ? value >>> 0 : value & (size === 1 ? 0xff : 0xffff);
  }

  write(offset: number, value: number, size: AccessSize): void {
    if (size === 4 && (offset & 15) === 0) this.writeRegister(offset, value >>> 0);
  }

  // ---- MSRs ----

  /** IA32_APIC_BASE, IA32_TSC_DEADLINE, and MSRs 800h–8FFh; undefined where RDMSR has to raise #GP(0). */
  readMsr(address: number): bigint | undefined {
    if (address === MSR_APIC_BASE) return BigInt(this.state.base);
    if (address === MSR_DEADLINE) return this.options.deadline ? this.timer.deadline : undefined;
    if (!this.x2 || address < MSR_X2_FIRST || address > MSR_X2_LAST) return undefined;
    const at = (address - MSR_X2_FIRST) << 4;
    if (at === Reg.icr) return BigInt(this.state.icrHigh) << 32n | BigInt(this.state.icr);
    return x2Readable.has(at) ? BigInt(this.readRegister(at)) : undefined;
  }

  /** False where WRMSR has to raise #GP(0). */
  writeMsr(address: number, value: bigint): boolean {
    if (address === MSR_APIC_BASE) return this.writeBase(value);
    if (address === MSR_DEADLINE) {
      if (this.options.deadline) this.timer.deadline = value;
      return this.options.deadline;
    }
    if (!this.x2 || address < MSR_X2_FIRST || address > MSR_X2_LAST) return false;
    const at = (address - MSR_X2_FIRST) << 4;
    const low = Number(value & 0xffffffffn);
    if (at === Reg.icr) {
      if (low & ~0xccfff) return false;
      this.state.icr = low;
      this.state.icrHigh = Number(value >> 32n);
      this.sendCommand(low, this.state.icrHigh);
      return true;
    }
    const writable = x2Writable.get(at);
    if (writable === undefined || value >> 32n !== 0n || (low & ~writable) !== 0) return false;
    if (at === Reg.selfIpi) this.sendCommand((low & 0xff) | Shorthand.Self << 18, 0);
    else this.writeRegister(at, low);
    return true;
  }

  /** The transitions of 10.12.5: out of x2APIC mode only by disabling, into it only from xAPIC mode. */
  private writeBase(value: bigint): boolean {
    const { state } = this;
    const low = Number(value & 0xfffn);
    const allowed = BASE_BSP | BASE_ENABLE | (this.options.x2apic ? BASE_X2APIC : 0);
    if (value >> 32n !== 0n || low & ~allowed) return false;
    const enabled = (low & BASE_ENABLE) !== 0, x2 = (low & BASE_X2APIC) !== 0;
    if (x2 && (!enabled || !this.globallyEnabled)) return false;
    if (this.x2 && enabled && !x2) return false;
    if (this.globallyEnabled && !enabled) this.initialize(state.base);
    // x2APIC IDs cannot be written: the one of power-on counts again.
    if (x2 && !this.x2) state.id = this.options.id;
    this.state.base = Number(value);
    this.update();
    this.onBase();
    return true;
  }

  /** Called after IA32_APIC_BASE may have changed: the page may be elsewhere. */
  onBase: () => void = () => { /* nobody maps it yet */ };

  /** The processor's time-stamp counter was written. */
  timeStampChanged(): void {
    this.timer.timeStampChanged();
  }

  registerValues(): readonly (number | undefined)[] {
    return this.registers.map(({ address }) => (address === Reg.eoi ? undefined : this.readRegister(address) >>> 0));
  }

  save(): unknown {
    const { lvt: entries, isr, tmr, irr, lines, ...rest } = this.state;
    return { ...rest, lvt: { ...entries }, isr: [...isr], tmr: [...tmr], irr: [...irr], lines: [...lines], timer: this.timer.save() };
  }

  restore(saved: unknown): void {
    const { timer, ...state } = saved as State & { timer: unknown };
    this.state = { ...state, lvt: { ...state.lvt }, isr: [...state.isr], tmr: [...state.tmr], irr: [...state.irr], lines: [...state.lines] };
    this.timer.restore(timer);
    this.update();
    this.onBase();
  }
}

/** What x2APIC mode lets software read, and write with which bits (table 10-6). */
const x2Readable: ReadonlySet<number> = new Set([
  Reg.id, Reg.version, Reg.tpr, Reg.ppr, Reg.ldr, Reg.svr, Reg.esr, Reg.initialCount, Reg.currentCount, Reg.divide,
  ...lvtNames.map((name) => lvt[name].at),
  ...[Reg.isr, Reg.tmr, Reg.irr].flatMap((first) => [0, 1, 2, 3, 4, 5, 6, 7].map((n) => first + 16 * n)),
]);
const x2Writable: ReadonlyMap<number, number> = new Map<number, number>([
  [Reg.tpr, 0xff], [Reg.eoi, 0], [Reg.svr, 0x1ff], [Reg.esr, 0], [Reg.initialCount, 0xffffffff], [Reg.divide, 0xb], [Reg.selfIpi, 0xff],
  ...lvtNames.map((name) => [lvt[name].at, lvt[name].writable] as const),
]);
