/**
 * docs/conformance.md, as the conformance tests write it: a section for each suite and an overview of them all. Every suite hands in what it compared
 * and fails when the committed file says something else; `RINGSIDE_UPDATE=1 npm run test:suite -- conformance` writes the file anew. Suites know
 * nothing of each other, so that each can be run alone: whoever hands in replaces a section and takes the others from the file.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

/** In the order of the document. */
const suites = {
  general: { title: 'Silicon: 16 and 32 bits', silicon: true },
  long: { title: 'Silicon: 64 bits', silicon: true },
  x87: { title: 'Silicon: x87', silicon: true },
  vectors: { title: 'Silicon: MMX and SSE', silicon: true },
  states: { title: 'Silicon: x87 and SSE state', silicon: true },
  coverage: { title: 'Silicon: every encoding', silicon: false },
  faults: { title: 'Exceptions: 32 bits', silicon: false },
  longFaults: { title: 'Exceptions: 64 bits', silicon: false },
  decoder: { title: 'Decoder', silicon: false },
  assembler: { title: 'Assembler', silicon: false },
  disassembly: { title: 'Disassembler', silicon: false },
} as const;
export type SuiteId = keyof typeof suites;

export interface Compared {
  readonly what: string;
  readonly cases: number;
  /** Of these: not the same, but as a documented reason allows. */
  readonly known?: number;
  /** Cases of another row, run in another way: they do not count twice. */
  readonly again?: boolean;
}

export interface SuiteReport {
  /** What it is compared with, and how: whole sentences. */
  readonly about: string;
  readonly compared: readonly Compared[];
  /** Why something may differ; the number of cases where it is told apart. */
  readonly differences?: readonly { readonly why: string; readonly cases?: number }[];
  readonly notCompared?: readonly { readonly what: string; readonly why: string }[];
  /** Cases by mnemonic, in 16-, 32- and 64-bit code; undefined where the instruction does not exist. */
  readonly instructions?: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** Paragraphs at the end. */
  readonly more?: readonly string[];
}

const file = path.join(process.cwd(), 'docs', 'conformance.md');
const UPDATE = 'RINGSIDE_UPDATE=1 npm run test:suite -- conformance';
const TABLE_COLUMNS = 4;
const AGAIN = ', the same cases again';
const compareHead = '| compared | cases | the same | known differences |\n|---|--:|--:|--:|';

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',');
const ungrouped = (text: string): number => Number(text.replaceAll(',', ''));
/** Text that stands in a table or a list: no line breaks. */
const inLine = (text: string): string => text.replace(/\s+/g, ' ');

function instructionTable(instructions: ReadonlyMap<string, readonly (number | undefined)[]>): string {
  const cells = [...instructions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([mnemonic, cases]) => [mnemonic, ...cases.map((n) => (n === undefined ? '' : grouped(n)))].join(' | '));
  const rows = Array.from({ length: Math.ceil(cells.length / TABLE_COLUMNS) }, (_, row) => {
    const part = cells.slice(row * TABLE_COLUMNS, (row + 1) * TABLE_COLUMNS);
    return `| ${[...part, ...Array<string>(TABLE_COLUMNS - part.length).fill(' |  |  | ')].join(' | ')} |`;
  });
  return [`|${' instruction | 16 | 32 | 64 |'.repeat(TABLE_COLUMNS)}`, `|${'---|--:|--:|--:|'.repeat(TABLE_COLUMNS)}`, ...rows].join('\n');
}

function sectionText({ about, compared, differences = [], notCompared = [], instructions, more = [] }: SuiteReport): string {
  const rows = compared.map(({ what, cases, known = 0, again }) => `| ${inLine(what)}${again ? AGAIN : ''} | ${grouped(cases)} | ${grouped(cases - known)} | ${grouped(known)} |`);
  const parts = [about, [compareHead, ...rows].join('\n')];
  if (differences.length) parts.push('Known differences:', differences.map(({ why, cases }) => `* ${inLine(why)}${cases === undefined ? '' : ` (${grouped(cases)} cases)`}`).join('\n'));
  if (notCompared.length) parts.push('Not compared:', notCompared.map(({ what, why }) => `* ${inLine(what)}: ${inLine(why)}`).join('\n'));
  parts.push(...more);
  if (instructions) parts.push(`Cases of each of ${instructions.size} instructions in 16-, 32- and 64-bit code:`, instructionTable(instructions));
  return parts.join('\n\n');
}

interface Row {
  readonly what: string;
  readonly cases: number;
  readonly same: number;
  readonly known: number;
}

/** What a section says was compared. */
function rowsOf(section: string): Row[] {
  const [head, body] = section.split(`${compareHead}\n`);
  if (head === undefined || body === undefined) return [];
  return body.split('\n\n')[0].split('\n').map((line) => {
    const [, what, cases, same, known] = line.split('|').map((cell) => cell.trim());
    return { what, cases: ungrouped(cases), same: ungrouped(same), known: ungrouped(known) };
  });
}

const sumOf = (rows: readonly Row[], key: 'cases' | 'same' | 'known'): number => rows.reduce((sum, row) => sum + row[key], 0);
const counting = (rows: readonly Row[]): Row[] => rows.filter(({ what }) => !what.endsWith(AGAIN));

/** Sections by title, in the file's order. */
function readSections(text: string): Map<string, string> {
  const [, ...sections] = text.split(/^## /m);
  return new Map(sections.map((section) => {
    const end = section.indexOf('\n');
    return [section.slice(0, end), section.slice(end).trim()];
  }));
}

export interface Totals {
  readonly silicon: number;
  readonly bySuite: ReadonlyMap<SuiteId, number>;
}

function totalsOf(sections: ReadonlyMap<string, string>): Totals {
  const bySuite = new Map((Object.keys(suites) as SuiteId[]).map((id) => [id, sumOf(counting(rowsOf(sections.get(suites[id].title) ?? '')), 'cases')]));
  return { bySuite, silicon: [...bySuite].reduce((sum, [id, cases]) => sum + (suites[id].silicon ? cases : 0), 0) };
}

function documentText(sections: ReadonlyMap<string, string>): string {
  const present = Object.values(suites).filter(({ title }) => sections.has(title));
  const overview = present.map(({ title }) => {
    const rows = counting(rowsOf(sections.get(title)!));
    return `| ${title} | ${grouped(sumOf(rows, 'cases'))} | ${grouped(sumOf(rows, 'same'))} | ${grouped(sumOf(rows, 'known'))} |`;
  });
  return `${[
    '# Conformance',
    `Written by the tests (\`${UPDATE}\`), which fail when it is not what they find. What is compared comes from outside: real processors, the processors' manuals, and programs `
    + 'that others wrote. A case that is neither the same nor within a known difference fails its test: every case listed here passes.',
    [`| suite | cases | the same | known differences |`, '|---|--:|--:|--:|', ...overview].join('\n'),
    `Cases that a real processor has answered: **${grouped(totalsOf(sections).silicon)}**.`,
    ...present.map(({ title }) => `## ${title}\n\n${sections.get(title)!}`),
  ].join('\n\n')}\n`;
}

/** What the committed document says. */
export function documentTotals(): Totals {
  return totalsOf(readSections(fs.readFileSync(file, 'utf8')));
}

/** Hands in a suite's result: the document has to say the same, or is made to. */
export function reportSuite(id: SuiteId, report: SuiteReport): void {
  const present = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  const wanted = documentText(readSections(present).set(suites[id].title, sectionText(report)));
  if (wanted === present) return;
  if (process.env.RINGSIDE_UPDATE) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, wanted);
    return;
  }
  const theirs = present.split('\n'), ours = wanted.split('\n');
  const at = ours.findIndex((line, n) => line !== theirs[n]);
  assert.fail(`docs/conformance.md, line ${at + 1}: the tests say "${ours[at]}", the file "${theirs[at] ?? ''}". To write it anew: ${UPDATE}`);
}
