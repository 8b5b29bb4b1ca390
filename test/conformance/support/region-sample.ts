/**
 * Which shapes of the silicon data run in regions besides threaded code. Each takes a module of its own, so it is every fourth of each encoding, the
 * first among them; `RINGSIDE_REGIONS=all npm run test:suite -- conformance silicon` runs all of them.
 */
const EVERY = 4;
const everything = process.env.RINGSIDE_REGIONS === 'all';

/** The document counts the sample. */
export const isSample = !everything;

export class RegionSample {
  private readonly seen = new Map<unknown, number>();

  wants(key: unknown): boolean {
    const n = this.seen.get(key) ?? 0;
    this.seen.set(key, n + 1);
    return everything || n % EVERY === 0;
  }
}
