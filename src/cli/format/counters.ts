/** The counters of a run, as a table for people or as one line of JSON for programs. */
import type { EndReason } from '../../protocol/messages';
import { counters as rows } from '../../vmm/cpu/counters';
import { columns, hex, thousands } from './text';

export interface RunSummary {
  readonly end: EndReason['kind'] | 'timeout' | 'interrupted' | 'waiting';
  readonly exitStatus: number;
  readonly hostMilliseconds: number;
  readonly counters: Readonly<Record<string, number>>;
  /** By guest instruction address (linear), most first. */
  readonly hiddenPageFaults: readonly { readonly linear: number; readonly count: number }[];
}

export function countersTable(summary: RunSummary): string {
  const { counters, hostMilliseconds, hiddenPageFaults } = summary;
  const lines = rows.map(({ id, title }) => [title, thousands(counters[id] ?? 0)]);
  const rate = hostMilliseconds > 0 ? (counters.instructions ?? 0) / hostMilliseconds / 1000 : 0;
  const text = columns([...lines, ['Host time', `${hostMilliseconds.toFixed(1)} ms`], ['Speed', `${rate.toFixed(1)} M instructions/s`]], ['left', 'right']);
  if (hiddenPageFaults.length === 0) return text;
  const where = columns(hiddenPageFaults.map(({ linear, count }) => [`  ${hex(linear, 8)}`, thousands(count)]), ['left', 'right']);
  return `${text}\nHidden page faults by instruction\n${where}`;
}

export function countersJson(summary: RunSummary): string {
  return JSON.stringify(summary);
}

/** What each counter means, for `ringside counters`. */
export function counterDefinitions(): string {
  return rows.map(({ id, title, definition }) => `${title} (${id})\n  ${definition}`).join('\n');
}
