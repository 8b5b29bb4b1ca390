/** The guest's page tables in words: the walk of one address, level by level, and what the address space maps. */
import type { MappedRange, PageRights, RegisterSnapshot } from '../protocol/messages';
import { linearEip } from '../protocol/registers';
import type { Debuggee } from './debuggee';

const PAGING = 0x8000_0000, PAE = 0x20, LONG_MODE_ACTIVE = 0x400;
/** Bits of an entry that have names, low to high (SDM Vol. 3, 4.5). */
const entryBits: readonly (readonly [bit: number, name: string])[] = [[0, 'P'], [1, 'W'], [2, 'U'], [3, 'PWT'], [4, 'PCD'], [5, 'A'], [6, 'D'], [7, 'PS'], [8, 'G'], [63, 'XD']];
/** Bit 7 of a PTE is PAT; D and G mean nothing where an entry points to a table. */
const pteBits = entryBits.map(([bit, name]) => [bit, name === 'PS' ? 'PAT' : name] as const);

const modeText = ({ cr0, cr4, efer }: RegisterSnapshot): string => {
  if ((cr0 & PAGING) === 0) return 'paging is off: linear addresses are physical ones';
  return efer & LONG_MODE_ACTIVE ? '4-level paging' : cr4 & PAE ? 'PAE paging' : '32-bit paging';
};

/** An address as a person writes it: bit 47 extended in long mode. */
function addressText(linear: number, long: boolean): string {
  return (long && linear >= 2 ** 47 ? BigInt.asUintN(64, BigInt.asIntN(48, BigInt(linear))) : BigInt(linear)).toString(16).padStart(long ? 16 : 8, '0');
}

function rightsText({ writable, user, executable, large }: PageRights): string {
  return `${user ? 'user' : 'supervisor'}, ${writable ? 'read and write' : 'read only'}${executable ? ', execute' : ''}${large ? ', large pages' : ''}`;
}

const isLong = ({ efer }: RegisterSnapshot): boolean => (efer & LONG_MODE_ACTIVE) !== 0;

/** The walk of one address. */
export async function walkLines(debuggee: Debuggee, linear: number): Promise<string[]> {
  const registers = await debuggee.registers();
  const long = isLong(registers);
  const { levels, physical, problem, accessed, dirty, ...rights } = await debuggee.client.request('translate', { linear });
  const wide = long || (registers.cr4 & PAE) !== 0;
  const symbol = debuggee.sourceMap.symbolAt(linear) ? ` (${debuggee.nameOf(linear)})` : '';
  return [
    `${addressText(linear, long)}${symbol}: ${modeText(registers)}${levels.length > 0 ? `, CR3 ${registers.cr3.toString(16).padStart(8, '0')}` : ''}`,
    ...levels.map(({ name, address, entry }) => {
      const bits = (name === 'PTE' ? pteBits : entryBits).filter(([bit]) => entry >> BigInt(bit) & 1n).map(([, bit]) => bit);
      return `  ${name.padEnd(5)} at ${address.toString(16).padStart(8, '0')}: ${entry.toString(16).padStart(wide ? 16 : 8, '0')}  ${bits.join(' ')}`;
    }),
    physical === undefined ? `  not mapped: ${problem ?? 'not present'}`
      : `  physical ${physical.toString(16).padStart(8, '0')}: ${rightsText(rights)}${levels.length > 0 ? `${accessed ? ', accessed' : ''}${dirty ? ', dirty' : ''}` : ''}`,
  ];
}

/** What is mapped from an address on. */
export async function mapLines(debuggee: Debuggee, from: number, most: number): Promise<string[]> {
  const registers = await debuggee.registers();
  if ((registers.cr0 & PAGING) === 0) return [`Nothing to list: ${modeText(registers)}`];
  const long = isLong(registers);
  const { ranges, next } = await debuggee.client.request('addressSpace', { from, most });
  const width = long ? 16 : 8;
  const row = (range: MappedRange): string => [
    `${addressText(range.first, long)}–${addressText(range.last, long)}`, sizeText(range.last - range.first + 1).padStart(9),
    `${range.physical.toString(16).padStart(8, '0')}${range.contiguous ? '' : ' …'}`.padEnd(10), rightsText(range),
  ].join('  ');
  return [
    `${'linear'.padEnd(2 * width + 1)}  ${'size'.padStart(9)}  physical    rights`, ...ranges.map(row),
    ...(ranges.length === 0 ? ['nothing'] : []), ...(next === undefined ? [] : [`and more from ${addressText(next, long)} on`]),
  ];
}

function sizeText(bytes: number): string {
  if (bytes % 0x4000_0000 === 0) return `${bytes / 0x4000_0000} GiB`;
  return bytes % 0x10_0000 === 0 ? `${bytes / 0x10_0000} MiB` : `${bytes / 1024} KiB`;
}

/** Ranges in a document: more are a request away. */
const documentRanges = 500;

/** A whole document: the walk of an expression's address (the instruction's own unless given), then the address space. */
export async function pageTablesText(debuggee: Debuggee, expression: string | undefined): Promise<string> {
  const linear = expression === undefined ? linearEip(await debuggee.registers()) : Number((await debuggee.evaluate(expression)).value);
  return [...await walkLines(debuggee, linear), '', ...await mapLines(debuggee, 0, documentRanges), ''].join('\n');
}
