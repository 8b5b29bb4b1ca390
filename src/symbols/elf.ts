/**
 * Symbols of an ELF file (System V ABI, chapter 4), 32 or 64 bits: names and addresses of functions and labels. The file may be anything that
 * calls itself ELF: every offset is checked, and what lies outside the file is left out.
 */

export interface ElfSymbol {
  readonly name: string;
  readonly linear: number;
}

/** Where the fields of the two classes lie. */
interface ElfClass {
  readonly headerBytes: number;
  /** e_shoff; e_shentsize, e_shnum and e_shstrndx follow each other. */
  readonly table: number;
  readonly tableCounts: number;
  readonly sectionHeaderBytes: number;
  readonly section: { readonly offset: number; readonly size: number; readonly link: number };
  readonly symbolBytes: number;
  readonly symbol: { readonly value: number; readonly info: number; readonly section: number };
}
const classes: Readonly<Record<number, ElfClass>> = {
  1: {
    headerBytes: 52, table: 32, tableCounts: 46, sectionHeaderBytes: 40, section: { offset: 16, size: 20, link: 24 }, symbolBytes: 16, symbol: { value: 4, info: 12, section: 14 },
  },
  2: {
    headerBytes: 64, table: 40, tableCounts: 58, sectionHeaderBytes: 64, section: { offset: 24, size: 32, link: 40 }, symbolBytes: 24, symbol: { value: 8, info: 4, section: 6 },
  },
};
const symbolTableType = 2;
/** STT_NOTYPE, STT_OBJECT, STT_FUNC; sections and file names are no places. */
const placeTypes = new Set([0, 1, 2]);
const maximumSymbols = 500_000;
const maximumNameLength = 1000;
const undefinedSection = 0;
const absoluteSection = 0xfff1;

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** The class of a little-endian file; undefined for everything else. */
function classOf(bytes: Uint8Array): ElfClass | undefined {
  const format = isElf(bytes) && bytes[5] === 1 ? classes[bytes[4]] : undefined;
  return format && bytes.length >= format.headerBytes ? format : undefined;
}

/** 64-bit values beyond 2^53 are rounded: far beyond every file. */
function word(view: DataView, at: number, wide: boolean): number {
  return view.getUint32(at, true) + (wide ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
}

/** Section headers that lie inside the file; none for a file that is not little-endian ELF. */
export function readElfSections(bytes: Uint8Array): ElfSection[] {
  const format = classOf(bytes);
  if (!format) return [];
  const wide = format === classes[2];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = word(view, format.table, wide);
  const entrySize = view.getUint16(format.tableCounts, true);
  const count = view.getUint16(format.tableCounts + 2, true);
  const nameSection = view.getUint16(format.tableCounts + 4, true);
  if (entrySize < format.sectionHeaderBytes) return [];
  const raw: (Omit<ElfSection, 'name'> & { nameAt: number })[] = [];
  for (let n = 0; n < count; n++) {
    const at = table + n * entrySize;
    if (at + format.sectionHeaderBytes > bytes.length) break;
    raw.push({
      nameAt: view.getUint32(at, true), type: view.getUint32(at + 4, true), offset: word(view, at + format.section.offset, wide), size: word(view, at + format.section.size, wide),
      link: view.getUint32(at + format.section.link, true),
    });
  }
  const names = raw[nameSection];
  return raw.map(({ nameAt, ...section }) => ({ ...section, name: names ? textAt(bytes, names, nameAt) : '' }));
}

export function readElfSymbols(bytes: Uint8Array): ElfSymbol[] {
  const format = classOf(bytes);
  if (!format) return [];
  const sections = readElfSections(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const symbols: ElfSymbol[] = [];
  for (const section of sections) {
    const strings = sections[section.link];
    if (section.type !== symbolTableType || !strings) continue;
    const end = Math.min(section.offset + section.size, bytes.length);
    for (let at = section.offset; at + format.symbolBytes <= end && symbols.length < maximumSymbols; at += format.symbolBytes) {
      const home = view.getUint16(at + format.symbol.section, true);
      if (!placeTypes.has(view.getUint8(at + format.symbol.info) & 15) || home === undefinedSection || home === absoluteSection) continue;
      const name = textAt(bytes, strings, view.getUint32(at, true));
      const low = view.getUint32(at + format.symbol.value, true);
      // A canonical address is represented by its low 48 bits.
      if (name) symbols.push({ name, linear: format === classes[2] ? view.getUint16(at + format.symbol.value + 4, true) * 2 ** 32 + low : low });
    }
  }
  return symbols;
}

function textAt(bytes: Uint8Array, strings: { readonly offset: number; readonly size: number }, index: number): string {
  if (index >= strings.size) return '';
  const start = strings.offset + index;
  const end = Math.min(start + maximumNameLength, strings.offset + strings.size, bytes.length);
  let text = '';
  for (let at = start; at < end && bytes[at] !== 0; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}
