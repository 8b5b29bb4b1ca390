/** What lies where in the machine's WebAssembly memory, in words: for people who read generated code. */
import { counters, counterAddress } from '../cpu/counters';
import * as layout from '../cpu/layout';
import { RecordField, RECORD_SIZE } from './record';

const general = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'] as const;
const segments = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'] as const;

export function generalRegisterName(n: number, width: 32 | 64): string {
  if (n < general.length) return `${width === 64 ? 'R' : 'E'}${general[n]}`;
  return width === 64 ? `R${n}` : `R${n}D`;
}

/** Single words of the state page that generated code touches. */
const words: readonly (keyof typeof layout)[] = [
  'ZERO', 'EIP', 'LAZY_ZERO', 'LAZY_SIGN', 'LAZY_CARRY', 'SYSTEM_FLAGS', 'CR0', 'CR2', 'CR3', 'CR4', 'CR8', 'CPL', 'EFER', 'CONTEXT', 'READ_TABLE', 'WRITE_TABLE', 'BUDGET', 'EXIT_REASON',
  'EXIT_RECORD', 'FAULT_VECTOR', 'FAULT_ERROR', 'SCRATCH', 'INTERRUPT_SHADOW', 'RUN_BUDGET', 'CODE_HIGH', 'WIDE_ARGUMENTS', 'WIDE_RESULT', 'REGION_EXACT', 'REGION_STOPPED', 'PAUSE_TOLD', 'MXCSR',
  'FPU_CONTROL', 'FPU_STATUS', 'FPU_TOP', 'FPU_EMPTY', 'FPU_OPCODE', 'FPU_IP', 'FPU_DP', 'FPU_ACCESS', 'FPU_PENDING', 'OPERAND', 'BRANCH_RING', 'BRANCH_RING_NEXT', 'JUMP_CACHE', 'LONG_JUMP_CACHE', 'CODE_GRANULES',
];

function stateNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (let n = 0; n < 16; n++) {
    names.set(layout.GPR + 8 * n, generalRegisterName(n, 64));
    names.set(layout.XMM + 16 * n, `XMM${n}`);
    names.set(layout.XMM + 16 * n + 8, `XMM${n}, upper half`);
  }
  for (let n = 0; n < 4; n++) names.set(layout.GPR + 8 * n + 1, `${general[n][0]}H`);
  segments.forEach((name, n) => {
    for (const [field, offset] of Object.entries(layout.SEGMENT_FIELDS)) names.set(layout.SEGMENTS + layout.SEGMENT_SIZE * n + offset, `${name}.${field}`);
  });
  for (let n = 0; n < 8; n++) names.set(layout.X87 + 16 * n, `x87 R${n}`);
  for (const word of words) names.set(layout[word] as number, word);
  for (const { id } of counters) names.set(counterAddress(id), `counter ${id}`);
  return names;
}

const names = stateNames();

function recordName(address: number): string {
  const at = (address - layout.CODE_CACHE) % RECORD_SIZE;
  const field = Object.entries(RecordField).find(([, offset]) => offset === at);
  return `record ${(address - at).toString(16)}${field ? `, ${field[0]}` : ''}`;
}

/** What a load or store with this constant offset touches. */
export function memoryName(offset: number): string | undefined {
  if (offset >= layout.CODE_CACHE && offset < layout.CODE_CACHE + layout.CODE_CACHE_SIZE) return recordName(offset);
  if (offset >= layout.TALLIES && offset < layout.TALLIES + 8 * layout.TALLIES_MAX) return 'how often this unit was begun, while somebody looks';
  return names.get(offset);
}

const recordFields = new Map<number, string>([
  [RecordField.handler, 'handler'], [RecordField.registerA, 'registerA'], [RecordField.registerB, 'registerB'], [RecordField.base, 'base'], [RecordField.index, 'index'],
  [RecordField.displacement, 'displacement or link'], [RecordField.immediate, 'immediate or target'], [RecordField.segment, 'segment'], [RecordField.scale, 'scale'],
  [RecordField.position, 'position'], [RecordField.eip, 'eip'], [RecordField.length, 'length'], [RecordField.sizes, 'sizes'], [RecordField.second, 'second'],
]);

/** The same in a handler of threaded code, which reads its record with small offsets. */
export function handlerMemoryName(offset: number): string | undefined {
  if (offset === RECORD_SIZE + RecordField.handler) return 'the next record\'s handler';
  const field = offset > 0 ? recordFields.get(offset) : undefined;
  return field === undefined ? memoryName(offset) : `record.${field}`;
}
