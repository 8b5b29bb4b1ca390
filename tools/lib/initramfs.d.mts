/** The types of initramfs.mjs, for tests. */
import type { CpioEntry } from './cpio.mjs';

export const READY_MARKER: string;
export function initramfs(busybox: Uint8Array): Buffer;
export function extendedRamdisk(ramdisk: Uint8Array, entries: readonly CpioEntry[]): Buffer;
