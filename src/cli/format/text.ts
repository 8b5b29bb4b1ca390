/** Text for terminals: columns, hexadecimal numbers, thousands. */

export function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

export function hexBytes(bytes: Uint8Array): string {
  return [...bytes].map((byte) => hex(byte, 2)).join(' ');
}

/** 1234567 → 1,234,567. */
export function thousands(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

export type Alignment = 'left' | 'right';

/** Columns as wide as their widest cell; no blanks at the end of lines. */
export function columns(rows: readonly (readonly string[])[], alignments: readonly Alignment[], gap = '  '): string {
  const widths = alignments.map((_, n) => Math.max(0, ...rows.map((row) => (row[n] ?? '').length)));
  return rows.map((row) => alignments.map((alignment, n) => {
    const cell = row[n] ?? '';
    return alignment === 'right' ? cell.padStart(widths[n]) : cell.padEnd(widths[n]);
  }).join(gap).trimEnd()).join('\n');
}

export function heading(title: string): string {
  return `── ${title} ${'─'.repeat(Math.max(0, 74 - title.length))}`;
}
