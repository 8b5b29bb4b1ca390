/**
 * The second tier: decides which units are hot, has a region made around them, puts it in force and takes it back.
 *
 * Heat is sampled: the engine runs in stretches of so many instructions and tells where it stands after each. A unit that is found at work a few
 * times becomes the root of a region. Sampling costs the running code nothing, and stretches grow while everything hot is already in a region.
 *
 * With a compiler of its own thread (region-job.ts) regions are written and compiled there, while the guest goes on; without one, here.
 *
 * In force means: the first records of the root and of the other entries name the region's place in the handlers' table. Links, continuations and the dispatcher know
 * nothing of it. Taking it back restores the record. No region is at work while the runtime is: it has left before any call into TypeScript.
 *
 * The budget: a region looks at it when it goes backward, and goes on only if more is left than any path to the next look can use, so that threaded
 * code can end a run at exactly any count. When a stretch ends for the sake of sampling alone (REGION_EXACT is 0) a region may overrun it.
 */
import { counterAddress, type CounterId } from '../cpu/counters';
import { REGION_STOPPED } from '../cpu/layout';
import type { ThreadedModule } from './handlers';
import { REGION_SLOTS } from './handlers';
import { RegionRecorder } from './region-emitter';
import { regionJob, type RegionCompiler } from './region-job';
import { writeRegion } from './region-module';
import { formRegion, REGION_INSTRUCTIONS_MAX, type RecordReader, type RegionPlan } from './region-former';
import type { TranslationContext } from './context';
import { Tallies } from './tallies';
import type { Translator, Unit } from './translator';

export interface Region {
  readonly root: Unit;
  readonly plan: RegionPlan<Unit>;
  readonly units: readonly Unit[];
  readonly slot: number;
  /** Handlers of its entries' first records. */
  readonly originals: readonly number[];
  /** Units whose first record leads here: the root, and those of the other entries that no other region had taken. */
  readonly entered: readonly Unit[];
  live: boolean;
}

/** When regions are made. */
export interface RegionPolicy {
  /** Samples that make a unit worth a look around, which fade ({@link FADING}); 0: no unit ever is. */
  readonly hot: number;
  /** Samples that each unit of a region has on average: less is not worth its compilation. */
  readonly each: number;
  /** Instructions between samples. */
  readonly shortestStretch: number;
  readonly longestStretch: number;
  /** A unit becomes a region as soon as it is translated, … */
  readonly atOnce?: boolean;
  /** … or not, and is taken back at any time: by the throw of a die that falls the same way in every run. */
  readonly random?: boolean;
}

export const regionPolicies = {
  adaptive: { hot: 3, each: 3, shortestStretch: 0x1000, longestStretch: 0x10000 },
  threaded: { hot: 0, each: 0, shortestStretch: 0x40000000, longestStretch: 0x40000000 },
  // For tests: the same results must come out.
  eager: { hot: 1, each: 0, shortestStretch: 64, longestStretch: 64, atOnce: true },
  random: { hot: 1, each: 0, shortestStretch: 64, longestStretch: 1024, atOnce: true, random: true },
} as const satisfies Record<string, RegionPolicy>;
export type TranslationMode = keyof typeof regionPolicies;

/**
 * After so many instructions a unit's samples count half. What is lukewarm never becomes a region, however long it runs: a region's code is many times as
 * long as the guest's, and comes from memory each time, while threaded code's handlers are shared.
 */
const FADING = 1 << 26;

/** Samples until a unit that could not become a region is tried again, beyond those that make it hot. */
const COOLED = 100;

/** What stands in the entries' first records without the region, and does their instructions. */
const withoutRegion = ({ plan, originals }: Pick<Region, 'plan' | 'originals'>): number[] => plan.entries.map((block, n) => plan.blocks[block].unit.tally?.slot ?? originals[n]);

/** Handler of the first record of a unit through which a region is entered. */
export function originalHandler(unit: Unit): number | undefined {
  const { region } = unit;
  return region?.originals[region.plan.entries.findIndex((block) => region.plan.blocks[block].unit === unit)];
}

/** Too short a rest until the next look is not worth a run of its own. */
const SHORTEST_RUN = 64;

/** Looks that are remembered for people who ask what is hot. */
const LOOKS_KEPT = 1024;

function canHold(context: TranslationContext): boolean {
  return context.codeSize !== 16 && context.flat && context.cut === 'full';
}

/** What regions need of an instance of a threaded module: of the one of 16- and 32-bit code or of the one of 64-bit code. */
export interface ThreadedExports {
  readonly handlers: WebAssembly.Table;
  readonly go: CallableFunction;
  readonly goThrough: CallableFunction;
  readonly dispatch: CallableFunction;
}

/** One of the two modules at work, and its places for regions. */
class Tier {
  readonly source: RecordReader;
  readonly freeSlots: number[] = [];

  constructor(readonly threaded: ThreadedExports, module: ThreadedModule, memory: WebAssembly.Memory, translator: Translator) {
    const u32 = new Uint32Array(memory.buffer);
    this.source = {
      u8: new Uint8Array(memory.buffer), u16: new Uint16Array(memory.buffer), u32,
      form: (handler) => module.formOf[handler],
      handler: (record) => {
        const handler = u32[record >> 2];
        if (handler < module.firstRegionSlot) return handler;
        const unit = translator.unitOfRecord(record)!;
        return unit.tally?.original ?? originalHandler(unit)!;
      },
    };
    for (let slot = REGION_SLOTS - 1; slot >= 0; slot--) this.freeSlots.push(module.firstRegionSlot + slot);
  }
}

/** Jobs that may wait for the compiler: what is still hot will be found again. */
const JOBS_MAX = 32;

/** A region on its way. */
interface Job {
  readonly plan: RegionPlan<Unit>;
  readonly originals: readonly number[];
  /** The units' when the job was made. */
  readonly versions: readonly number[];
}

export class Regions {
  /** By the context's code size: 32 or 64. */
  private readonly tiers = new Map<number, Tier>();
  /** Regions in force, oldest first. */
  private readonly inForce = new Set<Region>();
  readonly tallies: Tallies;
  private readonly u32: Uint32Array;
  private stretch: number;
  private retired = 0;
  /** Instructions until the next look. Faults and events end runs of threaded code long before. */
  private due: number;
  private die = 0x2545f491;
  /** Regions that the compiler is at, by the number of the job. */
  private readonly jobs = new Map<number, Job>();
  private jobsMade = 0;
  /** What the last looks found, as a ring. */
  private readonly recent: Unit[] = [];
  private looked = 0;

  constructor(
    private readonly memory: WebAssembly.Memory, private readonly translator: Translator, private readonly policy: RegionPolicy,
    /** The instance that runs code of a size, which has run by then. */
    private readonly threaded: (codeSize: number) => { readonly module: ThreadedModule; readonly exports: ThreadedExports },
    private readonly compiler?: RegionCompiler,
  ) {
    this.due = this.stretch = policy.shortestStretch;
    this.u32 = new Uint32Array(memory.buffer);
    this.tallies = new Tallies(memory, translator, (codeSize) => {
      const { module, exports } = threaded(codeSize);
      return { handlers: exports.handlers, goThrough: exports.goThrough, firstSlot: module.firstTallySlot };
    }, (region) => this.rewrite(region));
    translator.onDiscard = (unit) => {
      for (const region of unit.regions ?? []) this.discard(region);
      this.tallies.discarded(unit);
    };
    translator.onFlush = () => {
      for (const region of [...this.inForce]) this.discard(region);
      this.jobs.clear();
      this.stretch = this.policy.shortestStretch;
      this.recent.length = this.looked = 0;
      this.tallies.flushed();
    };
  }

  private tierOf({ codeSize }: TranslationContext): Tier {
    let tier = this.tiers.get(codeSize);
    if (!tier) {
      const { module, exports } = this.threaded(codeSize);
      tier = new Tier(exports, module, this.memory, this.translator);
      this.tiers.set(codeSize, tier);
    }
    return tier;
  }

  /** Instructions until the next sample, of `left` that may run; and whether the run has to end with exactly so many. */
  plan(left: number): { readonly count: number; readonly exact: boolean } {
    const count = Math.max(this.due, SHORTEST_RUN);
    return left - count > 2 * REGION_INSTRUCTIONS_MAX ? { count, exact: false } : { count: left, exact: true };
  }

  /** So many instructions have run. True when it is time for a look at where execution stands. */
  ran(instructions: number): boolean {
    this.due -= instructions;
    this.retired += instructions;
    return this.due <= 0;
  }

  /** A look: execution stands at the unit of a linear address. */
  sample(linear: number, context: TranslationContext): void {
    this.look(linear, context);
    this.due = this.stretch;
  }

  private look(linear: number, context: TranslationContext): void {
    if (this.jobs.size > 0) this.takeFinished();
    const found = this.translator.find(linear, context);
    // Where a run ends exactly it looks after every instruction: that tells nothing.
    if (found && context.cut === 'full') this.recent[this.looked++ % LOOKS_KEPT] = found;
    if (!canHold(context) || this.policy.hot === 0) return;
    if (this.policy.random) this.takeOneBack();
    const inRegion = this.u32[REGION_STOPPED >> 2] !== 0;
    this.u32[REGION_STOPPED >> 2] = 0;
    // A unit of a region that is at work outside of it is entered from somewhere else: it may become the root of another one.
    const unit = inRegion ? undefined : found;
    if (unit && unit.restless > 0) unit.restless--;
    if (!unit || unit.region || unit.restless > 0) {
      this.stretch = Math.min(this.stretch * 2, this.policy.longestStretch);
      return;
    }
    // What was refused is no reason to look often.
    this.stretch = unit.heat < 0 ? Math.min(this.stretch * 2, this.policy.longestStretch) : this.policy.shortestStretch;
    unit.heat = this.faded(unit) + 1;
    // Each time it has become twice as hot.
    const times = unit.heat / this.policy.hot;
    if (!Number.isInteger(times) || times < 1 || (times & (times - 1)) !== 0 || this.jobs.size >= JOBS_MAX) return;
    this.make(unit);
  }

  /** A unit's samples as they count by now. */
  private faded(unit: Unit): number {
    const age = Math.floor(this.retired / FADING);
    if (unit.heat > 0) unit.heat >>= Math.min(age - unit.heatAge, 31);
    unit.heatAge = age;
    return unit.heat;
  }

  /** A unit is about to run, perhaps for the first time. */
  entered(unit: Unit): void {
    if (!this.policy.atOnce || !canHold(unit.context) || !unit.live || unit.regions?.size || (this.policy.random && this.throwDie() % 2)) return;
    this.make(unit);
  }

  /** Units that were found at work in the last looks; some may be discarded by now. */
  looks(): readonly Unit[] {
    return this.recent;
  }

  /** How many of these looks found a unit. */
  samplesOf(unit: Unit): number {
    return this.recent.reduce((sum, one) => (one === unit ? sum + 1 : sum), 0);
  }

  /** Regions in force, oldest first. */
  list(): Iterable<Region> {
    return this.inForce;
  }

  /** A region's code as it was written, told by writing it once more. */
  record(region: Region): RegionRecorder {
    const recorder = new RegionRecorder();
    writeRegion(region.plan, this.tierOf(region.root.context).source, withoutRegion(region), recorder);
    return recorder;
  }

  private throwDie(): number {
    this.die ^= this.die << 13;
    this.die ^= this.die >>> 17;
    this.die ^= this.die << 5;
    return this.die >>> 0;
  }

  private takeOneBack(): void {
    const regions = [...this.inForce];
    if (regions.length) this.discard(regions[this.throwDie() % regions.length]);
  }

  private make(root: Unit): void {
    const tier = this.tierOf(root.context);
    const { source } = tier;
    const plan = formRegion(root, this.translator, source);
    if (plan && plan.blocks.reduce((sum, { unit }) => sum + Math.max(0, this.faded(unit)), 0) < plan.blocks.length * this.policy.each) return;
    // What cannot be a root now may be one later, when more of its links are in use.
    root.heat = -COOLED;
    if (!plan) return;
    const originals = plan.entries.map((block) => source.handler(plan.blocks[block].unit.record));
    if (this.compiler && !this.policy.atOnce && this.submit(plan, source, originals)) return;
    const made = this.compile({ plan, originals }, tier);
    if (made) this.enforce(plan, tier, originals, made);
  }

  /** False when there is nobody to do it. */
  private submit(plan: RegionPlan<Unit>, source: RecordReader, originals: readonly number[]): boolean {
    // Units that are counted are the machine's own affair.
    if (plan.blocks.some(({ unit }) => unit.tally)) return false;
    const id = ++this.jobsMade;
    if (!this.compiler!.submit(regionJob(id, plan, source))) return false;
    this.jobs.set(id, { plan, originals, versions: plan.blocks.map(({ unit }) => unit.version) });
    return true;
  }

  /** Takes what the compiler has finished, as far as it still holds. */
  private takeFinished(): void {
    for (const { id, module } of this.compiler!.finished()) {
      const job = this.jobs.get(id);
      this.jobs.delete(id);
      if (!job || !module) continue;
      const { plan, originals, versions } = job;
      const root = plan.blocks[0].unit;
      const asItWas = plan.blocks.every(({ unit }, n) => unit.live && unit.version === versions[n] && unit.restless === 0 && !unit.tally);
      if (!asItWas || root.region || this.u32[root.record >> 2] !== originals[0]) continue;
      const tier = this.tierOf(root.context);
      this.enforce(plan, tier, originals, this.instantiate(module, tier));
    }
  }

  private instantiate(module: WebAssembly.Module, { threaded }: Tier): CallableFunction {
    return new WebAssembly.Instance(module, { machine: { memory: this.memory }, threaded: { ...threaded } }).exports.region as CallableFunction;
  }

  private enforce(plan: RegionPlan<Unit>, tier: Tier, originals: readonly number[], made: CallableFunction): void {
    const root = plan.blocks[0].unit;
    const { threaded, freeSlots } = tier;
    if (!freeSlots.length) this.makeRoom(tier);
    const slot = freeSlots.pop()!;
    threaded.handlers.set(slot, made);
    const region: Region = { root, plan, units: plan.blocks.map(({ unit }) => unit), slot, originals, entered: plan.entries.map((block) => plan.blocks[block].unit).filter((unit) => !unit.region), live: true };
    for (const unit of region.units) (unit.regions ??= new Set()).add(region);
    for (const unit of region.entered) {
      unit.region = region;
      this.u32[unit.record >> 2] = slot;
    }
    this.inForce.add(region);
    this.count('regionsTranslated');
  }

  /** Undefined when the region would leave at its first instruction. */
  private compile(region: Pick<Region, 'plan' | 'originals'>, tier: Tier): CallableFunction | undefined {
    const written = writeRegion(region.plan, tier.source, withoutRegion(region));
    return written && this.instantiate(new WebAssembly.Module(written), tier);
  }

  /** Other units of the region are counted than before. */
  private rewrite(region: Region): void {
    const tier = this.tierOf(region.root.context);
    if (region.live) tier.threaded.handlers.set(region.slot, this.compile(region, tier)!);
  }

  private discard(region: Region): void {
    if (!region.live) return;
    region.live = false;
    const handlers = withoutRegion(region);
    for (const unit of region.entered) {
      unit.region = undefined;
      this.u32[unit.record >> 2] = handlers[region.plan.entries.findIndex((block) => region.plan.blocks[block].unit === unit)];
    }
    for (const unit of region.units) {
      unit.regions!.delete(region);
      unit.heat = 0;
    }
    const { threaded, freeSlots } = this.tierOf(region.root.context);
    threaded.handlers.set(region.slot, null);
    freeSlots.push(region.slot);
    this.inForce.delete(region);
    this.count('regionsDiscarded');
  }

  /** The older half of a tier's regions goes: what is still hot will be found again. */
  private makeRoom(tier: Tier): void {
    const regions = [...this.inForce].filter(({ root }) => this.tierOf(root.context) === tier);
    for (const region of regions.slice(0, Math.ceil(regions.length / 2))) this.discard(region);
  }

  private count(id: CounterId): void {
    const at = counterAddress(id) >> 2;
    this.u32[at]++;
    if (this.u32[at] === 0) this.u32[at + 1]++;
  }
}
