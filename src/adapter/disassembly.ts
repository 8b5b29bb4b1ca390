/** The disassembly request: instructions around a reference, in the mode the processor is in now. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressDigits, addressNumber } from '../protocol/addresses';
import type { InstructionJson } from '../protocol/dap';
import type { DisassembledInstruction } from '../protocol/messages';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';
import { parseReference } from './memory';
import { makeSource } from './sources';

const maximumCount = 5000;

export async function disassemble(debuggee: Debuggee, args: DebugProtocol.DisassembleArguments): Promise<DebugProtocol.DisassembleResponse['body']> {
  const { space, address } = parseReference(args.memoryReference);
  if (space !== 'linear') throw new AdapterError('Code is disassembled at linear addresses', 'Use a lin: reference.');
  if (args.instructionCount < 0 || args.instructionCount > maximumCount) throw new AdapterError(`instructionCount is ${args.instructionCount}; at most ${maximumCount} are shown at once`);
  const linear = address + (args.offset ?? 0);
  const found = await debuggee.client.request('disassemble', {
    linear: Math.max(0, linear), instructionOffset: args.instructionOffset ?? 0, count: args.instructionCount,
  });
  const instructions: DebugProtocol.DisassembledInstruction[] = [];
  let lastLine = '';
  for (const one of found.slice(0, args.instructionCount)) {
    const location = debuggee.sourceMap.locate(one.linear);
    const symbol = args.resolveSymbols === false ? undefined : debuggee.sourceMap.symbolAt(one.linear);
    const line = location ? `${location.path}:${location.line}` : '';
    instructions.push({
      address: hex(one.linear), instruction: one.text, instructionBytes: bytesText(one.bytes),
      ...(symbol?.offset === 0 && { symbol: symbol.name }),
      ...(location && line !== lastLine && { location: makeSource(location.path), line: location.line }),
      ...(!one.valid && { presentationHint: 'invalid' as const }),
    });
    lastLine = line;
  }
  // The protocol wants exactly as many as were asked for.
  while (instructions.length < args.instructionCount) {
    const last = instructions.at(-1);
    instructions.push({ address: hex((last ? addressNumber(BigInt(last.address)) : linear) + 1), instruction: '??', presentationHint: 'invalid' });
  }
  return { instructions };
}

const hex = (address: number): string => `0x${addressDigits(address)}`;

export function bytesText(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

export function instructionToJson(debuggee: Debuggee, instruction: DisassembledInstruction): InstructionJson {
  const location = debuggee.sourceMap.locate(instruction.linear);
  return { ...instruction, bytes: bytesText(instruction.bytes), ...(location && { source: { path: location.path, line: location.line } }) };
}
