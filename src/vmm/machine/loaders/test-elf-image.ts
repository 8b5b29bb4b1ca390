/** ELF kernels of both classes for tests of loaders: one or more loadable segments, a note, sections, and a multiboot header at {@link HEADER_AT}. */

export const HEADER_AT = 0x200;
const NOTE_AT = 0x180, SECTIONS_AT = 0x400, SYMBOLS_AT = 0x500, FILE_BYTES = 0x540;

export interface ElfImageSpec {
  readonly bits?: 32 | 64;
  readonly entry?: number | bigint;
  /** Physical and virtual address of the segment with file offsets 200h–3FFh, and its size in memory. */
  readonly physical?: number;
  readonly virtual?: number | bigint;
  readonly memoryBytes?: number;
  /** Entry of a PVH note. */
  readonly pvh?: number;
  /** A symbol table that no segment loads. */
  readonly sections?: boolean;
  /** Words of a header at {@link HEADER_AT}. */
  readonly header?: readonly number[];
}

export function elfImage({ bits = 64, physical = 0x100000, virtual = physical, entry = physical + 0x100, memoryBytes = 0x1000, pvh, sections = false, header = [] }: ElfImageSpec = {}): Uint8Array {
  const bytes = new Uint8Array(FILE_BYTES);
  const view = new DataView(bytes.buffer);
  const wide = bits === 64;
  let at = 0;
  const half = (value: number): void => { view.setUint16(at, value, true); at += 2; };
  const word = (value: number): void => { view.setUint32(at, value >>> 0, true); at += 4; };
  const address = (value: number | bigint): void => {
    if (!wide) return word(Number(value));
    view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    at += 8;
  };
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  at = 16;
  const headerBytes = wide ? 64 : 52, programHeaderBytes = wide ? 56 : 32, sectionHeaderBytes = wide ? 64 : 40;
  half(2); half(wide ? 62 : 3); word(1); address(entry); address(headerBytes); address(sections ? SECTIONS_AT : 0); word(0);
  half(headerBytes); half(programHeaderBytes); half(pvh === undefined ? 1 : 2); half(sectionHeaderBytes); half(sections ? 2 : 0); half(0);
  const segment = (type: number, offset: number, to: number | bigint, place: number, fileBytes: number, inMemory: number): void => {
    word(type);
    if (wide) word(5);
    address(offset); address(to); address(place); address(fileBytes); address(inMemory);
    if (!wide) word(5);
    address(4096);
  };
  segment(1, HEADER_AT, virtual, physical, 0x200, memoryBytes);
  if (pvh !== undefined) {
    segment(4, NOTE_AT, 0, 0, 0x14, 0x14);
    at = NOTE_AT;
    for (const value of [4, 4, 18, 0x006e6558, pvh]) word(value);
  }
  if (sections) {
    // The null section, and one of 40h bytes that occupies no memory.
    at = SECTIONS_AT + sectionHeaderBytes;
    word(0); word(2); address(0); address(0); address(SYMBOLS_AT); address(0x40);
    bytes.fill(0xab, SYMBOLS_AT, SYMBOLS_AT + 0x40);
  }
  at = HEADER_AT;
  for (const value of header) word(value);
  return bytes;
}

/** Words of a multiboot2 header with these tags: type, flags, and the words behind the size. */
export function multiboot2Header(...tags: readonly (readonly [type: number, flags: number, ...content: number[]])[]): number[] {
  const body: number[] = [];
  for (const [type, flags, ...content] of [...tags, [0, 0] as const]) {
    body.push(type | flags << 16, 8 + 4 * content.length, ...content);
    if (content.length % 2) body.push(0);
  }
  const length = 16 + 4 * body.length;
  return [0xe85250d6, 0, length, -(0xe85250d6 + length) >>> 0, ...body];
}
