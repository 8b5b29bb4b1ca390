/**
 * The line number programs of an ELF file (.debug_line; DWARF 2 to 5, section 6.2 of each standard): which source line each address
 * comes from. Hostile input ends a unit, never the reader: all offsets are checked, rows and operands are bounded.
 */
import { readElfSections } from './elf';
import type { ElfSection } from './elf';

export interface DwarfLine {
  readonly linear: number;
  readonly length: number;
  readonly path: string;
  /** From 1. */
  readonly line: number;
}

const maximumRows = 2_000_000;
const maximumFiles = 100_000;

/** Standard opcodes (DWARF 5, 6.2.5.2). */
const enum Op { Extended, Copy, AdvancePc, AdvanceLine, SetFile, SetColumn, NegateStatement, BasicBlock, ConstAddPc, FixedAdvancePc }
const enum Extended { EndSequence = 1, SetAddress = 2, DefineFile = 3 }

class Cut extends Error {}

/** Reads little-endian values up to an end; throws {@link Cut} beyond it. */
class Reader {
  constructor(private readonly view: DataView, public at: number, readonly end: number) {}

  private take(bytes: number): number {
    const at = this.at;
    if (bytes < 0 || at + bytes > this.end) throw new Cut();
    this.at += bytes;
    return at;
  }
  u8(): number { return this.view.getUint8(this.take(1)); }
  i8(): number { return this.view.getInt8(this.take(1)); }
  u16(): number { return this.view.getUint16(this.take(2), true); }
  u32(): number { return this.view.getUint32(this.take(4), true); }
  skip(bytes: number): void { this.take(bytes); }

  /** Unsigned LEB128; bits beyond 2^53 are lost, no real program has them. */
  uleb(): number {
    let value = 0;
    for (let scale = 1, n = 0; n < 10; n++, scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Cut();
  }
  sleb(): number {
    let value = 0;
    for (let scale = 1, n = 0; n < 10; n++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return byte & 0x40 ? value - scale : value;
    }
    throw new Cut();
  }
  text(): string {
    let text = '';
    for (let byte = this.u8(); byte !== 0; byte = this.u8()) text += String.fromCharCode(byte);
    return decodeUtf8(text);
  }
}

/** A byte string whose bytes stand as characters. */
function decodeUtf8(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

export function readDwarfLines(bytes: Uint8Array): DwarfLine[] {
  const sections = readElfSections(bytes);
  const named = (name: string): ElfSection | undefined => sections.find((section) => section.name === name && section.offset + section.size <= bytes.length);
  const section = named('.debug_line');
  if (!section) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings = (table: ElfSection | undefined, offset: number): string => {
    if (!table || offset >= table.size) return '';
    return new Reader(view, table.offset + offset, table.offset + table.size).text();
  };
  const lineStrings = named('.debug_line_str');
  const debugStrings = named('.debug_str');
  const rows: DwarfLine[] = [];
  const end = section.offset + section.size;
  for (let at = section.offset; at + 4 <= end;) {
    const length = view.getUint32(at, true);
    // 64-bit DWARF in a 32-bit file: nobody writes it.
    if (length >= 0xffff_fff0 || at + 4 + length > end) break;
    try {
      readUnit(new Reader(view, at + 4, at + 4 + length), rows, (form, offset) => strings(form === 0x1f ? lineStrings : debugStrings, offset));
    } catch (error) {
      if (!(error instanceof Cut)) throw error;
    }
    at += 4 + length;
  }
  return rows;
}

interface Header {
  readonly minimumLength: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  readonly operandCounts: readonly number[];
  readonly path: (file: number) => string;
  readonly addFile: (name: string, folder: number) => void;
}

function readUnit(reader: Reader, rows: DwarfLine[], stringAt: (form: number, offset: number) => string): void {
  const version = reader.u16();
  if (version < 2 || version > 5) return;
  if (version === 5) reader.skip(2); // address size and segment selector size
  const headerLength = reader.u32();
  const program = reader.at + headerLength;
  const minimumLength = reader.u8();
  if (version >= 4) reader.skip(1); // operations per instruction: 1 on x86
  reader.skip(1); // default of is_stmt
  const lineBase = reader.i8();
  const lineRange = reader.u8();
  const opcodeBase = reader.u8();
  const operandCounts = Array.from({ length: Math.max(0, opcodeBase - 1) }, () => reader.u8());
  const files = version === 5 ? readFiles5(reader, stringAt) : readFiles(reader);
  if (lineRange === 0) return;
  reader.at = program;
  runProgram(reader, { minimumLength, lineBase, lineRange, opcodeBase, operandCounts, ...files }, rows);
}

type Files = Pick<Header, 'path' | 'addFile'>;

function join(folder: string, name: string): string {
  return folder === '' || /^(?:[/\\]|[A-Za-z]:)/.test(name) ? name : `${folder.replace(/[/\\]$/, '')}/${name}`;
}

/** DWARF 2 to 4: folders and files from 1; folder 0 is where the compiler ran, which only .debug_info knows. */
function readFiles(reader: Reader): Files {
  const folders = [''];
  for (let name = reader.text(); name !== ''; name = reader.text()) folders.push(name);
  const files: string[] = [''];
  for (let name = reader.text(); name !== ''; name = reader.text()) {
    files.push(join(folders[reader.uleb()] ?? '', name));
    reader.uleb();
    reader.uleb();
    if (files.length > maximumFiles) throw new Cut();
  }
  return { path: (file) => files[file] ?? '', addFile: (name, folder) => void files.push(join(folders[folder] ?? '', name)) };
}

/** DWARF 5, 6.2.4: tables that describe their own columns. */
function readFiles5(reader: Reader, stringAt: (form: number, offset: number) => string): Files {
  const table = (): { path: string; folder: number }[] => {
    const columns = Array.from({ length: reader.u8() }, () => ({ content: reader.uleb(), form: reader.uleb() }));
    const count = reader.uleb();
    if (count > maximumFiles || (columns.length === 0 && count > 0)) throw new Cut();
    return Array.from({ length: count }, () => {
      const entry = { path: '', folder: 0 };
      for (const { content, form } of columns) {
        const value = readForm(reader, form, stringAt);
        if (content === 1 && typeof value === 'string') entry.path = value;
        if (content === 2 && typeof value === 'number') entry.folder = value;
      }
      return entry;
    });
  };
  const folders = table().map(({ path }) => path);
  const absolute = folders.map((folder) => join(folders[0] ?? '', folder));
  const files = table().map(({ path, folder }) => join(absolute[folder] ?? '', path));
  return { path: (file) => files[file] ?? '', addFile: (name, folder) => void files.push(join(absolute[folder] ?? '', name)) };
}

function readForm(reader: Reader, form: number, stringAt: (form: number, offset: number) => string): string | number {
  switch (form) {
    case 0x08: return reader.text(); // string
    case 0x0e: // strp
    case 0x1f: return stringAt(form, reader.u32()); // line_strp
    case 0x0b: return reader.u8();
    case 0x05: return reader.u16();
    case 0x06: return reader.u32();
    case 0x0f: return reader.uleb(); // udata
    case 0x07: reader.skip(8); return 0;
    case 0x1e: reader.skip(16); return 0; // an MD5 sum
    case 0x09: reader.skip(reader.uleb()); return 0; // block
    default: throw new Cut();
  }
}

function runProgram(reader: Reader, header: Header, rows: DwarfLine[]): void {
  const { minimumLength, lineBase, lineRange, opcodeBase, operandCounts } = header;
  let address = 0;
  let file = 1;
  let line = 1;
  let last: { address: number; file: number; line: number } | undefined;
  const emit = (): void => {
    if (last && address > last.address) {
      if (rows.length >= maximumRows) throw new Cut();
      const path = header.path(last.file);
      if (path !== '' && last.line > 0) rows.push({ linear: last.address, length: address - last.address, path, line: last.line });
    }
    if (!last || address >= last.address) last = { address, file, line };
  };
  const advance = (operations: number): void => { address = (address + operations * minimumLength) % 0x1_0000_0000; };
  while (reader.at < reader.end) {
    const opcode = reader.u8();
    if (opcode >= opcodeBase) {
      advance(Math.floor((opcode - opcodeBase) / lineRange));
      line += lineBase + ((opcode - opcodeBase) % lineRange);
      emit();
      continue;
    }
    switch (opcode as Op) {
      case Op.Extended: {
        const next = reader.uleb() + reader.at;
        if (next > reader.end) throw new Cut();
        const kind = next > reader.at ? reader.u8() as Extended : 0;
        if (kind === Extended.SetAddress) address = reader.u32();
        else if (kind === Extended.DefineFile) header.addFile(reader.text(), reader.uleb());
        else if (kind === Extended.EndSequence) {
          emit();
          [address, file, line, last] = [0, 1, 1, undefined];
        }
        reader.at = next;
        break;
      }
      case Op.Copy: emit(); break;
      case Op.AdvancePc: advance(reader.uleb()); break;
      case Op.AdvanceLine: line += reader.sleb(); break;
      case Op.SetFile: file = reader.uleb(); break;
      case Op.SetColumn: reader.uleb(); break;
      case Op.NegateStatement:
      case Op.BasicBlock: break;
      case Op.ConstAddPc: advance(Math.floor((255 - opcodeBase) / lineRange)); break;
      case Op.FixedAdvancePc: address = (address + reader.u16()) % 0x1_0000_0000; break;
      default: for (let n = operandCounts[opcode - 1] ?? 0; n > 0; n--) reader.uleb();
    }
  }
}
