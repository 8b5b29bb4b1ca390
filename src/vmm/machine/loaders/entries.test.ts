/** The three entries of the Linux boot protocol, each by code that runs only there: it ends the machine with what it found. */
import { strict as assert } from 'node:assert';
import type { BootKind } from '../../../protocol/messages';
import { program, TestMachine } from '../../../../test/support/guest';
import { linuxImage } from './test-linux-image';

/** Runs to the debug exit; its status. */
function status(image: Uint8Array, boot: BootKind, commandLine = 'x'): number {
  const guest = new TestMachine({ bytes: image, origin: 0, label: () => 0 }, { boot, loadAddress: undefined, commandLine, memoryMiB: 16 });
  const outcome = guest.run(1_000_000);
  assert.equal(outcome.kind, 'ended', outcome.kind);
  if (outcome.kind !== 'ended' || outcome.reason.kind !== 'debugExit') return assert.fail(JSON.stringify(outcome, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)));
  return outcome.reason.status;
}

/** The kernel's bytes with code at its 32-bit and its 64-bit entry. */
function kernel(at: number, source: string, spec: Parameters<typeof linuxImage>[0] = {}): Uint8Array {
  const image = linuxImage({ xloadflags: 1, fields: { prefAddress: 0x400000, initSize: 0x10000 }, ...spec });
  image.set(program(source).bytes, at);
  return image;
}

const SETUP_BYTES = 3 * 512;

describe('entries of a Linux kernel', () => {
  it('32 bits: flat segments that can be loaded again, ESI at the zero page, its command line', () => {
    const source = `bits 32
      mov eax, 18h
      mov ds, eax
      mov ss, eax
      cmp dword [esi + 202h], 'HdrS'
      jne bad
      mov ebx, [esi + 228h]
      mov al, [ebx]
      sub al, 'a'
      out 0f4h, al
    bad: mov al, 7fh
      out 0f4h, al`;
    assert.equal(status(kernel(SETUP_BYTES, source), 'auto', 'd'), 2 * 3 + 1);
  });

  it('64 bits: long mode with memory mapped one to one, RSI at the zero page', () => {
    const source = `bits 64
      mov rax, 500000003h
      shr rax, 32
      cmp dword [rsi + 202h], 'HdrS'
      jne bad
      mov rbx, 0fffff0h
      mov dword [rbx], 77h
      out 0f4h, al
    bad: mov al, 7fh
      out 0f4h, al`;
    assert.equal(status(kernel(SETUP_BYTES + 0x200, source), 'linux64'), 2 * 5 + 1);
  });

  it('real mode: the set-up code in its segment, with the command line\'s pointer in its header', () => {
    const source = `bits 16
      cmp dword [202h], 'HdrS'
      jne bad
      mov eax, [228h]
      shr eax, 4
      mov fs, ax
      mov al, [fs:0]
      sub al, 'a'
      out 0f4h, al
    bad: mov al, 7fh
      out 0f4h, al`;
    // The entry is behind the header, where the short jump at 200h leads.
    assert.equal(status(kernel(0x26c, source, { version: 0x0204 }), 'auto', 'c'), 2 * 2 + 1);
  });
});
