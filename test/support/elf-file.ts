/** Writes small ELF32 files for tests: sections, and one loadable segment if wanted. */

export const elfText = (value: string): number[] => [...new TextEncoder().encode(value), 0];
export const u16 = (value: number): number[] => [value & 255, (value >> 8) & 255];
export const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

export interface ElfSectionSpec {
  readonly name: string;
  readonly type: number;
  readonly bytes: readonly number[];
  readonly link?: number;
}

const headerSize = 52;
const programHeaderSize = 32;
const codeOffset = headerSize + programHeaderSize;

/** Section 0 and the section of names are added, so that the first section given has index 1. */
export function elfFile(sections: readonly ElfSectionSpec[], code?: { readonly address: number; readonly entry: number; readonly bytes: readonly number[] }): Uint8Array {
  const names: number[] = [];
  const all = [{ name: '', type: 0, bytes: [] as readonly number[], link: 0 }, ...sections, { name: '.shstrtab', type: 3, bytes: names, link: 0 }];
  const nameAt = all.map(({ name }) => names.push(...elfText(name)) - name.length - 1);
  const body: number[] = [...(code?.bytes ?? [])];
  const offsets = all.map(({ bytes }) => {
    const at = codeOffset + body.length;
    body.push(...bytes);
    return at;
  });
  const table = codeOffset + body.length;
  const headers = all.flatMap(({ type, bytes, link }, n) => [
    nameAt[n]!, type, 0, 0, offsets[n]!, bytes.length, link ?? 0, 0, 0, 0,
  ].flatMap(u32));
  const size = code?.bytes.length ?? 0;
  return Uint8Array.from([
    0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, ...u32(0), ...u32(0), // ELF32, little-endian
    ...u16(2), ...u16(3), ...u32(1), ...u32(code?.entry ?? 0), ...u32(code ? headerSize : 0), ...u32(table), ...u32(0), // executable for the 386
    ...u16(headerSize), ...u16(programHeaderSize), ...u16(code ? 1 : 0), ...u16(40), ...u16(all.length), ...u16(all.length - 1),
    ...[1, codeOffset, code?.address ?? 0, code?.address ?? 0, size, size, 7, 4].flatMap(u32),
    ...body, ...headers,
  ]);
}

/** A row of a symbol table. */
export function elfSymbol(name: number, value: number, info: number, home: number): number[] {
  return [...u32(name), ...u32(value), ...u32(0), info, 0, ...u16(home)];
}
