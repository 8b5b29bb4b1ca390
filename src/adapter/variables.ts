/**
 * The scopes of a stopped machine: registers (general, EFLAGS bit by bit, segments with their hidden parts, tables, control and debug
 * registers bit by bit) and counters. The tree of registers is fixed, so that a reference means the same at every stop.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressNumber, extendedAddress } from '../protocol/addresses';
import { formatValue } from '../protocol/expression';
import { extendedText } from '../protocol/floating';
import type { RegisterSnapshot } from '../protocol/messages';
import { assignment, bitsOf, findRegister, registers as registerRows, segmentNames, segmentText } from '../protocol/registers';
import type { RegisterRow } from '../protocol/registers';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';
import { linearReference } from './memory';

interface Node {
  readonly name: string;
  /** The register of this node; groups have none. */
  readonly register?: RegisterRow;
  readonly title?: string;
  readonly children: readonly Node[];
}

const named = (name: string): RegisterRow => {
  const found = findRegister(name);
  if (!found) throw new Error(`The table of registers has no ${name}`);
  return found;
};
const leaf = (name: string, title?: string): Node => ({ name, register: named(name), children: [], ...(title && { title }) });

/** A register with its named bits below it. */
function withFields(name: string): Node {
  const register = named(name);
  const prefix = name === 'eflags' ? '' : `${name}.`;
  return {
    name, register,
    children: (register.fields ?? []).map((field) => ({ name: field.name, register: named(prefix + field.name), title: field.title, children: [] })),
  };
}

const partNames = (name: string): string[] => registerRows.filter((row) => row.partOf === name && row.group === 'general').map((row) => row.name);
const generalOrder = ['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp', 'ip'] as const;
const generalOf = { narrow: generalOrder.map((name) => `e${name}`), wide: [...generalOrder.slice(0, 8).map((name) => `r${name}`), ...Array.from({ length: 8 }, (_, n) => `r${8 + n}`), 'rip'] };

/** Takes the place of the other group of general registers while 64-bit code runs. */
const general64: Node = { name: 'General', children: generalOf.wide.map((name) => ({ ...leaf(name), children: partNames(name).map((part) => leaf(part)) })) };

const stackNames = Array.from({ length: 8 }, (_, n) => `st${n}`), vectorNames = Array.from({ length: 16 }, (_, n) => `xmm${n}`);

const groups: readonly Node[] = [
  { name: 'General', children: generalOf.narrow.map((name) => ({ ...leaf(name), children: partNames(name).map((part) => leaf(part)) })) },
  general64,
  { ...withFields('eflags'), name: 'EFLAGS' },
  {
    name: 'Segments',
    children: [
      ...segmentNames.map((name) => ({
        ...leaf(name), children: ['base', 'limit', 'attributes'].map((part) => ({ ...leaf(`${name}.${part}`), name: part })),
      })),
      leaf('cpl', 'Current privilege level'),
    ],
  },
  { name: 'Descriptor tables', children: ['gdtr', 'idtr'].flatMap((name) => [leaf(`${name}.base`), leaf(`${name}.limit`)]) },
  { name: 'Control', children: [withFields('cr0'), leaf('cr2', 'Page-fault linear address'), withFields('cr3'), withFields('cr4'), withFields('efer')] },
  {
    name: 'FPU/SSE',
    children: [
      ...stackNames.map((name) => leaf(name)), withFields('fcw'), withFields('fsw'), leaf('ftw', 'Tags, two bits a register: valid, zero, special, empty'),
      ...vectorNames.map((name) => leaf(name)), withFields('mxcsr'),
    ],
  },
  { name: 'Debug', children: [...[0, 1, 2, 3].map((n) => leaf(`dr${n}`)), withFields('dr6'), withFields('dr7')] },
];
const root: Node = { name: 'Registers', children: groups };

/** Nodes with children by their reference, which is their place in this list plus one. */
const containers: readonly Node[] = collect(root);
const references = new Map(containers.map((node, n) => [node, n + 1]));
const countersReference = containers.length + 1;

function collect(node: Node): Node[] {
  return node.children.length === 0 ? [] : [node, ...node.children.flatMap(collect)];
}

export function scopes(): DebugProtocol.Scope[] {
  return [
    { name: 'Registers', presentationHint: 'registers', variablesReference: references.get(root) ?? 1, expensive: false },
    { name: 'Counters', variablesReference: countersReference, expensive: false },
  ];
}

export async function variables(debuggee: Debuggee, args: DebugProtocol.VariablesArguments): Promise<DebugProtocol.Variable[]> {
  if (args.variablesReference === countersReference) return counterVariables(debuggee);
  const node = containers[args.variablesReference - 1];
  if (!node) throw new AdapterError(`There are no variables under reference ${args.variablesReference}`);
  const registers = await debuggee.registers();
  const hidden = registers.mode === 'long' ? groups[0] : general64;
  return node.children.filter((child) => child !== hidden).map((child) => variable(child, registers, args.format?.hex === false));
}

function variable(node: Node, registers: RegisterSnapshot, decimal: boolean): DebugProtocol.Variable {
  const { register } = node;
  const variablesReference = references.get(node) ?? 0;
  if (!register) return { name: node.name, value: groupSummary(node, registers), variablesReference, presentationHint: { kind: 'virtual' } };
  const bits = bitsOf(register, registers);
  const pointer = bits === codeWidth(registers) && (register.group === 'general' || register.name.endsWith('.base'));
  return {
    name: node.name, value: registerText(register, registers, decimal), evaluateName: register.name, variablesReference,
    type: node.title ?? `${bits} bits`,
    ...(pointer && { memoryReference: linearReference(addressNumber(register.read(registers))) }),
    ...(!register.settable && { presentationHint: { attributes: ['readOnly'] } }),
  };
}

/** Width of an address in the mode that the processor is in. */
function codeWidth({ mode }: RegisterSnapshot): number {
  return mode === 'long' ? 64 : 32;
}

function groupSummary(node: Node, registers: RegisterSnapshot): string {
  return node.name === 'Segments' || node.name === 'Control' ? registers.mode : '';
}

function registerText(register: RegisterRow, registers: RegisterSnapshot, decimal: boolean): string {
  const value = register.read(registers), bits = bitsOf(register, registers);
  if (decimal && bits > 1) return value.toString();
  const hexadecimal = bits <= 2 ? value.toString() : `0x${value.toString(16).padStart(Math.ceil(bits / 4), '0')}`;
  if (register.fields) {
    const on = register.fields.filter((field) => (value >> BigInt(field.low)) & ((1n << BigInt(field.width)) - 1n));
    const names = on.map((field) => (field.width === 1 ? field.name : `${field.name}=${(value >> BigInt(field.low)) & ((1n << BigInt(field.width)) - 1n)}`));
    return names.length > 0 ? `${hexadecimal} [${names.join(' ')}]` : hexadecimal;
  }
  if (register.name.endsWith('.attributes')) return `${hexadecimal} (${segmentText(Number(value))})`;
  if (register.group === 'segments' && register.bits === 16) {
    const segment = registers.segments[(segmentNames as readonly string[]).indexOf(register.name)];
    return segment ? `${hexadecimal} (base 0x${extendedAddress(segment.base).toString(16)}, limit 0x${segment.limit.toString(16)})` : hexadecimal;
  }
  if (bits === 80) return `${extendedText(value)} (${hexadecimal})`;
  return register.group === 'general' ? formatValue({ value, bits }) : hexadecimal;
}

async function counterVariables(debuggee: Debuggee): Promise<DebugProtocol.Variable[]> {
  const sample = await debuggee.client.request('counters');
  return [
    ...debuggee.counters.map(({ id, title, definition }) => ({
      name: title, value: (sample.values[id] ?? 0).toLocaleString('en-US'), type: definition, variablesReference: 0, presentationHint: { attributes: ['readOnly'] },
    })),
    {
      name: 'Host time', value: `${sample.hostMilliseconds.toFixed(1)} ms`, type: 'Host time since the machine started, pauses excluded.',
      variablesReference: 0, presentationHint: { attributes: ['readOnly'] },
    },
  ];
}

/** @throws AdapterError when the variable cannot be set or the value does not fit. */
export async function setVariable(debuggee: Debuggee, args: DebugProtocol.SetVariableArguments): Promise<DebugProtocol.SetVariableResponse['body']> {
  const node = containers[args.variablesReference - 1]?.children.find((child) => child.name === args.name);
  if (!node?.register) throw new AdapterError(`"${args.name}" cannot be set`, 'Registers, flags and control bits can.');
  // Expressions have 64 bits; wider registers take their bits as they are shown.
  const literal = node.register.bits > 64 && /^0x[0-9a-f]+$/i.test(args.value.trim());
  const { value } = literal ? { value: BigInt(args.value.trim()) } : await debuggee.evaluate(args.value);
  const registers = await setRegister(debuggee, node.register, value);
  return { ...variable(node, registers, args.format?.hex === false), type: undefined };
}

export async function setRegister(debuggee: Debuggee, register: RegisterRow, value: bigint): Promise<RegisterSnapshot> {
  const registers = await debuggee.registers();
  const bits = bitsOf(register, registers);
  const assigned = assignment(registers, register.name, value);
  if (!assigned) {
    throw register.settable
      ? new AdapterError(`${formatValue({ value, bits: 0 })} does not fit in the ${bits} bit${bits === 1 ? '' : 's'} of ${register.name}`)
      : new AdapterError(`${register.name} cannot be set`);
  }
  return debuggee.setRegister(assigned.name, assigned.value);
}

/** Texts of a register for the console: one line a group. */
export function registerLines(registers: RegisterSnapshot): string[] {
  const text = (name: string): string => {
    const register = named(name);
    return `${name}=${register.read(registers).toString(16).padStart(Math.ceil(bitsOf(register, registers) / 4), '0')}`;
  };
  const general = registers.mode === 'long' ? generalOf.wide : generalOf.narrow;
  return [
    ...(registers.mode === 'long' ? [[0, 4], [4, 8], [8, 12], [12, 17]] : [[0, 4], [4, 9]]).map(([first, end]) => general.slice(first, end).map(text).join(' ')),
    `eflags=${registerText(named('eflags'), registers, false)}`,
    ['cs', 'ds', 'es', 'ss', 'fs', 'gs', 'ldtr', 'tr'].map(text).join(' '),
    ['cr0', 'cr2', 'cr3', 'cr4'].map(text).join(' '),
    `gdtr=${extendedAddress(registers.gdtr.base).toString(16)}/${registers.gdtr.limit.toString(16)} idtr=${extendedAddress(registers.idtr.base).toString(16)}/${registers.idtr.limit.toString(16)} cpl=${registers.cpl} mode=${registers.mode}`,
  ];
}
