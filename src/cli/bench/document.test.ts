import assert from 'node:assert/strict';
import { ratioChart } from './chart';
import { performanceChart, performanceDocument } from './document';
import type { Measurement } from './measure';
import { targetsTable } from './report';
import { mergeResults, type BenchResult } from './results';
import { targets, verdict, type Target } from './targets';

const one = (kernel: string, contestant: string, millisecondsPerBatch: number): Measurement => ({
  kernel, contestant, millisecondsPerBatch, firstMilliseconds: 10 * millisecondsPerBatch, first: [], batches: [],
});

const MiB = 1 << 20;
const seconds = (wall: number) => [{ wallMilliseconds: 1000 * wall, cpuMilliseconds: undefined }];
const linux = (contestant: string, init: number, forks: number) => ({
  guest: 'linux-686', contestant, phases: { init: seconds(init), forks: seconds(forks) }, memory: { init: { resident: 350 * MiB, guest: 200 * MiB } },
});

const result: BenchResult = mergeResults([
  { rounds: 5, starts: 2, date: '2026-01-02T03:04:05Z', measurements: [one('alu', 'ringside', 1), one('alu', 'v86', 3), one('alu', 'qemu', 1), one('pages2048', 'ringside', 1), one('pages2048', 'v86', 12), one('ports', 'ringside', 2), one('ports', 'v86', 1)] },
  { forks: 300, guests: [linux('ringside', 2, 1), linux('v86', 5, 7), linux('qemu', 3, 1)] },
  { startMilliseconds: [900, 210, 230] },
]);

describe('the report of the benchmark', () => {
  it('measures every target', () => {
    const measured = targets.map((target) => target.measured(result));
    assert.ok(Math.abs(measured[0]! - 6) < 1e-12, 'v86');
    assert.deepEqual(measured.slice(1, 6), [1, 0.5, 12, 2.5, 7]);
    assert.ok(Math.abs(measured[6]! - 6) < 1e-12, 'first');
    assert.deepEqual(measured.slice(7), [230, 150]);
    const none = mergeResults([]);
    for (const target of targets) assert.equal(target.measured(none), undefined, target.title);
    // Another number of programs is another measurement.
    assert.equal(targets[5].measured({ ...result, forks: 20_000 }), undefined);
  });

  it('judges by what is better: more of a ratio, less of time and memory', () => {
    const target = (unit: Target['unit'], must: number, aim?: number): Target => ({ title: '', unit, must, aim, measured: () => undefined });
    assert.deepEqual([1, 2, 3].map((value) => verdict(target('times', 2, 3), value)), ['missed', 'must', 'aim']);
    assert.deepEqual([301, 300, 100].map((value) => verdict(target('ms', 300, 100), value)), ['missed', 'must', 'aim']);
    assert.equal(verdict(target('times', 1), 7), 'must');
    assert.equal(verdict(target('MiB', 1), undefined), 'not measured');
  });

  it('replaces what a later file measured again, and keeps the rest', () => {
    const merged = mergeResults([result, { rounds: 9, starts: 1, measurements: [one('alu', 'v86', 30)] }]);
    assert.equal(merged.measurements.length, result.measurements.length);
    assert.equal(merged.measurements.find(({ kernel, contestant }) => kernel === 'alu' && contestant === 'v86')?.millisecondsPerBatch, 30);
    assert.deepEqual([merged.rounds, merged.forks, merged.guests.length], [9, 300, 3]);
  });

  it('fills the document with tables', () => {
    const text = performanceDocument(result);
    assert.doesNotMatch(text, /\{\{|undefined|NaN/);
    assert.match(text, /^\| geometric mean over the CPU kernels, against v86 \| 2\.50× \| 4\.00× \| 6\.00× \| yes, and what was aimed at \|$/m);
    assert.match(text, /^\| the slowest single kernel against v86 \| 1\.00× \| {2}\| 0\.50× \| \*\*no\*\* \|$/m);
    assert.match(text, /^\| alu: [^|]+ \| 1\.00 \| 3\.00 \| 1\.00 \| 3\.00 \| 1\.00 \|$/m);
    assert.match(text, /^\| linux-686: 300 fork and exec, s \| 1\.00 \| 7\.00 \| 1\.00 \| 7\.00 \| 1\.00 \|$/m);
    assert.match(targetsTable(result), /^from F5 [^\n]+ 300 ms +100 ms +230 ms +must/m);
  });

  it('draws bars to both sides of the line of equal speed', () => {
    const svg = ratioChart({ title: 'a < b', series: ['v86', 'QEMU'], groups: [{ title: 'G', rows: [{ label: 'fast', ratios: [4, undefined] }, { label: 'slow', ratios: [0.25, 1000] }] }] });
    const bars = [...svg.matchAll(/<rect class="s\d" x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="10"/g)].map(([, x, width]) => [Number(x), Number(x) + Number(width)]);
    const equal = Number(/class="equal" x1="([\d.]+)"/.exec(svg)?.[1]);
    assert.equal(bars.length, 3);
    const near = (a: number, b: number): boolean => Math.abs(a - b) < 0.2;
    assert.ok(near(bars[0][0], equal) && bars[0][1] > equal, 'right of the line');
    assert.ok(near(bars[1][1], equal) && near(equal - bars[1][0], bars[0][1] - equal), 'as far to the left');
    assert.ok(bars[2][1] <= 820.2, 'beyond the axis it ends at its end');
    assert.match(svg, /a &lt; b/);
    assert.match(performanceChart(result), /<text[^>]*>alu<\/text>/);
  });
});
