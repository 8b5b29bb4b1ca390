/** The debug console's commands, as rows: `help` is made of them. Everything else typed there is an expression or an assignment. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressDigits } from '../protocol/addresses';
import { registers as registerRows } from '../protocol/registers';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';
import { bytesText } from './disassembly';
import { assign, evaluate } from './evaluate';
import { postMortemLines } from './exceptions';
import { formatReference, hexDump } from './memory';
import { mapLines, walkLines } from './page-tables';
import { StackWalker } from './stack';
import { registerLines } from './variables';

interface Command {
  readonly name: string;
  readonly usage: string;
  readonly help: string;
  readonly pattern: RegExp;
  run(debuggee: Debuggee, match: RegExpExecArray): Promise<readonly string[]>;
}

const unitBytes: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };
const maximumUnits = 4096;
const mapRows = 50;

const commands: readonly Command[] = [
  { name: 'help', usage: 'help', help: 'this list', pattern: /^(?:help|\?)$/i, run: () => Promise.resolve(helpLines()) },
  {
    name: 'registers', usage: 'registers', help: 'all registers', pattern: /^(?:registers|info registers|r)$/i,
    run: async (debuggee) => registerLines(await debuggee.registers()),
  },
  {
    name: 'counters', usage: 'counters', help: 'what the monitor has counted', pattern: /^counters$/i,
    run: async (debuggee) => {
      const { values } = await debuggee.client.request('counters');
      const width = Math.max(...debuggee.counters.map(({ title }) => title.length));
      return debuggee.counters.map(({ id, title }) => `${title.padEnd(width)}  ${(values[id] ?? 0).toLocaleString('en-US')}`);
    },
  },
  {
    name: 'x', usage: 'x/8xw ADDRESS', help: 'memory: count, format x d u c s i, unit b (1) h (2) w (4) g (8 bytes); phys:ADDRESS for physical memory',
    pattern: /^x(?:\/([0-9]*)([xducsi]?)([bhwg]?))?\s+(?:(phys|lin):)?(.+)$/i, run: examine,
  },
  {
    name: 'disassemble', usage: 'disassemble [ADDRESS] [, COUNT]', help: 'instructions from an address or from EIP', pattern: /^(?:disassemble|dis|u)(?:\s+([^,]+))?(?:,\s*([0-9]+))?$/i,
    run: async (debuggee, [, where, count]) => {
      const linear = where ? Number((await debuggee.evaluate(where)).value) : await debuggee.linearEip();
      return instructionLines(debuggee, linear, Math.min(Number(count ?? 10), maximumUnits));
    },
  },
  {
    name: 'backtrace', usage: 'backtrace', help: 'the call stack', pattern: /^(?:backtrace|bt)$/i,
    run: async (debuggee) => (await new StackWalker(debuggee).frames({ threadId: 1 })).stackFrames.map(({ id, name }) => `#${id} ${name}`),
  },
  {
    name: 'walk', usage: 'walk ADDRESS', help: 'the page tables\' entries for an address', pattern: /^walk\s+(.+)$/i,
    run: async (debuggee, [, where = '']) => walkLines(debuggee, Number((await debuggee.evaluate(where)).value)),
  },
  {
    name: 'pages', usage: 'pages [FROM]', help: 'what the page tables map', pattern: /^pages(?:\s+(.+))?$/i,
    run: async (debuggee, [, from]) => mapLines(debuggee, from ? Number((await debuggee.evaluate(from)).value) : 0, mapRows),
  },
  {
    name: 'faults', usage: 'faults [COUNT]', help: 'instructions that cause hidden page faults, most first', pattern: /^faults(?:\s+([0-9]+))?$/i,
    run: async (debuggee, [, most]) => {
      const sites = await debuggee.client.request('hiddenPageFaults', { most: Math.min(Number(most ?? 20), maximumUnits) });
      return sites.length === 0 ? ['No hidden page faults so far'] : sites.map(({ linear, count }) => `${count.toString().padStart(10)}  ${debuggee.nameOf(linear)}`);
    },
  },
  {
    name: 'symbol', usage: 'symbol ADDRESS', help: 'the label at or before an address', pattern: /^(?:symbol|sym)\s+(.+)$/i,
    run: async (debuggee, [, where = '']) => {
      const linear = Number((await debuggee.evaluate(where)).value);
      const source = debuggee.sourceMap.locate(linear);
      return [debuggee.nameOf(linear) + (source ? ` (${source.path}:${source.line})` : '')];
    },
  },
  {
    name: 'postmortem', usage: 'postmortem', help: 'why the guest died', pattern: /^post-?mortem$/i,
    run: async (debuggee) => {
      const postMortem = await debuggee.client.request('postMortem');
      return postMortem ? postMortemLines(postMortem) : ['The guest has not died'];
    },
  },
];

function helpLines(): string[] {
  const width = Math.max(...commands.map(({ usage }) => usage.length));
  return [
    ...commands.map(({ usage, help }) => `${usage.padEnd(width)}  ${help}`),
    'Anything else is an expression: eax + 4, word [ds:si], zf && cs.base == 0, msg', 'or an assignment: eax = 5, byte [msg] = \'A\', zf = 1, cr0.wp = 1',
  ];
}

async function examine(debuggee: Debuggee, match: RegExpExecArray): Promise<readonly string[]> {
  const [, countText, formatText, unitText, spaceText, where = ''] = match;
  const format = (formatText || 'x').toLowerCase();
  const count = Math.min(countText ? Number(countText) : 1, maximumUnits);
  const address = Number((await debuggee.evaluate(where)).value);
  const space = spaceText?.toLowerCase() === 'phys' ? 'physical' as const : 'linear' as const;
  if (format === 'i') {
    if (space === 'physical') throw new AdapterError('Code is disassembled at linear addresses');
    return instructionLines(debuggee, address, count);
  }
  const unit = unitBytes[unitText?.toLowerCase() || (format === 'c' ? 'b' : format === 's' ? 'b' : 'w')] ?? 4;
  const { bytes, unreadable } = await debuggee.client.request('readMemory', { space, address, count: format === 's' ? maximumUnits : count * unit });
  const lines = format === 's' ? [stringLine(address, bytes)] : unit === 1 && format === 'x' ? hexDump(address, bytes) : unitLines(address, bytes, unit, format);
  return unreadable > 0 && format !== 's' ? [...lines, `Memory at ${formatReference({ space, address: address + bytes.length })} cannot be read`] : lines;
}

function stringLine(address: number, bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = String.fromCharCode(...bytes.subarray(0, end < 0 ? 200 : Math.min(end, 200)));
  return `${addressDigits(address)}  ${JSON.stringify(text)}`;
}

function unitLines(address: number, bytes: Uint8Array, unit: number, format: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + unit <= bytes.length; at += unit) {
    const value = bytes.subarray(at, at + unit).reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
    values.push(format === 'd' ? BigInt.asIntN(unit * 8, value).toString() : format === 'u' ? value.toString()
      : format === 'c' ? JSON.stringify(String.fromCharCode(Number(value & 0xffn))) : `0x${value.toString(16).padStart(unit * 2, '0')}`);
  }
  const perLine = 16 / unit;
  const lines: string[] = [];
  for (let n = 0; n < values.length; n += perLine) lines.push(`${addressDigits(address + n * unit)}  ${values.slice(n, n + perLine).join(' ')}`);
  return lines;
}

async function instructionLines(debuggee: Debuggee, linear: number, count: number): Promise<string[]> {
  const found = await debuggee.client.request('disassemble', { linear, instructionOffset: 0, count });
  return found.map((one) => `${addressDigits(one.linear)}  ${bytesText(one.bytes).padEnd(24)}  ${one.text}`);
}

/** Runs a command, an assignment or an expression. */
export async function execute(debuggee: Debuggee, text: string): Promise<DebugProtocol.EvaluateResponse['body']> {
  const line = text.trim();
  for (const command of commands) {
    const match = command.pattern.exec(line);
    if (match) return { result: (await command.run(debuggee, match)).join('\n'), variablesReference: 0 };
  }
  const assignment = /^([^=!<>]+)=(?!=)(.+)$/.exec(line);
  if (assignment) {
    const { value } = await assign(debuggee, assignment[1] ?? '', assignment[2] ?? '');
    return { result: value, variablesReference: 0 };
  }
  return evaluate(debuggee, line, undefined);
}

/** Commands, registers and labels that begin with the word before the cursor. */
export function completions(debuggee: Debuggee | undefined, { text, column }: DebugProtocol.CompletionsArguments): DebugProtocol.CompletionItem[] {
  const before = text.slice(0, column - 1);
  const word = /[\w.$]*$/.exec(before)?.[0].toLowerCase() ?? '';
  const first = word.length === before.length;
  const items: DebugProtocol.CompletionItem[] = [
    ...(first ? commands.map(({ name, help }) => ({ label: name, detail: help, type: 'keyword' as const })) : []),
    ...registerRows.map(({ name }) => ({ label: name, type: 'variable' as const })),
    ...(debuggee?.sourceMap.symbolNames ?? []).map((label) => ({ label, type: 'function' as const })),
  ];
  return items.filter(({ label }) => label.toLowerCase().startsWith(word)).slice(0, 200)
    .map((item) => ({ ...item, start: column - 1 - word.length, length: word.length }));
}
