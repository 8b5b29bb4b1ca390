/** A chart of ratios as SVG: horizontal bars from the line of equal speed, on a logarithmic scale; readable on light and on dark ground. */

export interface ChartRow {
  readonly label: string;
  /** In the order of the series; undefined leaves a gap. */
  readonly ratios: readonly (number | undefined)[];
}

export interface ChartGroup {
  readonly title: string;
  readonly rows: readonly ChartRow[];
}

export interface Chart {
  readonly title: string;
  readonly series: readonly string[];
  readonly groups: readonly ChartGroup[];
}

const WIDTH = 880, LEFT = 190, RIGHT = 60, TOP = 96, BAR = 11, ROW_GAP = 7, GROUP_HEAD = 26;
const AXIS = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128];
const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #24292f; } .title { font-size: 15px; font-weight: 600; } .group { font-weight: 600; } .value { font-size: 10px; }
.tick { font-size: 11px; fill: #57606a; } .grid { stroke: #8c959f; stroke-opacity: 0.35; } .equal { stroke: #57606a; stroke-width: 1.5; }
.s0 { fill: #2f7ed8; } .s1 { fill: #c77700; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .tick { fill: #9da7b3; } .equal { stroke: #9da7b3; } .s0 { fill: #58a6ff; } .s1 { fill: #e3a03c; } }
`;

export function ratioChart({ title, series, groups }: Chart): string {
  const values = groups.flatMap(({ rows }) => rows.flatMap(({ ratios }) => ratios.flatMap((ratio) => ratio ?? [])));
  // The axis reaches the first mark beyond the values on each side, and always one mark to both sides of 1.
  const low = AXIS.findLast((mark) => mark <= Math.min(0.5, ...values)) ?? AXIS[0], high = AXIS.find((mark) => mark >= Math.max(2, ...values)) ?? AXIS[AXIS.length - 1];
  const x = (ratio: number): number => round(LEFT + (WIDTH - LEFT - RIGHT) * Math.log2(Math.min(high, Math.max(low, ratio)) / low) / Math.log2(high / low));
  const rowHeight = series.length * BAR + ROW_GAP;
  const parts: string[] = [];
  let y = TOP;
  for (const group of groups) {
    parts.push(`<text class="group" x="12" y="${y + 15}">${escape(group.title)}</text>`);
    y += GROUP_HEAD;
    for (const row of group.rows) {
      parts.push(`<text x="${LEFT - 10}" y="${y + rowHeight / 2}" text-anchor="end">${escape(row.label)}</text>`);
      row.ratios.forEach((ratio, n) => {
        if (ratio === undefined) return;
        const from = Math.min(x(1), x(ratio)), to = Math.max(x(1), x(ratio)), top = y + n * BAR;
        parts.push(`<rect class="s${n}" x="${from}" y="${top}" width="${round(Math.max(1, to - from))}" height="${BAR - 1}"><title>${escape(`${row.label}, ${series[n]}: ${ratio.toFixed(2)}`)}</title></rect>`);
        const outside = ratio >= 1 ? `x="${round(to + 4)}"` : `x="${round(from - 4)}" text-anchor="end"`;
        parts.push(`<text class="value" ${outside} y="${top + BAR - 2}">${ratio.toFixed(ratio < 10 ? 2 : 1)}</text>`);
      });
      y += rowHeight;
    }
    y += ROW_GAP;
  }
  const marks = AXIS.filter((mark) => mark >= low && mark <= high);
  const grid = marks.map((mark) => `<line class="${mark === 1 ? 'equal' : 'grid'}" x1="${x(mark)}" y1="${TOP - 6}" x2="${x(mark)}" y2="${y}"/><text class="tick" x="${x(mark)}" y="${TOP - 12}" text-anchor="middle">${mark < 1 ? `1/${1 / mark}` : mark}×</text>`);
  const legend = series.map((name, n) => `<rect class="s${n}" x="${LEFT + n * 150}" y="42" width="12" height="12"/><text x="${LEFT + n * 150 + 18}" y="52">${escape(name)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 10}" width="${WIDTH}" height="${y + 10}" role="img" aria-label="${escape(title)}">
<style>${STYLE}</style>
<text class="title" x="12" y="24">${escape(title)}</text>
${[...legend, ...grid, ...parts].join('\n')}
</svg>
`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
