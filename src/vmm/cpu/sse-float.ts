/**
 * The exact way of SSE's floating-point instructions: by mnemonic, on registers in the state page. MXCSR gathers the exceptions; an unmasked
 * one raises #XM (or #UD without CR4.OSXMMEXCPT) and leaves the destination alone.
 */
import { runtimeOperations, WIDE_GENERAL } from '../isa/rows/sse-float';
import { Cr4, Flag } from './bits';
import type { Callout } from './callouts';
import type { Cpu } from './cpu';
import { GuestFault, undefinedOpcode, Vector } from './exceptions';
import { MXCSR } from './layout';
import { double, isDenormal, isInfinite, isNaN, isZero, Mxcsr, single, SoftFloat, type Format, type Rounding } from './soft-float';
import type { CpuState } from './state';

const soft = new SoftFloat();
/** Invalid, denormal and divide-by-zero are found before anything is calculated: with one of them unmasked the others do not arise. */
const BEFORE = Mxcsr.IE | Mxcsr.DE | Mxcsr.ZE;
const ALL = 0x3f;

/** What an operation is applied to. Elements are read and written as bits. */
interface Site {
  readonly state: CpuState;
  readonly to: number;
  readonly from: number;
  readonly control: number;
  readonly wide: boolean;
}

const bytesOf = (f: Format): number => f.bits / 8;
function element(state: CpuState, at: number, f: Format, n: number): bigint {
  return f.bits === 32 ? BigInt(state.u32[(at >> 2) + n]) : state.u64[(at >> 3) + n];
}
/** Integers of 32 bits, signed. */
const integer = (state: CpuState, at: number, n: number): bigint => BigInt(state.u32[(at >> 2) + n] | 0);

/** Results before they may be written: bits of `bits` bits each, the lowest first. Returns undefined when flags are all there is. */
type Operation = (site: Site) => { readonly f: { readonly bits: number }; readonly results: readonly bigint[]; readonly clearTo?: number } | undefined;

/** Runs every element; the exceptions that precede calculation keep those behind it from showing, if one of them is unmasked. */
function elementwise(f: Format, count: number, site: Site, one: (x: bigint, y: bigint, n: number) => bigint): { f: Format; results: bigint[] } {
  const { state, to, from } = site;
  const results: bigint[] = [];
  for (let n = 0; n < count; n++) results.push(one(element(state, to, f, n), element(state, from, f, n), n));
  return { f, results };
}

const predicates: readonly ((order: number | undefined) => boolean)[] = [
  (o) => o === 0, (o) => o === -1, (o) => o === -1 || o === 0, (o) => o === undefined,
  (o) => o !== 0, (o) => o !== -1, (o) => !(o === -1 || o === 0), (o) => o !== undefined,
];
/** Less and less-or-equal find any NaN invalid. */
const QUIET_PREDICATES = 0b10011001;

function approximate(f: Format, y: bigint, root: boolean): bigint {
  if (isNaN(f, y)) return y | f.quiet;
  const sign = y & f.sign;
  if (isZero(f, y) || isDenormal(f, y)) return sign | f.infinity;
  if (root && sign !== 0n) return f.indefinite;
  if (isInfinite(f, y)) return sign;
  const bits = new DataView(new ArrayBuffer(4));
  bits.setUint32(0, Number(y));
  const value = bits.getFloat32(0);
  bits.setFloat32(0, root ? 1 / Math.sqrt(value) : 1 / value);
  const result = BigInt(bits.getUint32(0));
  // The least normal number is lost as well.
  return (result & ~f.sign) <= f.fractionMask + 1n ? sign : result;
}

/** The operands of one instruction's elements by its name: [operation, scalar, format]. */
function arithmetic(name: string): Operation {
  const suffix = name.slice(-2), base = name.slice(0, -2);
  const f = suffix.endsWith('s') ? single : double;
  const count = suffix.startsWith('p') ? 128 / f.bits : 1;
  const each = (one: (x: bigint, y: bigint, n: number, site: Site) => bigint): Operation => (site) => elementwise(f, count, site, (x, y, n) => one(x, y, n, site));
  switch (base) {
    case 'add': case 'sub': case 'mul': case 'div': return each((x, y) => soft[base](f, x, y));
    case 'sqrt': return each((_x, y) => soft.sqrt(f, y));
    case 'min': case 'max': return each((x, y) => soft.extreme(f, x, y, base === 'min'));
    case 'cmp': return each((x, y, _n, { control }) => {
      const predicate = control & 7;
      return predicates[predicate](soft.compare(f, x, y, ((QUIET_PREDICATES >> predicate) & 1) !== 0)) ? (1n << BigInt(f.bits)) - 1n : 0n;
    });
    case 'rcp': case 'rsqrt': return each((_x, y) => approximate(f, y, base === 'rsqrt'));
    case 'addsub': return each((x, y, n) => (n & 1 ? soft.add(f, x, y) : soft.sub(f, x, y)));
    case 'hadd': case 'hsub': return ({ state, to, from }) => ({
      f, results: Array.from({ length: count }, (_, n) => {
        const at = n < count / 2 ? to : from, first = (2 * n) % count;
        return soft[base === 'hadd' ? 'add' : 'sub'](f, element(state, at, f, first), element(state, at, f, first + 1));
      }),
    });
    case 'round': return each((_x, y, _n, { state, control }) =>
      soft.roundToInteger(f, y, (control & 4 ? (state.u32[MXCSR >> 2] >> Mxcsr.RoundingShift) & 3 : control & 3) as Rounding, (control & 8) !== 0));
    case 'dp': return dotProduct(f, 128 / f.bits);
    default: throw new Error(`sse-float: ${name} is no operation`);
  }
}

/** Products that the upper control bits select, summed in pairs; the lower bits say which elements get the sum. */
function dotProduct(f: Format, count: number): Operation {
  return ({ state, to, from, control }) => {
    const products = Array.from({ length: count }, (_, n) => (((control >> (4 + n)) & 1) !== 0 ? soft.mul(f, element(state, to, f, n), element(state, from, f, n)) : 0n));
    // An unmasked exception ends the instruction after the products, or after the first sums.
    raise(state);
    let sums = products;
    while (sums.length > 1) {
      sums = Array.from({ length: sums.length / 2 }, (_, n) => soft.add(f, sums[2 * n], sums[2 * n + 1]));
      raise(state);
    }
    return { f, results: products.map((_, n) => ((control >> n) & 1 ? sums[0] : 0n)) };
  };
}

function conversion(name: string): Operation {
  const [, truncating, from, to] = /^cvt(t?)(\w\w)2(\w\w)$/.exec(name) ?? [];
  const truncate = truncating !== '';
  const formatOf = (what: string): Format => (what.endsWith('s') ? single : double);
  const count = /^[sp]s$|^[sp]d$/.test(from) && from.startsWith('s') || from === 'si' ? 1 : from === 'pd' || to === 'pd' || from === 'pi' || to === 'pi' ? 2 : 4;
  const list = (one: (n: number) => bigint): bigint[] => Array.from({ length: count }, (_, n) => one(n));
  if (from === 'si' || from === 'dq' || from === 'pi') {
    const f = formatOf(to);
    return ({ state, from: at, wide }) => ({ f, results: list((n) => soft.fromInteger(f, wide ? BigInt.asIntN(64, state.u64[at >> 3]) : integer(state, at, n))) });
  }
  const f = formatOf(from);
  if (to === 'si' || to === 'dq' || to === 'pi') {
    return ({ state, from: at, wide }) => {
      const bits = wide ? 64 : 32;
      const results = list((n) => BigInt.asUintN(bits, soft.toInteger(f, element(state, at, f, n), bits, truncate)));
      // A doubleword in a general register clears the upper half; two doublewords in an XMM register the other two.
      return { f: { bits }, results, clearTo: to === 'si' ? 8 : to === 'dq' ? 16 : 8 };
    };
  }
  const target = formatOf(to);
  return ({ state, from: at }) => ({ f: target, results: list((n) => soft.convert(f, target, element(state, at, f, n))), ...(from.startsWith('p') ? { clearTo: 16 } : {}) });
}

function comparison(name: string): Operation {
  const f = name.endsWith('ss') ? single : double;
  return ({ state, to, from }) => {
    const order = soft.compare(f, element(state, to, f, 0), element(state, from, f, 0), name.startsWith('u'));
    raise(state);
    const flags = order === undefined ? Flag.ZF | Flag.PF | Flag.CF : order === 0 ? Flag.ZF : order < 0 ? Flag.CF : 0;
    state.eflags = (state.eflags & ~Flag.Arithmetic) | flags;
    return undefined;
  };
}

const operations: readonly Operation[] = runtimeOperations.map((name) =>
  (name.includes('comis') ? comparison(name) : name.startsWith('cvt') ? conversion(name) : arithmetic(name)));

class Unmasked {}

/** Notes the exceptions in MXCSR; throws when one is not masked. */
function raise(state: CpuState): void {
  const mxcsr = state.u32[MXCSR >> 2];
  const unmasked = ~(mxcsr >> Mxcsr.MaskShift) & ALL;
  const early = soft.flags & BEFORE & unmasked;
  const flags = early ? soft.flags & BEFORE : soft.flags;
  state.u32[MXCSR >> 2] = mxcsr | flags;
  if (flags & unmasked) throw new Unmasked();
}

function execute(cpu: Cpu, operation: number, to: number, from: number): void {
  const { state } = cpu;
  soft.begin(state.u32[MXCSR >> 2]);
  const outcome = operations[operation & 0xff]({ state, to, from, control: (operation >> 8) & 0xff, wide: (operation & WIDE_GENERAL) !== 0 });
  raise(state);
  if (!outcome) return;
  const { f, results, clearTo = 0 } = outcome;
  results.forEach((bits, n) => {
    if (f.bits === 32) state.u32[(to >> 2) + n] = Number(bits);
    else state.u64[(to >> 3) + n] = bits;
  });
  const written = results.length * bytesOf(f as Format);
  if (written < clearTo) state.u8.fill(0, to + written, to + clearTo);
}

export const sseFloat: Callout = (cpu, _site, operation, to, from) => {
  try {
    execute(cpu, operation, to, from);
  } catch (failure) {
    if (!(failure instanceof Unmasked)) throw failure;
    if (!(cpu.state.cr4 & Cr4.OSXMMEXCPT)) throw undefinedOpcode('an unmasked SIMD floating-point exception with CR4.OSXMMEXCPT clear');
    throw new GuestFault(Vector.XM, undefined, 'an unmasked SIMD floating-point exception');
  }
  return 0;
};
