/**
 * ELF32 relocatable objects (System V ABI, Intel386 supplement): sections, symbols and REL relocations, as `nasm -f elf32` makes them.
 */
import type { Reporter } from './diagnostics';
import type { Pass } from './pass';
import { fieldSpan, type Section } from './sections';
import { firstExternBase, type SymbolEntry, type SymbolTable } from './symbols';

const SHT = { progbits: 1, symtab: 2, strtab: 3, nobits: 8, rel: 9 } as const;
const SHF = { write: 1, alloc: 2, exec: 4 } as const;
const STB_GLOBAL = 1;
const STT = { none: 0, data: 1, function: 2, section: 3, file: 4 } as const;
const SHN_ABS = 0xfff1;
const SHN_COMMON = 0xfff2;
/** R_386_* by width: absolute, relative to the place. */
const relocationTypes: Record<number, readonly [number, number]> = { 4: [1, 2], 2: [20, 21], 1: [22, 23] };

interface OutputSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
  /** Larger than the bytes for nobits. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entrySize: number;
}

class StringTable {
  private readonly bytes: number[] = [0];
  private readonly known = new Map<string, number>([['', 0]]);
  add(text: string): number {
    let at = this.known.get(text);
    if (at === undefined) {
      at = this.bytes.length;
      for (const byte of new TextEncoder().encode(text)) this.bytes.push(byte);
      this.bytes.push(0);
      this.known.set(text, at);
    }
    return at;
  }
  get contents(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

export function writeElf32(pass: Pass, symbols: SymbolTable, sourceName: string, reporter: Reporter): Uint8Array {
  const sections = pass.mentioned.map((name) => pass.sectionNamed(name));
  const indexOf = new Map(sections.map((section, i) => [section.id, i + 1]));
  const strings = new StringTable();
  const rows: { name: number; value: number; size: number; info: number; shndx: number }[] = [{ name: 0, value: 0, size: 0, info: 0, shndx: 0 }];
  rows.push({ name: strings.add(sourceName), value: 0, size: 0, info: STT.file, shndx: SHN_ABS });
  const sectionSymbol = new Map<number, number>();
  for (const section of sections) {
    sectionSymbol.set(section.id, rows.length);
    rows.push({ name: 0, value: 0, size: 0, info: STT.section, shndx: indexOf.get(section.id) ?? 0 });
  }
  const externSymbol = new Map<number, number>();
  const entries = symbols.list().filter((entry) => entry.definedIn === symbols.pass);
  const add = (entry: SymbolEntry, binding: number) => {
    const base = [...(entry.value.terms?.keys() ?? [])][0];
    const place = entry.kind === 'extern' ? 0 : entry.kind === 'common' ? SHN_COMMON : base === undefined ? SHN_ABS : indexOf.get(base);
    if (place === undefined) return;
    if (base !== undefined && base >= firstExternBase) externSymbol.set(base, rows.length);
    rows.push({
      name: strings.add(entry.name),
      value: entry.kind === 'common' ? entry.commonAlign : Number(BigInt.asUintN(32, entry.value.number)),
      size: entry.kind === 'common' ? entry.commonSize : Number(entry.size?.number ?? 0n),
      info: (binding << 4) | STT[entry.type], shndx: place,
    });
  };
  for (const entry of entries) if (!entry.global && entry.kind !== 'extern') add(entry, 0);
  const firstGlobal = rows.length;
  for (const entry of entries) if (entry.global || entry.kind === 'extern') add(entry, STB_GLOBAL);
  for (const entry of symbols.list()) {
    if (entry.global && entry.definedIn !== symbols.pass) reporter.report('error', entry.origin, `global symbol \`${entry.name}\` is not defined`, entry.span);
  }

  const relocations = sections.map((section) => relocate(section, sectionSymbol, externSymbol, reporter));
  const withRelocations = sections.filter((_, i) => relocations[i].length > 0);
  // Null, the sections, .shstrtab, .symtab, .strtab, the relocations.
  const symtabIndex = sections.length + 2;
  const names = new StringTable();
  const output: OutputSection[] = sections.map((section) => ({
    name: section.name, type: section.attributes.nobits ? SHT.nobits : SHT.progbits,
    flags: (section.attributes.alloc ? SHF.alloc : 0) | (section.attributes.write ? SHF.write : 0) | (section.attributes.exec ? SHF.exec : 0),
    bytes: section.bytes, size: section.position, link: 0, info: 0, align: section.attributes.align ?? 1, entrySize: 0,
  }));
  const all = ['.shstrtab', '.symtab', '.strtab', ...sections.map((section) => section.name), ...withRelocations.map((section) => `.rel${section.name}`)];
  all.forEach((name) => names.add(name));
  const table = (name: string, type: number, bytes: Uint8Array, rest: Partial<OutputSection>): OutputSection =>
    ({ name, type, flags: 0, bytes, size: bytes.length, link: 0, info: 0, align: 1, entrySize: 0, ...rest });
  output.push(table('.shstrtab', SHT.strtab, names.contents, {}));
  output.push(table('.symtab', SHT.symtab, symbolBytes(rows), { link: symtabIndex + 1, info: firstGlobal, align: 4, entrySize: 16 }));
  output.push(table('.strtab', SHT.strtab, strings.contents, {}));
  sections.forEach((section, i) => {
    if (relocations[i].length) {
      output.push(table(`.rel${section.name}`, SHT.rel, relocations[i], { link: symtabIndex, info: i + 1, align: 4, entrySize: 8 }));
    }
  });
  return file(output, names, sections.length + 1);
}

function relocate(section: Section, sectionSymbol: ReadonlyMap<number, number>, externSymbol: ReadonlyMap<number, number>, reporter: Reporter): Uint8Array {
  const words: number[] = [];
  for (const field of section.fields) {
    const types = relocationTypes[field.bytes];
    const base = [...(field.value.terms?.keys() ?? [])][0];
    if (!types) {
      reporter.report('error', field.origin, `an ELF32 object cannot hold an address in ${field.bytes} bytes`, fieldSpan(field));
      continue;
    }
    const symbol = base === undefined ? 0 : sectionSymbol.get(base) ?? externSymbol.get(base) ?? 0;
    // REL: the addend stands in the field. A relative value counts from the end of the instruction, the relocation from the field.
    const addend = field.relative ? field.value.number - BigInt(field.end - field.at) : field.value.number;
    section.write(field.at, field.bytes, addend);
    words.push(field.at, (symbol << 8) | types[field.relative ? 1 : 0]);
  }
  const bytes = new DataView(new ArrayBuffer(words.length * 4));
  words.forEach((word, i) => bytes.setUint32(i * 4, word >>> 0, true));
  return new Uint8Array(bytes.buffer);
}

function symbolBytes(rows: readonly { name: number; value: number; size: number; info: number; shndx: number }[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(rows.length * 16));
  rows.forEach((row, i) => {
    view.setUint32(i * 16, row.name, true);
    view.setUint32(i * 16 + 4, row.value, true);
    view.setUint32(i * 16 + 8, row.size, true);
    view.setUint8(i * 16 + 12, row.info);
    view.setUint16(i * 16 + 14, row.shndx, true);
  });
  return new Uint8Array(view.buffer);
}

const headerSize = 52;
const sectionHeaderSize = 40;

function file(sections: readonly OutputSection[], names: StringTable, namesIndex: number): Uint8Array {
  const align = (value: number, to: number) => Math.ceil(value / to) * to;
  const tableAt = align(headerSize, 4);
  let at = align(tableAt + (sections.length + 1) * sectionHeaderSize, 16);
  const places = sections.map((section) => {
    const place = align(at, Math.max(1, Math.min(section.align, 4096)));
    at = place + section.bytes.length;
    return place;
  });
  const bytes = new Uint8Array(align(at, 4));
  const view = new DataView(bytes.buffer);
  // e_ident: magic, 32-bit, little endian, version 1.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const ET_REL = 1;
  const EM_386 = 3;
  view.setUint16(16, ET_REL, true);
  view.setUint16(18, EM_386, true);
  view.setUint32(20, 1, true);
  view.setUint32(32, tableAt, true);
  view.setUint16(40, headerSize, true);
  view.setUint16(46, sectionHeaderSize, true);
  view.setUint16(48, sections.length + 1, true);
  view.setUint16(50, namesIndex, true);
  sections.forEach((section, i) => {
    bytes.set(section.bytes, places[i]);
    const header = tableAt + (i + 1) * sectionHeaderSize;
    [names.add(section.name), section.type, section.flags, 0, places[i], section.size, section.link, section.info, section.align, section.entrySize]
      .forEach((word, n) => view.setUint32(header + n * 4, word, true));
  });
  return bytes;
}
