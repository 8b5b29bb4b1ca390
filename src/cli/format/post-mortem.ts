/** Why a guest died of a triple fault, in words: the faults, the gate that failed, where the code came from, and the code itself. */
import type { DisassembledInstruction, PostMortem } from '../../protocol/messages';
import { linearEip } from '../../protocol/registers';
import { listingLine } from './listing';
import { registersText } from './registers';
import { columns, hex } from './text';

/** @param around instructions around the faulting one, in order of their addresses. */
export function postMortemText(postMortem: PostMortem, around: readonly DisassembledInstruction[]): string {
  const { chain, gate, registers, lastBranches } = postMortem;
  const faults = columns(chain.map(({ name, errorCode, cs, eip, text }, n) => [
    `${n + 1}.`, name, errorCode === undefined ? '' : `error code ${hex(errorCode, 4)}`, `at ${hex(cs, 4)}:${hex(eip, 8)}`, text,
  ]), ['left', 'left', 'left', 'left', 'left']);
  const at = linearEip(registers);
  const code = around.map((line) => `${line.linear === at ? '=>' : '  '} ${listingLine({ address: line.linear, bytes: line.bytes, text: line.text })}`).join('\n');
  const branches = lastBranches.map(({ from, to }) => `  ${linearText(from)} → ${linearText(to)}`).join('\n');
  return [
    'The faults, in order:', indent(faults),
    'The gate that could not be used:', indent(gate),
    'The code:', code,
    ...(branches ? ['The last branches, oldest first:', branches] : []),
    'The registers:', indent(registersText(registers)),
  ].join('\n');
}

/** A linear address; of 64-bit code the number has 48 bits, which are extended again. */
function linearText(linear: number): string {
  return linear > 0xffffffff ? hex(BigInt.asUintN(64, BigInt.asIntN(48, BigInt(linear))), 16) : hex(linear, 8);
}

function indent(text: string): string {
  return text.split('\n').map((line) => `  ${line}`).join('\n');
}
