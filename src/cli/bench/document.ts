/** docs/performance.md and its chart out of results; the prose stands in performance.md beside this file. */
import { ratioChart } from './chart';
import { comparison, cpuMeans, ratios, OURS, type ComparisonRow, type Ratios } from './comparison';
import { guestPhases } from './guest-phases';
import { ownMemoryMiB, phaseSeconds } from './guest-report';
import type { KernelGroup } from './kernels';
import template from './performance.md';
import { number } from './number';
import type { BenchResult } from './results';
import { targets, verdict, type Target, type Verdict } from './targets';

const peers = ['v86', 'qemu'] as const;
const peerNames = ['v86', 'QEMU TCG'];

const groupTitles: Readonly<Record<KernelGroup, string>> = { cpu: 'Kernels of the CPU', system: 'What operating systems do', long: '64-bit code' };
const verdicts: Readonly<Record<Verdict, string>> = { aim: 'yes, and what was aimed at', must: 'yes', missed: '**no**', 'not measured': 'not measured' };

export function performanceDocument(result: BenchResult): string {
  const sections: Readonly<Record<string, string>> = {
    targets: targetsTable(result), kernels: kernelsTable(result, 'steady'), first: kernelsTable(result, 'first'), linux: linuxTable(result), host: host(result),
  };
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => sections[name]);
}

export function performanceChart({ measurements }: BenchResult): string {
  const rows = comparison(measurements);
  const group = (of: KernelGroup) => ({
    title: groupTitles[of], rows: rows.filter((row) => row.group === of).map((row) => ({ label: row.kernel, ratios: peers.map((peer) => ratios(row, peer).steady) })),
  });
  const means = { title: 'Geometric mean', rows: [{ label: 'CPU kernels', ratios: peers.map((peer) => cpuMeans(rows, peer).steady) }] };
  return ratioChart({ title: 'How many times as long the peers take for the same work (more than 1: Ringside is faster)', series: peerNames, groups: [means, group('cpu'), group('system')] });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, n) => (n === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function targetsTable(result: BenchResult): string {
  const goal = ({ unit }: Target, value: number | undefined): string => (value === undefined ? '' : unit === 'times' ? `${number(value)}×` : `${number(value)} ${unit}`);
  return table(['', 'must', 'aim', 'measured', 'reached'], targets.map((target) => {
    const measured = target.measured(result);
    return [target.title, goal(target, target.must), goal(target, target.aim), goal(target, measured), verdicts[verdict(target, measured)]];
  }));
}

function kernelsTable({ measurements }: BenchResult, phase: keyof Ratios): string {
  const rows = comparison(measurements);
  const key = phase === 'steady' ? 'millisecondsPerBatch' : 'firstMilliseconds';
  const figure = (row: ComparisonRow, name: string): string => (row.measurements[name]?.error === undefined ? (row.measurements[name] === undefined ? '' : number(row.measurements[name][key])) : 'error');
  const lines = rows.map((row) => [`${row.kernel}: ${row.title}`, ...[OURS, ...peers].map((name) => figure(row, name)), ...peers.map((peer) => ratio(ratios(row, peer)[phase]))]);
  const means = ['**geometric mean of the CPU kernels**', '', '', '', ...peers.map((peer) => `**${ratio(cpuMeans(rows, peer)[phase])}**`)];
  return table(['ms a batch', 'Ringside', ...peerNames, ...peerNames.map((name) => `${name} ÷ Ringside`)], [...lines, means]);
}

function ratio(value: number | undefined): string {
  return value === undefined ? '' : number(value);
}

function linuxTable({ guests, forks }: BenchResult): string {
  const names = [...new Set(guests.map(({ guest }) => guest))];
  const rows = names.flatMap((guest) => {
    const of = [OURS, ...peers].map((name) => guests.find((one) => one.guest === guest && one.contestant === name));
    return guestPhases(forks).flatMap((phase) => {
      const line = (title: string, values: readonly (number | undefined)[]): string[] => [
        `${guest}: ${title}`, ...values.map(ratio), ...values.slice(1).map((value) => (value !== undefined && values[0] !== undefined ? number(value / values[0]) : '')),
      ];
      return [
        line(`${phase.title}, s`, of.map((one) => one && phaseSeconds(one, phase.name))),
        ...(phase.memory === undefined ? [] : [line(`${phase.memory}, without the guest's RAM, MiB`, of.map((one) => one && ownMemoryMiB(one, phase.name)))]),
      ];
    });
  });
  return table(['', 'Ringside', ...peerNames, ...peerNames.map((name) => `${name} ÷ Ringside`)], rows);
}

function host({ processor, node, date, rounds, starts }: BenchResult): string {
  return `${processor}, Node ${node.replace(/^v/, '')}, ${date.slice(0, 10)}; medians of ${rounds} interleaved rounds, and of ${starts} ${starts === 1 ? 'start' : 'starts'}.`;
}
