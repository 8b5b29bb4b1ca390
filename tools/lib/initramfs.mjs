// The initial root that the Linux guests of the tests start with: busybox and an /init that mounts what a shell needs, says READY_MARKER with
// the kernel's version, and runs a shell on the console until it ends; then the machine powers off. The word ringside.bench=forks:300,sums:8 on the
// kernel's command line makes it do that work first, between two lines each, which `ringside bench --guests` times.
import { gzipSync } from 'node:zlib';
import { cpioArchive } from './cpio.mjs';

/** What /init prints when the shell starts. */
export const READY_MARKER = 'ringside-guest-ready';

const init = `#!/bin/sh
forks() {
  n=0
  while [ $n -lt $1 ]; do /bin/true; n=$((n + 1)); done
}
sums() {
  n=0
  while [ $n -lt $1 ]; do sha256sum /bin/busybox; gzip -c /bin/busybox; n=$((n + 1)); done > /dev/null
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
echo "${READY_MARKER} $(uname -a)"
for word in $(cat /proc/cmdline); do
  case $word in ringside.bench=*)
    IFS=,
    for work in \${word#*=}; do
      echo "bench begin \${work%:*}"
      \${work%:*} \${work#*:}
      echo "bench end \${work%:*}"
    done
    unset IFS;;
  esac
done
export PS1='guest# ' HOME=/ TERM=linux
setsid cttyhack sh
poweroff -f
`;

const applets = [
  'sh', 'mount', 'echo', 'uname', 'cat', 'ls', 'ps', 'dmesg', 'free', 'poweroff', 'reboot', 'setsid', 'cttyhack', 'sleep', 'grep', 'wc', 'head', 'tail', 'md5sum', 'gzip', 'gunzip', 'date', 'df', 'id', 'vi', 'top',
  'kill', 'mkdir', 'rm', 'cp', 'mv', 'touch', 'seq', 'awk', 'sed', 'dd', 'hexdump', 'nproc', 'taskset', 'stty', 'lspci', 'umount', 'mknod', 'ifconfig', 'ping', 'wget', 'ip', 'udhcpc', 'insmod', 'lsmod', 'cut', 'true', 'sha256sum',
];

/**
 * A ramdisk and, behind it, another archive, which the kernel unpacks over it: for files that only some tests need.
 * @param {Uint8Array} ramdisk
 * @param {readonly import('./cpio.mjs').CpioEntry[]} entries
 */
export function extendedRamdisk(ramdisk, entries) {
  return Buffer.concat([ramdisk, Buffer.alloc((4 - (ramdisk.length % 4)) % 4), cpioArchive(entries)]);
}

/** @param {Uint8Array} busybox the statically linked program */
export function initramfs(busybox) {
  return gzipSync(cpioArchive([
    ...['bin', 'dev', 'proc', 'sys', 'tmp', 'root', 'mnt'].map((path) => ({ path, directory: true })),
    { path: 'dev/console', device: [5, 1] }, { path: 'dev/null', device: [1, 3] }, { path: 'dev/ttyS0', device: [4, 64] },
    { path: 'init', bytes: Buffer.from(init), executable: true },
    { path: 'bin/busybox', bytes: busybox, executable: true },
    ...applets.map((name) => ({ path: `bin/${name}`, link: 'busybox' })),
  ]), { level: 9 });
}
