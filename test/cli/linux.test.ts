/** A Linux kernel from the command line: its console is the terminal, its power-off the end. */
import assert from 'node:assert/strict';
import { guestFile, readGuest } from '../support/guests';
import { ringside } from './ringside';

const LIMIT_MILLISECONDS = 240_000;

describe('Linux in the terminal', () => {
  it('answers what is typed, and ends with status 0 when it powers off', async function () {
    this.timeout(LIMIT_MILLISECONDS);
    for (const name of ['vmlinuz-686', 'initramfs-i386']) readGuest(this, name);
    const toType = [[/guest# /, 'echo $((6*7)) works\n'], [/\n42 works[^]*guest# /, 'poweroff -f\n']] as const;
    let typed = 0;
    const { status, stdout, stderr } = await ringside(
      ['run', guestFile('vmlinuz-686').path!, '--initrd', guestFile('initramfs-i386').path!, '--append', 'console=ttyS0 cryptomgr.notests', '--timeout', '200'],
      {
        openInput: true, longestMilliseconds: LIMIT_MILLISECONDS,
        onOutput: (child, text) => {
          const next = toType[typed];
          if (!next?.[0].test(text)) return;
          typed++;
          child.type(next[1]);
        },
      },
    );
    assert.match(stdout, /Linux version 6\.1\.0[^]*\n42 works[^]*reboot: Power down/, stderr);
    assert.equal(status, 0, stderr);
  });

  it('needs memory, and says how much', async function () {
    readGuest(this, 'vmlinuz-686');
    const { status, stderr } = await ringside(['run', guestFile('vmlinuz-686').path!, '--memory', '16']);
    assert.equal(status, 2);
    assert.match(stderr, /vmlinuz-.*: needs 0x[0-9a-f]+ bytes from 0x1000000 on \(init_size, kernel_alignment\), but the machine has 16 MiB\n.*at least 33 MiB/);
  });
});
