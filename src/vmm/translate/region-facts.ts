/**
 * What is known at a point of a region, whichever way execution came there: checks that need not be made again. Nothing outside changes while a region
 * is at work, so a fact holds until an instruction of the region ends it.
 */
import type { FloatType, ValueType } from '../isa/vector';

/** Which readings of a vector consist of zeros and normal numbers: its lowest double or single, or all of them. */
export const enum Plain { Double = 1, Single = 2, Doubles = 4, Singles = 8 }
export const ALL_PLAIN = 15;

/** The reading that a value of a type is, as numbers of `float`. */
export function plainBits(type: ValueType, float: FloatType): number {
  if (type === 'v128') return float === 'f64' ? Plain.Double | Plain.Doubles : Plain.Single | Plain.Singles;
  return float === 'f64' ? Plain.Double : Plain.Single;
}

/** Beside the bits of FpuAccess: no x87 exception is pending. */
export const NO_PENDING_EXCEPTION = 0x100;

export interface Facts {
  /** Units that may be used (FpuAccess), and {@link NO_PENDING_EXCEPTION}. */
  units: number;
  /** MXCSR rounds to nearest and masks the precision exception. */
  nearest: boolean;
  /** MXCSR has noted the precision exception. */
  noted: boolean;
  /** Of each XMM register: bits of {@link Plain}. */
  plain: readonly number[];
}

const VECTORS = 16;

export const nothing = (): Facts => ({ units: 0, nearest: false, noted: false, plain: new Array<number>(VECTORS).fill(0) });

/** What holds on both ways; the first argument when it is no more than the second. */
export function meetFacts(a: Facts, b: Facts): Facts {
  const units = a.units & b.units;
  const nearest = a.nearest && b.nearest;
  const noted = a.noted && b.noted;
  const plain = a.plain.map((bits, n) => bits & b.plain[n]);
  return units === a.units && nearest === a.nearest && noted === a.noted && plain.every((bits, n) => bits === a.plain[n])
    ? a : { units, nearest, noted, plain };
}
