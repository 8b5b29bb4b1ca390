/**
 * A file of firmware tables whose addresses are not known yet: the bytes, the places that hold addresses of other places in the file, and the
 * checksums over them. The built-in BIOS puts the file at a fixed address; a user's BIOS allocates memory for it and follows the script that
 * goes with it (fw_cfg's "etc/table-loader").
 */

interface Pointer {
  readonly at: number;
  readonly width: 4 | 8;
  readonly target: number;
}

interface Checksum {
  readonly at: number;
  readonly first: number;
  readonly length: number;
}

export class TableFile {
  private bytes = new Uint8Array(0);
  readonly pointers: Pointer[] = [];
  readonly checksums: Checksum[] = [];

  get length(): number {
    return this.bytes.length;
  }

  /** Appends; returns the offset. */
  add(bytes: ArrayLike<number>, alignment = 1): number {
    const at = Math.ceil(this.length / alignment) * alignment;
    const next = new Uint8Array(at + bytes.length);
    next.set(this.bytes);
    next.set(bytes, at);
    this.bytes = next;
    return at;
  }

  /** The field at `at` will hold the address of `target`. */
  pointer(at: number, width: 4 | 8, target: number): void {
    this.pointers.push({ at, width, target });
  }

  /** The byte at `at` will make the sum of the range zero. */
  checksum(at: number, first: number, length: number): void {
    this.checksums.push({ at, first, length });
  }

  /** With offsets in the place of addresses, as the loader's script expects it. */
  relative(): Uint8Array {
    return this.at(0, false);
  }

  /** As it stands at an address. */
  placed(base: number): Uint8Array {
    return this.at(base, true);
  }

  private at(base: number, sums: boolean): Uint8Array {
    const bytes = this.bytes.slice();
    const view = new DataView(bytes.buffer);
    for (const { at, width, target } of this.pointers) {
      view.setUint32(at, base + target, true);
      if (width === 8) view.setUint32(at + 4, 0, true);
    }
    if (!sums) return bytes;
    for (const { at, first, length } of this.checksums) {
      bytes[at] = 0;
      bytes[at] = -bytes.subarray(first, first + length).reduce((sum, byte) => sum + byte, 0);
    }
    return bytes;
  }
}

const ENTRY_BYTES = 128, NAME_BYTES = 56;
const Command = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;
/** Memory for a file: anywhere below 4 GiB, or where the root pointer is looked for. */
export const Zone = { high: 1, firmwareSegment: 2 } as const;

/** Entries of "etc/table-loader" (as SeaBIOS and OVMF read it): 128 bytes each, a command and its operands. */
export class LoaderScript {
  private readonly entries: Uint8Array[] = [];

  private entry(command: number, names: readonly string[], numbers: readonly (readonly [value: number, bytes: 1 | 4])[]): void {
    const bytes = new Uint8Array(ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, command, true);
    let at = 4;
    for (const name of names) {
      if (name.length >= NAME_BYTES) throw new RangeError(`table loader: the name ${name} is too long`);
      bytes.set(Array.from(name, (c) => c.charCodeAt(0)), at);
      at += NAME_BYTES;
    }
    for (const [value, width] of numbers) {
      if (width === 4) view.setUint32(at, value, true);
      else bytes[at] = value;
      at += width;
    }
    this.entries.push(bytes);
  }

  allocate(file: string, alignment: number, zone: number): void {
    this.entry(Command.allocate, [file], [[alignment, 4], [zone, 1]]);
  }

  addPointer(file: string, targetFile: string, at: number, width: number): void {
    this.entry(Command.addPointer, [file, targetFile], [[at, 4], [width, 1]]);
  }

  addChecksum(file: string, at: number, first: number, length: number): void {
    this.entry(Command.addChecksum, [file], [[at, 4], [first, 4], [length, 4]]);
  }

  get bytes(): Uint8Array {
    const all = new Uint8Array(ENTRY_BYTES * this.entries.length);
    this.entries.forEach((entry, n) => all.set(entry, ENTRY_BYTES * n));
    return all;
  }
}
