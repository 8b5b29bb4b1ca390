/** Memory references (`lin:0x7c00`, `phys:0x100000`) and the requests to read and write what they name. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressDigits, addressNumber, extendedAddress } from '../protocol/addresses';
import { fromBase64, toBase64 } from '../protocol/dap';
import type { AddressSpace } from '../protocol/messages';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';

export interface MemoryReference {
  readonly space: AddressSpace;
  readonly address: number;
}

const maximumRead = 0x100_0000;

/** A bare number is a linear address. @throws AdapterError */
export function parseReference(text: string): MemoryReference {
  const match = /^(?:(lin|phys):)?(0x[0-9a-f]+|[0-9]+)$/i.exec(text.trim());
  const space = match?.[1]?.toLowerCase() === 'phys' ? 'physical' : 'linear';
  const value = match ? BigInt(match[2]) : -1n;
  const address = value < 0n || value >= 2n ** 64n ? NaN : space === 'linear' ? addressNumber(value) : Number(value);
  if (!Number.isSafeInteger(address)) throw new AdapterError(`"${text}" is no memory reference`, 'Write lin:0x7c00 for a linear or phys:0x7c00 for a physical address.');
  return { space, address };
}

export function formatReference({ space, address }: MemoryReference): string {
  return `${space === 'physical' ? 'phys' : 'lin'}:0x${(space === 'physical' ? address : extendedAddress(address)).toString(16)}`;
}

export const linearReference = (address: number): string => formatReference({ space: 'linear', address });

export async function readMemory(debuggee: Debuggee, args: DebugProtocol.ReadMemoryArguments): Promise<DebugProtocol.ReadMemoryResponse['body']> {
  const { space, address } = parseReference(args.memoryReference);
  const start = address + (args.offset ?? 0);
  if (args.count < 0 || args.count > maximumRead) throw new AdapterError(`count is ${args.count}; at most ${maximumRead} bytes can be read at once`);
  // A hex editor asks for bytes before address 0 too.
  if (start < 0) return { address: '0x0', unreadableBytes: args.count };
  const { bytes, unreadable } = await debuggee.client.request('readMemory', { space, address: start, count: args.count });
  return { address: `0x${(space === 'physical' ? start : extendedAddress(start)).toString(16)}`, data: toBase64(bytes), ...(unreadable > 0 && { unreadableBytes: unreadable }) };
}

export async function writeMemory(debuggee: Debuggee, args: DebugProtocol.WriteMemoryArguments): Promise<DebugProtocol.WriteMemoryResponse['body']> {
  const { space, address } = parseReference(args.memoryReference);
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(args.data);
  } catch {
    throw new AdapterError('data is not base64');
  }
  const start = address + (args.offset ?? 0);
  const { written } = await debuggee.client.request('writeMemory', { space, address: start, bytes });
  if (written < bytes.length && !args.allowPartial) {
    throw new AdapterError(`Only ${written} of ${bytes.length} bytes at ${formatReference({ space, address: start })} could be written`);
  }
  return { offset: 0, bytesWritten: written };
}

/** Rows of 16 bytes: address, bytes, characters. */
export function hexDump(address: number, bytes: Uint8Array): string[] {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    rows.push(`${addressDigits(address + at)}  ${hex.padEnd(47)}  ${text}`);
  }
  return rows;
}
