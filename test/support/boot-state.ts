/** What loaders made, for tests: their chunks laid out in memory, and the errors that people see. */
import assert from 'node:assert/strict';
import { MachineError } from '../../src/vmm/machine/api';
import type { BootState } from '../../src/vmm/machine/loaders/boot-state';

export const MiB = 0x100000;
export const RAM = 16 * MiB;

/** The call throws a MachineError with advice whose message matches. */
export function error(call: () => unknown, pattern: RegExp): void {
  assert.throws(call, (e: unknown) => {
    assert.ok(e instanceof MachineError, String(e));
    assert.match(e.message, pattern);
    assert.ok(e.advice);
    return true;
  });
}

export function lay(state: BootState): DataView {
  const memory = new Uint8Array(RAM);
  for (const chunk of state.chunks) memory.set(chunk.bytes, chunk.address);
  return new DataView(memory.buffer);
}

/** Text up to a zero. */
export function stringAt(view: DataView, at: number): string {
  let text = '';
  while (view.getUint8(at) !== 0) text += String.fromCharCode(view.getUint8(at++));
  return text;
}
