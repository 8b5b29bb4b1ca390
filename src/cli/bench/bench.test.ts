import assert from 'node:assert/strict';
import { BatchMarks } from './batch';
import { comparison, cpuMeans, ratios } from './comparison';
import type { Contestant } from './contestant';
import { kernels } from './kernels';
import { measure, steady } from './measure';
import { benchTable } from './report';
import { geometricMean, median } from './statistics';

const progress = (): void => undefined;

/** Takes `first` milliseconds for its first batch and `then` for the others. */
function fake(name: string, first: number, then: number, log: string[] = [], options: Partial<Contestant> = {}): Contestant {
  return {
    name, cpuClock: 'exact', missing: () => undefined, runs: () => true,
    start: (kernel) => {
      let batch = 0;
      return Promise.resolve({
        batch: () => {
          log.push(`${name} ${kernel.name}`);
          batch += 1;
          const milliseconds = batch === 1 ? first : then;
          return Promise.resolve({ wallMilliseconds: milliseconds, cpuMilliseconds: milliseconds + 1, instructions: name === 'ringside' ? 40_000_000 : undefined });
        },
        end: () => { log.push(`end ${name}`); },
      });
    },
    ...options,
  };
}

const [alu, sieve] = kernels;

describe('benchmark', () => {
  it('takes medians and geometric means', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.throws(() => median([]), RangeError);
    assert.ok(Math.abs(geometricMean([2, 8])! - 4) < 1e-12);
    assert.equal(geometricMean([]), undefined);
  });

  it('interleaves the rounds of the contestants after their warm-up, and keeps the first batches apart', async () => {
    const log: string[] = [];
    const measurements = await measure([fake('ringside', 600, 500, log), fake('v86', 1500, 1000, log)], [alu], { rounds: 2, starts: 2, progress });
    const ours = 'ringside alu', theirs = 'v86 alu';
    assert.deepEqual(log, [
      ours, theirs, 'end ringside', ours, 'end v86', theirs, ours, ours, ours, theirs, theirs, theirs, ours, theirs, ours, theirs, 'end ringside', 'end v86',
    ]);
    assert.deepEqual(measurements.map(({ contestant, firstMilliseconds, millisecondsPerBatch, millionsPerSecond }) => [contestant, firstMilliseconds, millisecondsPerBatch, millionsPerSecond]), [
      ['ringside', 600, 500, 80], ['v86', 1500, 1000, undefined],
    ]);
    const [row] = comparison(measurements);
    assert.deepEqual(ratios(row, 'v86'), { steady: 2, first: 2.5 });
    assert.match(benchTable(measurements), /^alu +500 +1000 +2\.00 +80\.0 [^]*^alu +600 +1500 +2\.50 /m);
  });

  it('goes on without a contestant that failed, and says so', async () => {
    const log: string[] = [];
    const wrong = fake('v86', 1, 1, log, { start: () => Promise.resolve({ batch: () => Promise.reject(new Error('wrong result 00000001')), end: () => undefined }) });
    const measurements = await measure([fake('ringside', 500, 200, log), wrong], [alu], { rounds: 1, starts: 1, progress });
    assert.deepEqual(measurements.map(({ error }) => error), [undefined, 'wrong result 00000001']);
    assert.match(benchTable(measurements), /^alu +200 +error +– [^]*^v86 on alu: wrong result 00000001$/m);
  });

  it('leaves out the kernels that a peer does not run', async () => {
    const measurements = await measure([fake('ringside', 500, 200), fake('v86', 900, 400, [], { runs: ({ name }) => name !== 'alu' })], [alu, sieve], { rounds: 1, starts: 1, progress });
    assert.deepEqual(measurements.map(({ kernel, contestant }) => `${kernel} ${contestant}`), ['alu ringside', 'sieve ringside', 'sieve v86']);
  });

  it('takes geometric means over the kernels of the CPU only', () => {
    const one = (kernel: string, contestant: string, milliseconds: number) => ({ kernel, contestant, first: [], batches: [], millisecondsPerBatch: milliseconds, firstMilliseconds: 10 * milliseconds });
    const rows = comparison([one('alu', 'ringside', 1), one('alu', 'v86', 2), one('sieve', 'ringside', 1), one('sieve', 'v86', 8), one('ports', 'ringside', 1), one('ports', 'v86', 100)]);
    const { steady: all, first } = cpuMeans(rows, 'v86');
    assert.ok(Math.abs(all! - 4) < 1e-12 && Math.abs(first! - 4) < 1e-12);
    assert.deepEqual(cpuMeans(rows, 'qemu'), { steady: undefined, first: undefined });
  });

  it('counts processor time where the host let a process wait', () => {
    const batch = (wallMilliseconds: number, cpuMilliseconds: number) => ({ wallMilliseconds, cpuMilliseconds, instructions: undefined });
    assert.equal(steady([batch(10, 12), batch(50, 11), batch(11, 13)], 'exact'), 11);
    // Steps of ten milliseconds: only the sum of many counts, and only when all are long enough to have one.
    assert.equal(steady([batch(90, 80), batch(110, 60), batch(100, 70)], 'coarse'), 70);
    assert.equal(steady([batch(9, 5), { wallMilliseconds: 11, cpuMilliseconds: undefined, instructions: undefined }, batch(10, 5)], 'coarse'), 10);
  });

  it('reads the marks of a batch', () => {
    const events: string[] = [];
    const marks = new BatchMarks({ ready: () => events.push('ready'), started: () => events.push('started'), ended: (wrong) => events.push(`ended ${wrong ?? 'well'}`) });
    for (const character of 'BIO\r\nRS.xS0W0123456789S.') marks.byte(character.charCodeAt(0));
    assert.deepEqual(events, ['ready', 'started', 'ended well', 'started', 'ended 01234567', 'started', 'ended well']);
  });
});
