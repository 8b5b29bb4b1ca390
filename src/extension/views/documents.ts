/** Texts that commands make of a machine: registers for the clipboard, counters as a table. */
import type { MachineViewModel } from '../../protocol/views';
import type { MachineSession } from '../machine/session';

export function registersText(model: MachineViewModel): string {
  const list = (rows: readonly { readonly name: string; readonly value: string }[]) => rows.map((row) => `${row.name}=${row.value}`).join(' ');
  return [
    `${model.program}: ${model.status}`,
    model.mode,
    ...(model.location ? [`${model.location.address}  ${model.location.instruction}`] : []),
    list(model.general),
    model.flags.map((flag) => `${flag.name}=${flag.value}`).join(' '),
    ...model.segments.map((segment) => `${segment.name}=${segment.selector} base=${segment.base} limit=${segment.limit} (${segment.kind})`),
    list(model.system),
    ...model.postMortem,
  ].join('\n');
}

type Counted = Pick<MachineSession, 'program' | 'definitions' | 'sample'>;

export function countersMarkdown({ program, definitions, sample }: Counted): string {
  const rows = definitions.map(({ id, title, definition }) => `| ${title} | ${(sample?.values[id] ?? 0).toLocaleString('en')} | ${definition} |`);
  const seconds = ((sample?.hostMilliseconds ?? 0) / 1000).toFixed(2);
  return [`# Counters of ${program}`, '', `After ${seconds} s of running.`, '', '| Event | Count | One increment means |', '|---|---:|---|', ...rows, ''].join('\n');
}

const rowBytes = 16;

/** Rows of address, bytes and characters. Bytes behind the end of `bytes` are unreadable. */
export function hexDump(address: number, bytes: Uint8Array, count: number): string {
  const lines: string[] = [];
  for (let at = 0; at < count; at += rowBytes) {
    let hex = '', text = '';
    for (let i = at; i < Math.min(at + rowBytes, count); i++) {
      const byte = bytes[i];
      hex += `${i % 8 === 0 && i > at ? ' ' : ''}${byte === undefined ? '??' : byte.toString(16).toUpperCase().padStart(2, '0')} `;
      text += byte === undefined ? ' ' : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
    }
    lines.push(`${(address + at).toString(16).toUpperCase().padStart(8, '0')}  ${hex.padEnd(rowBytes * 3 + 1)} ${text}`);
  }
  return lines.join('\n');
}
