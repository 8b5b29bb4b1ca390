/** Parses the text of an encoding (see types.ts) and gathers rows into the table. Throws on a malformed row: that is a defect of the table. */
import type { Encoding, InstructionSpec, InstructionTable, OperandCode } from './types';

export function parseEncoding(text: string, instruction: InstructionSpec, id: number): Encoding {
  const fail = (why: string): never => {
    throw new Error(`instruction table: ${instruction.mnemonic} '${text}': ${why}`);
  };
  const [head, tail = ''] = text.split(':');
  const [operandText, attributeText = ''] = tail.split(';');
  const words = head.trim().split(/\s+/);
  let mandatoryPrefix: Encoding['mandatoryPrefix'] = 0;
  let modrm: Encoding['modrm'] = 'none';
  let registerInOpcode = false;
  const bytes: number[] = [];
  const isPrefix = (byte: number) => byte === 0x66 || byte === 0xf2 || byte === 0xf3;
  for (const word of words) {
    if (/^\/[0-7]$/.test(word)) modrm = Number(word[1]);
    else if (word === '/r') modrm = 'reg';
    else if (/^[0-9A-F]{2}\+r$/.test(word)) {
      registerInOpcode = true;
      bytes.push(parseInt(word, 16));
    } else if (/^[0-9A-F]{2}$/.test(word)) bytes.push(parseInt(word, 16));
    else fail(`'${word}' is not an opcode byte`);
  }
  if (bytes.length > 1 && isPrefix(bytes[0])) {
    mandatoryPrefix = bytes.shift() as Encoding['mandatoryPrefix'];
  }
  let map: Encoding['map'] = 0;
  const escapes: readonly [Encoding['map'], readonly number[]][] = [[2, [0x0f, 0x38]], [3, [0x0f, 0x3a]], [1, [0x0f]]];
  for (const [escapedMap, escape] of escapes) {
    if (bytes.length > escape.length && escape.every((byte, i) => bytes[i] === byte)) {
      map = escapedMap;
      bytes.splice(0, escape.length);
      break;
    }
  }
  const opcode: number = bytes.shift() ?? fail('no opcode byte');
  const modrmByte = bytes.shift();
  if (bytes.length) fail('too many opcode bytes');
  const attributes = new Set(attributeText.trim().split(/\s+/).filter(Boolean));
  const size = ([16, 32, 64] as const).find((n) => attributes.has(`o${n}`));
  const operands = operandText.trim().split(/\s+/).filter(Boolean) as OperandCode[];
  const mod = attributes.has('reg') || operands.some((o) => /^[RUN]/.test(o)) ? 'reg'
    : attributes.has('mem') || operands.some((o) => o.startsWith('M')) ? 'mem' : 'any';
  return {
    id, instruction, text, map, opcode, registerInOpcode, mandatoryPrefix, modrm, modrmByte, operands, mod,
    operandSize: size,
    addressSize: ([16, 32, 64] as const).find((n) => attributes.has(`a${n}`)),
    defaults64: attributes.has('d64'),
    forced64: attributes.has('f64') || operands.some((o) => o[0] === 'J'),
    invalid64: attributes.has('i64'),
    only64: attributes.has('only64'),
    noPrefix: attributes.has('np'),
    noRepeat: attributes.has('nrep'),
    assemble: !attributes.has('asm-'),
    syntaxOnly: attributes.has('syntax'),
  };
}

export function buildTable(instructions: readonly InstructionSpec[]): InstructionTable {
  const encodings: Encoding[] = [];
  const syntaxes: Encoding[] = [];
  const byMnemonic = new Map<string, Encoding[]>();
  for (const instruction of instructions) {
    for (const text of instruction.encodings) {
      const encoding = parseEncoding(text, instruction, encodings.length);
      (encoding.syntaxOnly ? syntaxes : encodings).push(encoding);
      for (const name of [instruction.mnemonic, ...(instruction.aliases ?? []), ...(instruction.waiting ? [instruction.waiting] : [])]) {
        const list = byMnemonic.get(name);
        if (list) list.push(encoding);
        else byMnemonic.set(name, [encoding]);
      }
    }
  }
  return { instructions, encodings, syntaxes, byMnemonic };
}
