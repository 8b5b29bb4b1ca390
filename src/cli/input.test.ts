import assert from 'node:assert/strict';
import { TerminalFilter, type TerminalCommand } from './input';

function typed(...chunks: readonly (readonly number[])[]): { passed: number[]; commands: TerminalCommand[] } {
  const commands: TerminalCommand[] = [];
  const filter = new TerminalFilter((command) => commands.push(command));
  return { passed: chunks.flatMap((chunk) => [...filter.filter(Uint8Array.from(chunk))]), commands };
}

describe('keys of a terminal', () => {
  it('go to the guest', () => {
    assert.deepEqual(typed([0x68, 0x69, 0x0d, 0x1b, 0xff]), { passed: [0x68, 0x69, 0x0d, 0x1b, 0xff], commands: [] });
  });

  it('end the run with Ctrl-A x, also in two pieces, and with Ctrl-C', () => {
    assert.deepEqual(typed([0x41, 0x01, 0x78, 0x42]), { passed: [0x41, 0x42], commands: ['quit'] });
    assert.deepEqual(typed([0x01], [0x58]), { passed: [], commands: ['quit'] });
    assert.deepEqual(typed([0x03]), { passed: [], commands: ['interrupt'] });
  });

  it('reach the guest behind Ctrl-A: Ctrl-A and Ctrl-C', () => {
    assert.deepEqual(typed([0x01, 0x61, 0x01, 0x01, 0x01, 0x63]), { passed: [1, 1, 3], commands: [] });
  });

  it('ask for help with anything else behind Ctrl-A', () => {
    assert.deepEqual(typed([0x01, 0x68, 0x68]), { passed: [0x68], commands: ['help'] });
  });
});
