/** Addresses that the BIOS and its callers agree on: the BIOS data area, the ROM, and the equipment word. */

export const ROM_SEGMENT = 0xf000;
export const ROM_BASE = 0xf0000;
export const ROM_BYTES = 0x10000;
/**
 * The port that a ROM stub writes to enter a service. It means something only when the writing instruction lies in the ROM; what AL holds has no meaning, the
 * address of the stub tells the service.
 */
export const BIOS_TRAP_PORT = 0xec;

export const BOOT_ADDRESS = 0x7c00;

/** BIOS data area, physical addresses (IBM PS/2 and PC BIOS Interface Technical Reference). */
export const BDA = {
  comPorts: 0x400, lptPorts: 0x408, ebdaSegment: 0x40e, equipment: 0x410, memoryKiB: 0x413, shiftFlags: 0x417, shiftFlags2: 0x418, altNumber: 0x419,
  keyHead: 0x41a, keyTail: 0x41c, keyBuffer: 0x41e, floppyStatus: 0x441, videoMode: 0x449, videoColumns: 0x44a, videoPageBytes: 0x44c, videoPageStart: 0x44e,
  cursors: 0x450, cursorShape: 0x460, videoPage: 0x462, crtcPort: 0x463, ticks: 0x46c, midnight: 0x470, breakFlag: 0x471, warmBoot: 0x472, diskStatus: 0x474,
  diskCount: 0x475, lptTimeouts: 0x478, comTimeouts: 0x47c, keyBufferStart: 0x480, keyBufferEnd: 0x482, videoRowsLess1: 0x484, characterHeight: 0x485,
  videoControl: 0x487, videoSwitches: 0x488, modeSetControl: 0x489, displayCombination: 0x48a, floppyMedia: 0x490, shiftFlags3: 0x496, ledFlags: 0x497, savePointers: 0x4a8, vbeMode: 0x4ba,
} as const;

/** Ticks of the BIOS clock in a day (AT convention). */
export const TICKS_PER_DAY = 0x1800b0;
