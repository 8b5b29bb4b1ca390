/**
 * Symbols of an ELF32 file (System V ABI, chapter 4): names and addresses of functions and labels. The file may be anything that
 * calls itself ELF: every offset is checked, and what lies outside the file is left out.
 */

export interface ElfSymbol {
  readonly name: string;
  readonly linear: number;
}

const sectionHeaderSize = 40;
const symbolSize = 16;
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

/** Section headers that lie inside the file; none for a file that is not ELF32 little-endian. */
export function readElfSections(bytes: Uint8Array): ElfSection[] {
  if (!isElf(bytes) || bytes.length < 52 || bytes[4] !== 1 || bytes[5] !== 1) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = view.getUint32(32, true);
  const entrySize = view.getUint16(46, true);
  const count = view.getUint16(48, true);
  const nameSection = view.getUint16(50, true);
  if (entrySize < sectionHeaderSize) return [];
  const raw: (Omit<ElfSection, 'name'> & { nameAt: number })[] = [];
  for (let n = 0; n < count; n++) {
    const at = table + n * entrySize;
    if (at + sectionHeaderSize > bytes.length) break;
    raw.push({
      nameAt: view.getUint32(at, true), type: view.getUint32(at + 4, true), offset: view.getUint32(at + 16, true), size: view.getUint32(at + 20, true),
      link: view.getUint32(at + 24, true),
    });
  }
  const names = raw[nameSection];
  return raw.map(({ nameAt, ...section }) => ({ ...section, name: names ? textAt(bytes, names, nameAt) : '' }));
}

export function readElfSymbols(bytes: Uint8Array): ElfSymbol[] {
  const sections = readElfSections(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const symbols: ElfSymbol[] = [];
  for (const section of sections) {
    const strings = sections[section.link];
    if (section.type !== symbolTableType || !strings) continue;
    const end = Math.min(section.offset + section.size, bytes.length);
    for (let at = section.offset; at + symbolSize <= end && symbols.length < maximumSymbols; at += symbolSize) {
      const home = view.getUint16(at + 14, true);
      if (!placeTypes.has(view.getUint8(at + 12) & 15) || home === undefinedSection || home === absoluteSection) continue;
      const name = textAt(bytes, strings, view.getUint32(at, true));
      if (name) symbols.push({ name, linear: view.getUint32(at + 4, true) });
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
