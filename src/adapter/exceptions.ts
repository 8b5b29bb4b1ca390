/** Exceptions as the debugger shows them: the filters, and an exception's vector, error code and address in words (SDM Vol. 3, 6.15). */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { addressDigits } from '../protocol/addresses';
import type { PostMortem, StopReason } from '../protocol/messages';

interface ExceptionRow {
  readonly vector: number;
  readonly mnemonic: string;
  readonly title: string;
  readonly errorCode?: 'selector' | 'page' | 'zero';
}

const exceptionRows: readonly ExceptionRow[] = [
  { vector: 0, mnemonic: '#DE', title: 'Divide error' },
  { vector: 1, mnemonic: '#DB', title: 'Debug exception' },
  { vector: 3, mnemonic: '#BP', title: 'Breakpoint (INT3)' },
  { vector: 4, mnemonic: '#OF', title: 'Overflow (INTO)' },
  { vector: 5, mnemonic: '#BR', title: 'BOUND range exceeded' },
  { vector: 6, mnemonic: '#UD', title: 'Undefined opcode' },
  { vector: 7, mnemonic: '#NM', title: 'x87 not available' },
  { vector: 8, mnemonic: '#DF', title: 'Double fault', errorCode: 'zero' },
  { vector: 10, mnemonic: '#TS', title: 'Invalid TSS', errorCode: 'selector' },
  { vector: 11, mnemonic: '#NP', title: 'Segment not present', errorCode: 'selector' },
  { vector: 12, mnemonic: '#SS', title: 'Stack fault', errorCode: 'selector' },
  { vector: 13, mnemonic: '#GP', title: 'General protection', errorCode: 'selector' },
  { vector: 14, mnemonic: '#PF', title: 'Page fault', errorCode: 'page' },
  { vector: 16, mnemonic: '#MF', title: 'x87 floating-point error' },
  { vector: 17, mnemonic: '#AC', title: 'Alignment check', errorCode: 'zero' },
];

export interface ExceptionFilter {
  readonly filter: string;
  readonly label: string;
  readonly description: string;
  readonly default: boolean;
  readonly vector?: number;
}

/** The machine is shown as it died instead of ending the session. */
export const tripleFaultFilter = 'tripleFault';

export const exceptionFilters: readonly ExceptionFilter[] = [
  {
    filter: tripleFaultFilter, label: 'Triple fault', default: true,
    description: 'Stop when the guest dies of faults that it cannot handle, and show the post-mortem',
  },
  ...exceptionRows.map(({ vector, mnemonic, title }) => ({
    filter: mnemonic.slice(1).toLowerCase(), label: `${mnemonic} ${title}`, default: false, vector,
    description: `Stop at the instruction that raises vector ${vector}, before the guest's handler runs`,
  })),
];

/** @returns the vectors of the filters that are on. Unknown filters are ignored, as the protocol asks. */
export function vectorsOf(filters: readonly string[]): number[] {
  return exceptionFilters.flatMap(({ filter, vector }) => (vector !== undefined && filters.includes(filter) ? [vector] : []));
}

type ExceptionStop = Extract<StopReason, { kind: 'exception' }>;

export function exceptionText(stop: ExceptionStop): string {
  const row = exceptionRows.find(({ vector }) => vector === stop.vector);
  const words = [row ? `${row.title} (${row.mnemonic}, vector ${row.vector})` : `Exception ${stop.name}, vector ${stop.vector}`];
  if (stop.errorCode !== undefined && row?.errorCode === 'page') words.push(pageFaultText(stop.errorCode, stop.address));
  else if (stop.errorCode !== undefined && row?.errorCode === 'selector') words.push(selectorText(stop.errorCode));
  else if (stop.address !== undefined) words.push(`at 0x${stop.address.toString(16)}`);
  return words.join(': ');
}

/** SDM Vol. 3, 4.7. */
function pageFaultText(errorCode: number, address: number | undefined): string {
  const access = errorCode & 16 ? 'instruction fetch' : errorCode & 2 ? 'write' : 'read';
  const ring = errorCode & 4 ? 'user mode' : 'supervisor mode';
  const why = errorCode & 8 ? 'a reserved bit is set in a page-table entry' : errorCode & 1 ? 'the page tables forbid it' : 'the page is not present';
  const where = address === undefined ? '' : ` of 0x${addressDigits(address)}`;
  return `${access}${where} in ${ring}, ${why} (error code 0x${errorCode.toString(16)})`;
}

/** SDM Vol. 3, 6.13. */
function selectorText(errorCode: number): string {
  if (errorCode === 0) return 'error code 0, no selector';
  const table = errorCode & 2 ? 'IDT gate' : errorCode & 4 ? 'LDT selector' : 'GDT selector';
  const value = errorCode & 2 ? (errorCode >> 3).toString() : `0x${(errorCode & 0xfffc).toString(16)}`;
  return `error code 0x${errorCode.toString(16)}: ${table} ${value}${errorCode & 1 ? ', raised while delivering an external event' : ''}`;
}

export function exceptionInfo(stop: ExceptionStop): DebugProtocol.ExceptionInfoResponse['body'] {
  const row = exceptionRows.find(({ vector }) => vector === stop.vector);
  return {
    exceptionId: row?.mnemonic ?? stop.name, description: exceptionText(stop), breakMode: 'always',
    details: { message: exceptionText(stop), typeName: row?.title ?? stop.name },
  };
}

export function tripleFaultInfo(postMortem: PostMortem): DebugProtocol.ExceptionInfoResponse['body'] {
  const details = postMortemLines(postMortem).join('\n');
  return {
    exceptionId: 'Triple fault', description: postMortem.chain.at(-1)?.text ?? 'The processor shut down', breakMode: 'unhandled',
    details: { message: details, typeName: 'Triple fault', stackTrace: details },
  };
}

/** The fault chain, the gate and the last branches, one sentence each. */
export function postMortemLines(postMortem: PostMortem): string[] {
  const hex = (value: number): string => `0x${addressDigits(value)}`;
  return [
    ...postMortem.chain.map((link, n) => `${n + 1}. ${link.name} at ${link.cs.toString(16).padStart(4, '0')}:${link.eip.toString(16).padStart(8, '0')}: ${link.text}`),
    `Gate: ${postMortem.gate}`,
    ...(postMortem.lastBranches.length > 0 ? [`Last branches: ${postMortem.lastBranches.map(({ from, to }) => `${hex(from)} → ${hex(to)}`).join(', ')}`] : []),
  ];
}
