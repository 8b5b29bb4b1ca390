/** Expressions in watches, hovers and the debug console, and assignments to what they name. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressDigits } from '../protocol/addresses';
import { formatValue, parseExpression } from '../protocol/expression';
import { findRegister } from '../protocol/registers';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';
import { formatReference, linearReference } from './memory';
import { setRegister } from './variables';

/** Bytes shown behind a label. */
const labelBytes = 8;

export async function evaluate(debuggee: Debuggee, expression: string, hex: boolean | undefined): Promise<DebugProtocol.EvaluateResponse['body']> {
  const tree = parseExpression(expression);
  const result = await debuggee.evaluate(expression);
  const text = hex === false ? result.value.toString() : formatValue(result);
  if (tree.kind === 'name' && !findRegister(tree.name)) {
    const address = Number(result.value);
    const bytes = await debuggee.read(address, labelBytes);
    const contents = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    return { result: `0x${addressDigits(address)}: ${contents || 'not readable'}`, type: 'label', variablesReference: 0, memoryReference: linearReference(address) };
  }
  const reference = result.memory ? formatReference(result.memory) : result.bits === 32 ? linearReference(Number(result.value)) : undefined;
  return {
    result: text, type: result.bits === 0 ? 'number' : `${result.bits} bit${result.bits === 1 ? '' : 's'}`, variablesReference: 0,
    ...(reference !== undefined && { memoryReference: reference }),
  };
}

/** @throws AdapterError when the expression names neither a register nor memory. */
export async function assign(debuggee: Debuggee, target: string, valueText: string): Promise<DebugProtocol.SetExpressionResponse['body']> {
  const tree = parseExpression(target);
  const { value } = await debuggee.evaluate(valueText);
  if (tree.kind === 'name') {
    const register = findRegister(tree.name);
    if (!register) throw new AdapterError(`"${tree.name}" is no register`, `Write [${tree.name}] to change the memory at a label.`);
    await setRegister(debuggee, register, value);
  } else if (tree.kind === 'memory') {
    const { memory, bits } = await debuggee.evaluate(target);
    if (!memory) throw new AdapterError(`"${target}" is no memory`);
    if (value >= 1n << BigInt(bits) || value < -(1n << BigInt(bits - 1))) throw new AdapterError(`${valueText} does not fit in ${bits / 8} byte${bits === 8 ? '' : 's'}`);
    let rest = BigInt.asUintN(bits, value);
    const bytes = new Uint8Array(bits / 8).map(() => {
      const byte = Number(rest & 0xffn);
      rest >>= 8n;
      return byte;
    });
    const { written } = await debuggee.client.request('writeMemory', { ...memory, bytes });
    if (written < bytes.length) throw new AdapterError(`Memory at ${formatReference(memory)} cannot be written`);
  } else {
    throw new AdapterError(`"${target}" cannot be assigned to`, 'Registers, flags and memory can.');
  }
  const { result, type, variablesReference, memoryReference } = await evaluate(debuggee, target, undefined);
  return { value: result, variablesReference, ...(type !== undefined && { type }), ...(memoryReference !== undefined && { memoryReference }) };
}
