/**
 * What real guests have to do, one row each: `npm run guests` runs all of them, and the test suite those that are quick. A check throws what
 * went wrong and returns the guest, from which the report reads how long it took.
 */
import assert from 'node:assert/strict';
import { exitStatus } from '../../src/protocol/exit-status';
import type { MachineConfiguration } from '../../src/protocol/messages';
import { SerialGuest } from '../support/serial-guest';

export interface GuestCheck {
  readonly id: string;
  readonly title: string;
  /** Names in tools/guests.json, or a ramdisk that tools/guests.mjs makes. */
  readonly files: readonly string[];
  /** Part of `npm test`. */
  readonly quick?: boolean;
  run(files: readonly Uint8Array[]): SerialGuest;
}

/** What /init of the ramdisk prints before its shell starts (tools/lib/initramfs.mjs). */
const READY = 'ringside-guest-ready';
const PROMPT = 'guest# ';
/** Without the crypto library's tests of itself, half of what a boot would do. */
const COMMAND_LINE = 'console=ttyS0 cryptomgr.notests';

/** Boots to the shell, types commands whose answers it reads, and powers off. */
function linux(kernel: Uint8Array, initrd: Uint8Array, machine: RegExp, options: Partial<MachineConfiguration> = {}, talk?: (guest: SerialGuest) => void): SerialGuest {
  const guest = new SerialGuest('vmlinuz', kernel, { memoryMiB: 256, initrd, commandLine: COMMAND_LINE, ...options });
  const banner = guest.untilText(new RegExp(`${READY}.*\n`), 120);
  assert.match(banner, machine);
  guest.untilText(PROMPT, 20);
  const answer = (command: string): string => {
    guest.type(`${command}\n`);
    // The echo, then the answer up to the next prompt.
    return guest.untilText(PROMPT, 20).split('\n').slice(1).join('\n');
  };
  assert.match(answer('echo $((6*7)) sum'), /^42 sum/);
  assert.match(answer('ls /'), /bin[^]*dev[^]*init[^]*proc[^]*sys/);
  assert.match(answer('cat /proc/cpuinfo'), /vendor_id\s*: \w+[^]*flags\s*:/);
  assert.match(answer('echo 0123456789 | md5sum'), /3749f52bb326ae96782b42dc0a97b4c1/);
  talk?.(guest);
  guest.type('poweroff -f\n');
  const end = guest.untilEnd(20);
  assert.ok(end.kind === 'powerOff' || end.kind === 'halted', end.kind);
  assert.equal(exitStatus(end), 0);
  return guest;
}

export const guestChecks: readonly GuestCheck[] = [
  {
    id: 'linux-686', title: 'Linux 6.1, Debian\'s 686 kernel (i386), busybox on the serial line', files: ['vmlinuz-686', 'initramfs-i386'], quick: true,
    run: ([kernel, initrd]) => linux(kernel, initrd, /6\.1\.0-\d+-686 .*i686/),
  },
];
