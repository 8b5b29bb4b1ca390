/**
 * What real guests have to do, one row each: `npm run guests` runs all of them, and the test suite those that are quick. A check throws what
 * went wrong and returns what the report shows of the run.
 */
import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { exitStatus } from '../../src/protocol/exit-status';
import type { MachineConfiguration } from '../../src/protocol/messages';
import { createMachine } from '../../src/vmm/machine/machine';
import { compareAtRandomStops, compareKernels } from '../support/random-stops';
import { SerialGuest } from '../support/serial-guest';
import { vmlinuxOf } from '../support/vmlinux';

export interface GuestCheck {
  readonly id: string;
  readonly title: string;
  /** Names in tools/guests.json, or a ramdisk that tools/guests.mjs makes. */
  readonly files: readonly string[];
  /** Part of `npm test`. */
  readonly quick?: boolean;
  run(files: readonly Uint8Array[]): GuestRun;
}

/** How far a guest got, in virtual seconds and in instructions. */
export interface GuestRun {
  readonly seconds: number;
  readonly instructions: number;
}

/** What /init of the ramdisk prints before its shell starts (tools/lib/initramfs.mjs). */
const READY = 'ringside-guest-ready';
const PROMPT = 'guest# ';
/** Without the crypto library's tests of itself, half of what a boot would do. */
const COMMAND_LINE = 'console=ttyS0 cryptomgr.notests';
/** Xen takes the first word for its own name. */
const XEN_COMMAND_LINE = 'xen com1=115200,8n1 console=com1 noreboot loglvl=all';

/** Boots to the shell, types commands whose answers it reads, and powers off. */
function linux(kernel: Uint8Array, initrd: Uint8Array, machine: RegExp, options: Partial<MachineConfiguration> = {}, talk?: (answer: (command: string) => string) => void): SerialGuest {
  const guest = new SerialGuest('vmlinuz', kernel, { memoryMiB: 256, initrd, commandLine: COMMAND_LINE, ...options });
  const banner = guest.untilText(new RegExp(`${READY}.*\n`), 120);
  assert.match(banner, machine);
  // A kernel that believes this processor and its firmware is surprised by nothing.
  assert.doesNotMatch(banner, /Firmware Bug|errat(a|um)|vulnerable|WARNING|unchecked MSR|Call Trace/i);
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
  talk?.(answer);
  guest.type('poweroff -f\n');
  const end = guest.untilEnd(20);
  assert.deepEqual([end.kind, exitStatus(end)], ['powerOff', 0]);
  return guest;
}

function twoProcessors(answer: (command: string) => string): void {
  assert.match(answer('nproc'), /^2$/m);
  assert.match(answer('grep -c ^processor /proc/cpuinfo'), /^2$/m);
  // Both work: a shell bound to each.
  for (const [mask, processor] of [[1, 0], [2, 1]]) {
    assert.match(answer(`taskset ${mask} sh -c 'x=0; while [ $x -lt 3000 ]; do x=$((x+1)); done; cut -d" " -f39 /proc/self/stat'`), new RegExp(`^${processor}$`, 'm'));
  }
  const [, first, second] = /LOC:\s+(\d+)\s+(\d+)/.exec(answer('cat /proc/interrupts')) ?? [];
  assert.ok(Number(first) > 100 && Number(second) > 100, `local timer interrupts: ${first} and ${second}`);
}

/** One pass of all tests, without an error on the screen and on the serial line. */
function memoryTester(image: Uint8Array, name: string, options: Partial<MachineConfiguration> = {}): SerialGuest {
  const guest = new SerialGuest(name, image, { memoryMiB: 64, commandLine: 'console=ttyS0,115200', ...options });
  guest.untilText('Memtest86+ v6.10', 30);
  guest.until('the first pass ends', () => /Pass: +[1-9]/.test(guest.screen), 7200);
  assert.match(guest.screen, /Pass: +1 +Errors: 0/);
  // The serial line shows the same, later.
  guest.untilText(/Pass: +1 +Errors: 0/, 60);
  assert.doesNotMatch(guest.text, /Errors: [1-9]/);
  return guest;
}

/** Xen up to the question for a kernel. */
function xen(compressed: Uint8Array): SerialGuest {
  const guest = new SerialGuest('xen', gunzipSync(compressed), { commandLine: XEN_COMMAND_LINE, memoryMiB: 64 });
  assert.match(guest.untilText('dom0 kernel not specified', 10), /Xen version 4\.17\.5[^]*Bootloader: Ringside/);
  return guest;
}

/** Xen and its first domain: Debian's kernel, paravirtualized, in ring 3 until it starts its first program. */
function xenWithLinux(compressed: Uint8Array, kernel: Uint8Array, initrd: Uint8Array): SerialGuest {
  const modules = [{ name: 'vmlinuz console=hvc0 earlyprintk=xen', bytes: kernel }, { name: 'initrd', bytes: initrd }];
  const guest = new SerialGuest('xen', gunzipSync(compressed), { commandLine: XEN_COMMAND_LINE, memoryMiB: 768, modules });
  assert.match(guest.untilText('*** Building a PV Dom0 ***', 30), /ACPI: RSDP[^]*Platform timer is 100\.000MHz HPET[^]*Brought up 1 CPUs/);
  assert.match(guest.untilText('Run /init as init process', 120), /Linux version 6\.1\.0-\d+-cloud-amd64[^]*Hypervisor detected: Xen PV/);
  return guest;
}

function gnuMach(compressed: Uint8Array): SerialGuest {
  const guest = new SerialGuest('gnumach', gunzipSync(compressed), { commandLine: 'console=com0', memoryMiB: 64 });
  assert.match(guest.untilText('No bootstrap code loaded with the kernel!', 60), /GNU Mach 1\.8[^]*RTC time is 2026-01-01/);
  return guest;
}

function ipxe(image: Uint8Array): SerialGuest {
  const guest = new SerialGuest('ipxe.lkrn', image, { memoryMiB: 64 });
  return guest.until('iPXE\'s banner and its end', () => /iPXE initialising devices\.\.\.ok[^]*iPXE 1\.0\.0[^]*Open Source Network Boot Firmware[^]*No more network devices/.test(guest.screen), 60);
}

/** A boot in threaded code and one with regions, in step: the same state at 2,500 random instruction counts on the way to the shell. */
function linuxAtRandomStops(image: Uint8Array, initrd: Uint8Array): GuestRun {
  let seconds = 0;
  const texts = new Map<string, string>();
  const instructions = compareAtRandomStops('vmlinuz', (translation) => createMachine({
    name: 'vmlinuz', image, boot: 'auto', initrd, commandLine: COMMAND_LINE, memoryMiB: 128, mmu: 'shadow', pace: 'max', translation,
  }, {
    serial: (port, bytes) => { if (port === 0) texts.set(translation, (texts.get(translation) ?? '') + String.fromCharCode(...bytes)); }, debugPort: () => undefined, log: () => undefined,
  }), {
    modes: ['threaded', 'adaptive'], seed: 20_061, stops: 2500, longest: 30_000_000, wholeEvery: 100,
    input: (machine) => { seconds = machine.instructions / machine.instructionsPerSecond; },
  });
  for (const [mode, text] of texts) assert.ok(text.includes(READY), `with '${mode}' it came to its shell, not only to:\n${text.slice(-1000)}`);
  assert.deepEqual([texts.size, new Set(texts.values()).size], [2, 1], 'both wrote the same');
  return { seconds, instructions };
}

export const guestChecks: readonly GuestCheck[] = [
  {
    id: 'linux-686', title: 'Linux 6.1, Debian\'s 686 kernel (i386), busybox on the serial line', files: ['vmlinuz-686', 'initramfs-i386'], quick: true,
    run: ([kernel, initrd]) => linux(kernel, initrd, /6\.1\.0-\d+-686 .*i686/),
  },
  {
    id: 'linux-686-pae', title: 'Linux 6.1, Debian\'s 686-pae kernel (i386)', files: ['vmlinuz-686-pae', 'initramfs-i386'],
    run: ([kernel, initrd]) => linux(kernel, initrd, /6\.1\.0-\d+-686-pae .*i686/),
  },
  {
    id: 'linux-686-smp', title: 'the same 686 kernel on two processors', files: ['vmlinuz-686', 'initramfs-i386'],
    run: ([kernel, initrd]) => linux(kernel, initrd, /SMP.*i686/, { processors: 2 }, twoProcessors),
  },
  {
    id: 'linux-amd64', title: 'Linux 6.1, Debian\'s cloud-amd64 kernel', files: ['vmlinuz-amd64', 'initramfs-amd64'], quick: true,
    run: ([kernel, initrd]) => linux(kernel, initrd, /6\.1\.0-\d+-cloud-amd64 .*x86_64/),
  },
  {
    id: 'linux-amd64-core', title: 'the same on the processor model "core"', files: ['vmlinuz-amd64', 'initramfs-amd64'],
    run: ([kernel, initrd]) => linux(kernel, initrd, /x86_64/, { cpuModel: 'core' }),
  },
  {
    id: 'linux-amd64-smp', title: 'Debian\'s amd64 kernel for clouds on two processors', files: ['vmlinuz-amd64', 'initramfs-amd64'],
    run: ([kernel, initrd]) => linux(kernel, initrd, /SMP.*x86_64/, { processors: 2 }, twoProcessors),
  },
  {
    id: 'linux-amd64-pvh', title: 'the ELF file in Debian\'s cloud-amd64 kernel by its PVH entry', files: ['vmlinuz-amd64', 'initramfs-amd64'],
    run: ([kernel, initrd]) => linux(vmlinuxOf(kernel), initrd, /6\.1\.0-\d+-cloud-amd64 .*x86_64/, { boot: 'pvh' }),
  },
  { id: 'xen', title: 'Xen 4.17 by its Multiboot2 header, until it misses a kernel', files: ['xen-4.17-amd64.gz'], quick: true, run: ([image]) => xen(image) },
  {
    id: 'xen-linux', title: 'Xen 4.17 with Debian\'s cloud-amd64 kernel in its first domain', files: ['xen-4.17-amd64.gz', 'vmlinuz-amd64', 'initramfs-amd64'],
    run: ([image, kernel, initrd]) => xenWithLinux(image, kernel, initrd),
  },
  {
    id: 'linux-686-all', title: 'the same 686 kernel with the crypto library\'s tests of itself', files: ['vmlinuz-686', 'initramfs-i386'],
    run: ([kernel, initrd]) => linux(kernel, initrd, /686/, { commandLine: 'console=ttyS0' }),
  },
  {
    id: 'stops-kernels', title: 'the benchmark\'s kernels in every mode of translation: the same state at 200 random stops of each', files: [],
    run: () => ({ seconds: 0, instructions: compareKernels({ seed: 10_007, stops: 200, longest: 300_000, wholeEvery: 50 }) }),
  },
  {
    id: 'stops-686', title: 'the 686 kernel in threaded code and with regions: the same state at 2,500 random stops', files: ['vmlinuz-686', 'initramfs-i386'],
    run: ([kernel, initrd]) => linuxAtRandomStops(kernel, initrd),
  },
  {
    id: 'stops-amd64', title: 'the cloud-amd64 kernel likewise', files: ['vmlinuz-amd64', 'initramfs-amd64'],
    run: ([kernel, initrd]) => linuxAtRandomStops(kernel, initrd),
  },
  { id: 'memtest86+32', title: 'memtest86+ 6.10, 32 bits: one pass over 64 MiB', files: ['memtest86+ia32.bin'], run: ([image]) => memoryTester(image, 'memtest86+ia32.bin') },
  { id: 'memtest86+64', title: 'memtest86+ 6.10, 64 bits: one pass over 64 MiB', files: ['memtest86+x64.bin'], run: ([image]) => memoryTester(image, 'memtest86+x64.bin') },
  { id: 'gnumach', title: 'GNU Mach 1.8 (multiboot) up to where it wants a bootstrap server', files: ['gnumach.gz'], quick: true, run: ([image]) => gnuMach(image) },
  { id: 'ipxe', title: 'iPXE, by the Linux boot protocol in real mode', files: ['ipxe.lkrn'], quick: true, run: ([image]) => ipxe(image) },
];
