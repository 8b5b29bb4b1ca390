/** String instructions and port I/O. */
import type { Address, Builder, Semantics, Value, Width } from '../builder';
import type { InstructionSpec } from '../types';

type Size = 8 | 16 | 32 | 64;
const SI = 6, DI = 7;

/** DS:rSI, override honoured. */
const source = (b: Builder): Address => b.implicitAddress('record', b.register(SI, b.addressSize as Width));
/** ES:rDI, no override. */
const destination = (b: Builder): Address => b.implicitAddress(0, b.register(DI, b.addressSize as Width));

/** rSI or rDI goes up, or down when DF = 1. */
function advance(b: Builder, register: number, bytes: number): void {
  const width = b.addressSize as Width;
  const down = b.op('and', b.systemFlags(), b.constant(0x400));
  const delta = b.select(down, b.constant(-bytes, width), b.constant(bytes, width));
  b.setRegister(register, width, b.let(b.truncate(b.op('add', b.register(register, width), delta), width)));
}

const move = (size: Size): Semantics => (b) => b.repeatString(() => {
  b.store(destination(b), size, b.load(source(b), size));
  advance(b, SI, size / 8);
  advance(b, DI, size / 8);
}, { source: 'memory', width: size });

const compareFlags = (b: Builder, x: Value, y: Value, size: Size): void => {
  const result = b.let(b.truncate(b.op('sub', x, y), size));
  b.flagsSub(x, y, result, size);
};

const compare = (size: Size): Semantics => (b) => b.repeatString(() => {
  const x = b.load(source(b), size);
  const y = b.load(destination(b), size);
  compareFlags(b, x, y, size);
  advance(b, SI, size / 8);
  advance(b, DI, size / 8);
});

const scan = (size: Size): Semantics => (b) => b.repeatString(() => {
  const y = b.load(destination(b), size);
  compareFlags(b, b.register(0, size), y, size);
  advance(b, DI, size / 8);
});

const load = (size: Size): Semantics => (b) => b.repeatString(() => {
  b.setRegister(0, size, b.load(source(b), size));
  advance(b, SI, size / 8);
});

const store = (size: Size): Semantics => (b) => b.repeatString(() => {
  b.store(destination(b), size, b.register(0, size));
  advance(b, DI, size / 8);
}, { source: 'accumulator', width: size });

/** INS: permission first, then the destination is proved writable, so that a port is never read for nothing. */
const input = (size: Size): Semantics => (b) => b.repeatString(() => {
  const port = b.register(2, 16);
  const bytes = b.constant(size / 8);
  b.callout('portCheck', port, bytes);
  const to = destination(b);
  b.loadForWrite(to, size);
  b.store(to, size, b.callout('portIn', port, bytes));
  advance(b, DI, size / 8);
});

const output = (size: Size): Semantics => (b) => b.repeatString(() => {
  const port = b.register(2, 16);
  const bytes = b.constant(size / 8);
  b.callout('portCheck', port, bytes);
  b.callout('portOut', port, b.load(source(b), size), bytes);
  advance(b, SI, size / 8);
});

interface Family {
  readonly name: string;
  readonly title: string;
  readonly opcode: number;
  readonly repeat: 'rep' | 'repz';
  readonly flags?: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly feature?: '186';
  readonly semantics: (size: Size) => Semantics;
}

const families: readonly Family[] = [
  { name: 'movs', title: 'Move string', opcode: 0xa4, repeat: 'rep', reads: ['rSI', 'rDI'], writes: ['rSI', 'rDI'], semantics: move },
  { name: 'cmps', title: 'Compare strings', opcode: 0xa6, repeat: 'repz', flags: 'OSZAPC', reads: ['rSI', 'rDI'], writes: ['rSI', 'rDI'], semantics: compare },
  { name: 'stos', title: 'Store string', opcode: 0xaa, repeat: 'rep', reads: ['rAX', 'rDI'], writes: ['rDI'], semantics: store },
  { name: 'lods', title: 'Load string', opcode: 0xac, repeat: 'rep', reads: ['rSI'], writes: ['rAX', 'rSI'], semantics: load },
  { name: 'scas', title: 'Scan string', opcode: 0xae, repeat: 'repz', flags: 'OSZAPC', reads: ['rAX', 'rDI'], writes: ['rDI'], semantics: scan },
  { name: 'ins', title: 'Input string from port', opcode: 0x6c, repeat: 'rep', reads: ['dx', 'rDI'], writes: ['rDI'], feature: '186', semantics: input },
  { name: 'outs', title: 'Output string to port', opcode: 0x6e, repeat: 'rep', reads: ['dx', 'rSI'], writes: ['rSI'], feature: '186', semantics: output },
];

const hex = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

const sizes = [['b', 8, 0, ''], ['w', 16, 1, 'o16'], ['d', 32, 1, 'o32'], ['q', 64, 1, 'o64']] as const;
const isPort = (family: Family): boolean => family.name === 'ins' || family.name === 'outs';

const stringRows: readonly InstructionSpec[] = families.flatMap((family) =>
  sizes.filter(([, size]) => size !== 64 || !isPort(family)).map(([letter, size, low, attribute]): InstructionSpec => ({
    mnemonic: family.name + letter, title: family.title, size,
    // Ports have at most 32 bits: REX.W changes nothing there.
    encodings: [`${hex(family.opcode + low)} : ; ${attribute}`, ...(size === 32 && isPort(family) ? [`${hex(family.opcode + low)} : ; o64 asm-`] : [])],
    feature: size === 64 ? 'x64' : size === 32 ? '386' : family.feature, repeat: family.repeat,
    flags: { reads: 'D', ...(family.flags ? { writes: family.flags } : {}) },
    privilege: isPort(family) ? 'iopl' : undefined,
    implicit: { reads: family.reads, writes: family.writes }, semantics: family.semantics(size),
  })));

const portIn: Semantics = (b) => b.write(0, b.callout('portIn', b.read(1), b.constant(b.width / 8)));
const portOut: Semantics = (b) => {
  b.callout('portOut', b.read(0), b.read(1), b.constant(b.operandWidth(1) / 8));
  // EIP is already behind the instruction, and the firmware's trap port may have moved it.
  b.leave();
};

export const stringAndPortRows: readonly InstructionSpec[] = [
  ...stringRows,
  {
    mnemonic: 'in', title: 'Input from port', encodings: ['E4 : AL Ib', 'E5 : eAX Ib', 'EC : AL DX', 'ED : eAX DX'], privilege: 'iopl', access: ['w', 'r'],
    semantics: portIn,
  },
  {
    mnemonic: 'out', title: 'Output to port', encodings: ['E6 : Ib AL', 'E7 : Ib eAX', 'EE : DX AL', 'EF : DX eAX'], privilege: 'iopl', access: ['r', 'r'],
    // A device may raise an interrupt: the unit ends, so that it is seen at once.
    ends: true, semantics: portOut,
  },
];
