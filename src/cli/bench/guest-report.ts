/** The results of the Linux guests as a table for people. */
import { columns } from '../format/text';
import { OURS } from './comparison';
import { guestPhases } from './guest-phases';
import type { GuestMeasurement, PhaseTime } from './guests';
import { number } from './number';
import { median } from './statistics';

/** Median of the starts in seconds: time on the wall, or the processor's where the host let the process wait. */
export function phaseSeconds({ phases }: GuestMeasurement, name: string): number | undefined {
  const times = phases[name];
  if (times === undefined || times.length === 0) return undefined;
  return median(times.map(({ wallMilliseconds, cpuMilliseconds }: PhaseTime) => Math.min(wallMilliseconds, cpuMilliseconds ?? wallMilliseconds))) / 1000;
}

/** Resident memory without the guest's RAM, in MiB. */
export function ownMemoryMiB({ memory }: GuestMeasurement, phase: string): number | undefined {
  const found = memory[phase];
  return found === undefined ? undefined : (found.resident - found.guest) / (1 << 20);
}

export function guestTable(measurements: readonly GuestMeasurement[], forks: number): string {
  const peers = [...new Set(measurements.map(({ contestant }) => contestant))].filter((name) => name !== OURS);
  const rows = [...new Set(measurements.map(({ guest }) => guest))].flatMap((guest) => {
    const of = (contestant: string): GuestMeasurement | undefined => measurements.find((one) => one.guest === guest && one.contestant === contestant);
    const row = (title: string, unit: string, value: (measurement: GuestMeasurement) => number | undefined): string[] => {
      const [ours, ...theirs] = [OURS, ...peers].map((name) => {
        const measurement = of(name);
        return measurement && value(measurement);
      });
      return [
        guest, title, unit, ...[ours, ...theirs].map((one) => (one === undefined ? '' : number(one))),
        ...theirs.map((one) => (one !== undefined && ours !== undefined ? number(one / ours) : '')),
      ];
    };
    return guestPhases(forks).flatMap((phase) => [
      row(phase.title, 's', (measurement) => phaseSeconds(measurement, phase.name)),
      ...(phase.memory === undefined ? [] : [row(`${phase.memory}, without the guest's`, 'MiB', (measurement) => ownMemoryMiB(measurement, phase.name))]),
    ]);
  });
  const head = ['guest', 'what', '', OURS, ...peers, ...peers.map((name) => `${name} ratio`)];
  const problems = measurements.flatMap(({ guest, contestant, error }) => (error === undefined ? [] : [`${contestant} on ${guest}: ${error}`]));
  return [columns([head, ...rows], head.map((_, n) => (n < 3 ? 'left' : 'right'))), ...problems].join('\n');
}
