/** Kernels that are no ELF files for their loader (the "a.out kludge" of both Multiboot versions): the header says where the file's bytes go. */
import { MachineError } from '../api';
import type { MemoryChunk } from './boot-state';
import { checkLoadRange } from './elf';

export interface LoadAddresses {
  readonly header: number;
  /** Where the loaded bytes begin; undefined: with the beginning of the file. */
  readonly load: number | undefined;
  /** 0: the whole file. */
  readonly loadEnd: number;
  /** 0: no bss. */
  readonly bssEnd: number;
  readonly entry: number;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** @param at the addresses and the header's offset in the file. Throws MachineError with the field that is wrong. */
export function loadByAddresses(file: string, bytes: Uint8Array, at: LoadAddresses & { readonly offset: number }, ramBytes: number): { chunks: MemoryChunk[]; entry: number } {
  const { offset, header, loadEnd, bssEnd, entry } = at;
  const fail = (message: string): never => {
    throw new MachineError('multiboot-header', `${file}: multiboot header: ${message}`, 'Correct the address fields of the header (Multiboot specification, section 3.1.3; Multiboot2, 3.1.5).');
  };
  const load = at.load ?? header - offset;
  if (load < 0) fail(`header_addr ${hex(header)} is below the header's offset ${hex(offset)}`);
  if (load > header) fail(`load_addr ${hex(load)} is above header_addr ${hex(header)}`);
  const fileStart = offset - (header - load);
  if (fileStart < 0) fail(`load_addr ${hex(load)} lies before the beginning of the file (the header is at offset ${hex(offset)})`);
  const fileBytes = loadEnd === 0 ? bytes.length - fileStart : loadEnd - load;
  if (fileBytes <= 0) fail(`load_end_addr ${hex(loadEnd)} is not above load_addr ${hex(load)}`);
  if (fileStart + fileBytes > bytes.length) fail(`load_end_addr ${hex(loadEnd)} asks for ${hex(fileBytes)} bytes from offset ${hex(fileStart)}, but the file has ${hex(bytes.length)}`);
  const dataEnd = load + fileBytes;
  if (bssEnd !== 0 && bssEnd < dataEnd) fail(`bss_end_addr ${hex(bssEnd)} is below the end of the data ${hex(dataEnd)}`);
  const end = bssEnd === 0 ? dataEnd : bssEnd;
  checkLoadRange(file, 'the multiboot header (load_addr, bss_end_addr)', load, end - load, ramBytes);
  if (entry < load || entry >= end) fail(`entry_addr ${hex(entry)} is outside what is loaded (${hex(load)}–${hex(end)})`);
  return { chunks: [{ what: file, address: load, bytes: bytes.subarray(fileStart, fileStart + fileBytes), zeroBytes: end - dataEnd }], entry };
}
