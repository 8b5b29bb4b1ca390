/**
 * The PVH entry of Xen's boot ABI (xen/docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h), which Linux, FreeBSD and others have in their ELF files: a note
 * names the 32-bit entry, and EBX points to a structure with memory map, modules and command line.
 */
import { MachineError } from '../api';
import type { BootState } from './boot-state';
import { elfNotes, loadElf } from './elf';
import { memoryMap } from './memory-map';
import { Placement, type Module } from './placement';
import { flatProtectedMode } from './protected-mode';

const NOTE_NAME = 'Xen', XEN_ELFNOTE_PHYS32_ENTRY = 18;
const START_MAGIC = 0x336ec578, START_VERSION = 1;
const START_BYTES = 56, MODULE_BYTES = 32, MAP_ENTRY_BYTES = 24;

export interface PvhOptions {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly ramBytes: number;
  readonly commandLine?: string;
  readonly modules?: readonly Module[];
}

/** The entry that the file's note names; undefined without one. Throws MachineError for a damaged ELF file. */
export function findPvhEntry(file: string, bytes: Uint8Array): number | undefined {
  const note = elfNotes(file, bytes).find(({ name, type }) => name === NOTE_NAME && type === XEN_ELFNOTE_PHYS32_ENTRY);
  if (note === undefined || note.descriptor.length < 4) return undefined;
  return new DataView(note.descriptor.buffer, note.descriptor.byteOffset).getUint32(0, true);
}

/** Throws MachineError with the field that is wrong. */
export function loadPvh({ file, bytes, ramBytes, commandLine = '', modules = [] }: PvhOptions): BootState {
  const entry = findPvhEntry(file, bytes);
  if (entry === undefined) throw new MachineError('pvh', `${file}: has no PVH entry (ELF note "Xen", type 18)`, 'Build Linux with CONFIG_PVH, or start its bzImage.');
  const kernel = loadElf(file, bytes, ramBytes, { entry });
  const placement = new Placement(file, kernel.chunks, ramBytes);
  const moduleAddresses = modules.map((module) => placement.above(`module ${module.name}`, module.bytes));
  const line = new TextEncoder().encode(`${commandLine.replaceAll('\0', ' ')}\0`);
  const map = memoryMap(ramBytes);
  const start = placement.tables('PVH start information', (address) => {
    const modulesAt = START_BYTES, mapAt = modulesAt + MODULE_BYTES * modules.length, lineAt = mapAt + MAP_ENTRY_BYTES * map.length;
    const table = new Uint8Array(lineAt + line.length);
    const view = new DataView(table.buffer);
    const long = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
    [START_MAGIC, START_VERSION, 0, modules.length].forEach((value, n) => view.setUint32(4 * n, value, true));
    long(16, modules.length > 0 ? address + modulesAt : 0);
    long(24, address + lineAt);
    // No root pointer of ACPI tables is passed: kernels find it in the BIOS area.
    long(40, address + mapAt);
    view.setUint32(48, map.length, true);
    modules.forEach((module, n) => {
      long(modulesAt + MODULE_BYTES * n, moduleAddresses[n]);
      long(modulesAt + MODULE_BYTES * n + 8, module.bytes.length);
    });
    map.forEach((range, n) => {
      const at = mapAt + MAP_ENTRY_BYTES * n;
      long(at, range.base);
      long(at + 8, range.bytes);
      view.setUint32(at + 16, range.type, true);
    });
    table.set(line, lineAt);
    return table;
  });
  return { kind: 'pvh', chunks: placement.chunks, registers: flatProtectedMode(kernel.entry, [0, 0, 0, start, 0, 0, 0, 0]) };
}
