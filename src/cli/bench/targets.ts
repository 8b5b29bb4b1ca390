/** What the engine is held to, a row each: how it is measured, what it must reach and what it aims at. */
import { comparison, cpuMeans, ratios } from './comparison';
import { phaseSeconds, ownMemoryMiB } from './guest-report';
import type { GuestMeasurement } from './guests';
import type { BenchResult } from './results';
import { median } from './statistics';

export interface Target {
  readonly title: string;
  /** 'times': how many times as fast as the peer, more is better. Of milliseconds and MiB less is better. */
  readonly unit: 'times' | 'ms' | 'MiB';
  readonly must: number;
  readonly aim?: number;
  /** Undefined when it was not measured. */
  measured(result: BenchResult): number | undefined;
}

const LINUX = 'linux-686';

function guest({ guests }: BenchResult, contestant: string): GuestMeasurement | undefined {
  return guests.find((one) => one.guest === LINUX && one.contestant === contestant);
}

function phaseRatio(result: BenchResult, peer: string, phase: string): number | undefined {
  const [ours, theirs] = [guest(result, 'ringside'), guest(result, peer)].map((one) => one && phaseSeconds(one, phase));
  return ours !== undefined && theirs !== undefined ? theirs / ours : undefined;
}

function kernelRatios({ measurements }: BenchResult, peer: string): { readonly kernel: string; readonly ratio: number }[] {
  return comparison(measurements).flatMap((row) => {
    const { steady } = ratios(row, peer);
    return steady === undefined ? [] : [{ kernel: row.kernel, ratio: steady }];
  });
}

function smallest(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.min(...values);
}

export const targets: readonly Target[] = [
  { title: 'geometric mean over the CPU kernels, against v86', unit: 'times', must: 2.5, aim: 4, measured: ({ measurements }) => cpuMeans(comparison(measurements), 'v86').steady },
  { title: 'the same against QEMU TCG', unit: 'times', must: 1, aim: 1.5, measured: ({ measurements }) => cpuMeans(comparison(measurements), 'qemu').steady },
  { title: 'the slowest single kernel against v86', unit: 'times', must: 1, measured: (result) => smallest(kernelRatios(result, 'v86').map(({ ratio }) => ratio)) },
  { title: '2,048 functions on 2,048 pages, against v86', unit: 'times', must: 10, aim: 15, measured: (result) => kernelRatios(result, 'v86').find(({ kernel }) => kernel === 'pages2048')?.ratio },
  { title: 'Linux i386 from power-on to init, against v86', unit: 'times', must: 2, aim: 3, measured: (result) => phaseRatio(result, 'v86', 'init') },
  { title: '300 fork and exec in Linux, against v86', unit: 'times', must: 4, aim: 6, measured: (result) => (result.forks === 300 ? phaseRatio(result, 'v86', 'forks') : undefined) },
  { title: 'first batch of a kernel, warm-up included, against v86 (geometric mean)', unit: 'times', must: 2, aim: 4, measured: ({ measurements }) => cpuMeans(comparison(measurements), 'v86').first },
  { title: 'from F5 to the first guest instruction', unit: 'ms', must: 300, aim: 100, measured: ({ startMilliseconds }) => (startMilliseconds?.length ? median(startMilliseconds) : undefined) },
  { title: 'memory after the Linux boot, without the guest\'s 256 MiB', unit: 'MiB', must: 200, aim: 100, measured: (result) => { const ours = guest(result, 'ringside'); return ours && ownMemoryMiB(ours, 'init'); } },
];

export type Verdict = 'aim' | 'must' | 'missed' | 'not measured';

export function verdict({ unit, must, aim }: Target, measured: number | undefined): Verdict {
  if (measured === undefined) return 'not measured';
  const reaches = (goal: number): boolean => (unit === 'times' ? measured >= goal : measured <= goal);
  return aim !== undefined && reaches(aim) ? 'aim' : reaches(must) ? 'must' : 'missed';
}
