/** What differs between two outcomes of long-cases.ts, in words. */
import { Layout, type LongState } from './long-layout';
import { FRAME_BYTES } from './long-rules';

export const registerNames = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];

export const reversed = (state: LongState, at: number, bytes: number): string => Buffer.from(state.image.subarray(at, at + bytes)).reverse().toString('hex');

export function differenceText(silicon: LongState, ours: LongState, codeSize: 32 | 64): string {
  if (silicon.vector === ours.vector && silicon.errorCode === ours.errorCode && silicon.cr2 === ours.cr2 && Buffer.compare(silicon.image, ours.image) === 0) return '';
  const found: string[] = [];
  const exception = (s: LongState): string => (s.vector < 0 ? 'none' : `${s.vector}(${s.errorCode.toString(16)})${s.vector === 14 ? ` cr2 ${s.cr2.toString(16)}` : ''}`);
  if (exception(silicon) !== exception(ours)) found.push(`exception ${exception(silicon)}, ours ${exception(ours)}`);
  const part = (name: string, at: number, bytes: number): void => {
    if (reversed(silicon, at, bytes) !== reversed(ours, at, bytes)) found.push(`${name} ${reversed(silicon, at, bytes)}, ours ${reversed(ours, at, bytes)}`);
  };
  // 32-bit code sees the low halves of the first eight.
  registerNames.slice(0, codeSize / 4).forEach((name, n) => part(name, 8 * n, codeSize / 8));
  part('flags', Layout.flags, 4);
  part('mxcsr', Layout.mxcsr, 4);
  part('x87 status', Layout.status, 2);
  part('x87 valid', Layout.valid, 1);
  for (let n = 0; n < codeSize / 4; n++) part(`xmm${n}`, Layout.xmm + 16 * n, 16);
  for (let n = 0; n < 8; n++) part(`mm${n}`, Layout.stack + 16 * n, 10);
  for (let n = 0; n < 128; n += 16) part(`memory+${n}`, Layout.memory + n, 16);
  ['fs', 'gs'].forEach((name, n) => part(`${name} base`, Layout.bases + 8 * n, 8));
  ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].forEach((name, n) => part(name, Layout.selectors + 2 * n, 2));
  part('x87 control', Layout.control, 2);
  part('rip', Layout.rip, 8);
  for (let n = 0; n < FRAME_BYTES; n += 16) part(`stack+${n}`, Layout.frame + n, 16);
  return found.join('; ');
}
