/**
 * The BIOS ROM: 64 KiB at F000:0000 with one short stub for each interrupt. A stub enters its service by writing the trap port; the service runs in TypeScript and the
 * stub returns with IRET. Entry points that programs of the PC era jump to directly stand at IBM's addresses.
 */
import { mpPointer } from '../acpi/mp-table';
import { EBDA, MP_CONFIGURATION } from '../loaders/memory-map';
import { fonts } from '../../devices/vga/fonts';
import { vbeModes } from './vbe-modes';
import { routingTable } from './pci';
import { BIOS_TRAP_PORT, ROM_BYTES, ROM_SEGMENT } from './layout';

/** Far pointer of the pointing device's handler in the extended data area. */
export const MOUSE_HANDLER_OFFSET = 0x22;

/** Traps below 0x100 are the interrupt vectors; these are the others. */
export const Trap = { post: 0x100, tick: 0x108, key: 0x109, boot: 0x119, noBoot: 0x118, rtc: 0x170, mouse: 0x174, vbeWindow: 0x14f, unexpected: 0x200 } as const;

/** Part of a stub: bytes as numbers, and what needs an address. */
type Item = number | { readonly label: string } | { readonly trap: number } | { readonly short: string } | { readonly near: string };

interface Stub {
  readonly at?: number;
  readonly label: string;
  readonly code: readonly Item[];
}

const OUT_IMM = 0xe6, IRET = 0xcf, RETF = 0xcb, STI = 0xfb, CLI = 0xfa, CLD = 0xfc, HLT = 0xf4, JMP_SHORT = 0xeb, JMP_NEAR = 0xe9, JNC = 0x73, STC = 0xf9, INT = 0xcd;
const PUSH_AX = 0x50, PUSH_DX = 0x52, PUSH_DS = 0x1e, POP_AX = 0x58, POP_DX = 0x5a, POP_DS = 0x1f;
const MOV_AL = 0xb0, MOV_AH = 0xb4, MOV_AX = 0xb8, MOV_SP = 0xbc;
const IN_AL = 0xe4;
const PUSHA = 0x60, POPA = 0x61, PUSH_ES = 0x06, POP_ES = 0x07, PUSH_BX = 0x53, PUSH_CX = 0x51, CALL_FAR_MEMORY = 0xff;
const ADD_SP_8 = [0x83, 0xc4, 0x08];
const XOR_AX_AX = [0x31, 0xc0], MOV_DS_AX = [0x8e, 0xd8], MOV_ES_AX = [0x8e, 0xc0], MOV_SS_AX = [0x8e, 0xd0];
/** End of interrupt to the master controller. */
const EOI = [MOV_AL, 0x20, OUT_IMM, 0x20];

/** SS:SP = 0:7C00, DS = ES = 0. */
const flatSegments = [...XOR_AX_AX, ...MOV_SS_AX, MOV_SP, 0x00, 0x7c, ...MOV_DS_AX, ...MOV_ES_AX];

/** A service that can wait: the handler sends EIP to the loop behind the IRET, which sleeps until an interrupt and asks again. */
function service(vector: number, at?: number): Stub {
  const label = `int${vector.toString(16)}`;
  return { at, label, code: [{ trap: vector }, IRET, STI, HLT, JMP_SHORT, { short: label }] };
}

const stubs: readonly Stub[] = [
  { at: 0xe05b, label: 'post', code: [CLI, CLD, ...flatSegments, { trap: Trap.post }, INT, 0x19, JMP_NEAR, { near: 'halt' }] },
  {
    label: 'boot',
    code: [...flatSegments, STI, { trap: Trap.boot }, RETF, { label: 'bootFailed' }, INT, 0x18, { label: 'halt' }, CLI, HLT, JMP_SHORT, { short: 'halt' }],
  },
  { label: 'int18', code: [{ trap: Trap.noBoot }, JMP_SHORT, { short: 'halt' }] },
  // E6F2 has room for a jump only: the configuration table stands at E6F5.
  { at: 0xe6f2, label: 'int19', code: [JMP_NEAR, { near: 'boot' }] },
  // INT 1Ch sees DS = 40h and may change AX, DX and DS, as on a PC/AT.
  {
    at: 0xfea5, label: 'int8',
    code: [PUSH_DS, PUSH_AX, PUSH_DX, MOV_AX, 0x40, 0x00, ...MOV_DS_AX, { trap: Trap.tick }, INT, 0x1c, ...EOI, POP_DX, POP_AX, POP_DS, IRET],
  },
  // The keyboard intercept (INT 15h AH=4Fh) may change AL or, by clearing carry, swallow the byte.
  {
    at: 0xe987, label: 'int9',
    code: [
      PUSH_AX, IN_AL, 0x60, MOV_AH, 0x4f, STC, INT, 0x15, JNC, { short: 'keyDone' }, { trap: Trap.key }, { label: 'keyDone' }, ...EOI, POP_AX, IRET,
      { label: 'keyBreak' }, ...EOI, INT, 0x1b, POP_AX, IRET,
      { label: 'keyPrint' }, ...EOI, INT, 0x05, POP_AX, IRET,
    ],
  },
  { label: 'int70', code: [{ trap: Trap.rtc }, IRET, { label: 'rtcAlarm' }, INT, 0x4a, IRET] },
  // The pointing device's handler gets status, X, Y and Z as words on the stack.
  {
    label: 'int74',
    code: [
      PUSHA, PUSH_DS, PUSH_ES, { trap: Trap.mouse }, PUSH_AX, PUSH_BX, PUSH_CX, PUSH_DX, MOV_AX, (EBDA >> 4) & 0xff, EBDA >> 12, ...MOV_DS_AX,
      CALL_FAR_MEMORY, 0x1e, MOUSE_HANDLER_OFFSET, 0x00, ...ADD_SP_8, { label: 'mouseDone' }, MOV_AL, 0x20, OUT_IMM, 0xa0, OUT_IMM, 0x20, POP_ES, POP_DS, POPA, IRET,
    ],
  },
  { label: 'vbeWindow', code: [{ trap: Trap.vbeWindow }, RETF] },
  { at: 0xff53, label: 'return', code: [IRET] },
  service(0x10, 0xf065), service(0x11, 0xf84d), service(0x12, 0xf841), service(0x13, 0xec59), service(0x14, 0xe739), service(0x15, 0xf859), service(0x16, 0xe82e),
  service(0x17, 0xefd2), service(0x1a, 0xfe6e),
  { at: 0xfff0, label: 'reset', code: [0xea, 0x5b, 0xe0, ROM_SEGMENT & 0xff, ROM_SEGMENT >> 8] },
  // Exceptions and interrupts that nobody has claimed; IRQ vectors among them are ended properly.
  ...[0, 1, 3, 4, 6, 7, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x71, 0x72, 0x73, 0x75, 0x76, 0x77].map((vector): Stub => (
    { label: `int${vector.toString(16)}`, code: [{ trap: Trap.unexpected + vector }, IRET] })),
];

const ascii = (text: string): readonly number[] => Array.from(text, (c) => c.charCodeAt(0));

/** Tables that interrupts 1Dh, 1Eh and INT 15h C0h point at, and the identification at the end of the ROM. */
export const RomTable = {
  pciRouting: 0xc000, multiProcessor: 0xc800, id: 0xe000, configuration: 0xe6f5, diskette: 0xefc7, videoParameters: 0xf0a4, font8x8: 0xfa6e,
  font8x16: 0x8000, font8x14: 0x9000, wholeFont8x8: 0xa000, vbeModes: 0xb000, vbeStrings: 0xb200, videoFunctions: 0xb300,
} as const;

const tables: readonly { readonly at: number; readonly bytes: ArrayLike<number> }[] = [
  { at: RomTable.pciRouting, bytes: routingTable() },
  { at: RomTable.multiProcessor, bytes: mpPointer(MP_CONFIGURATION) },
  { at: RomTable.font8x16, bytes: fonts[16] },
  { at: RomTable.font8x14, bytes: fonts[14] },
  { at: RomTable.wholeFont8x8, bytes: fonts[8] },
  { at: RomTable.font8x8, bytes: fonts[8].subarray(0, 128 * 8) },
  { at: RomTable.vbeModes, bytes: [...vbeModes.map(({ number }) => number), 0xffff].flatMap((number) => [number & 0xff, number >> 8]) },
  { at: RomTable.vbeStrings, bytes: ascii('Ringside\0') },
  // INT 10h AH=1Bh: modes 0-7 and 0Dh-13h, 200, 350 and 400 lines, two fonts of eight; all functions but the state's saving and the light pen.
  { at: RomTable.videoFunctions, bytes: [0xff, 0xe0, 0x0f, 0, 0, 0, 0, 7, 2, 8, 0xff, 0x0e, 0, 0, 0, 0] },
  { at: RomTable.id, bytes: ascii('Ringside BIOS\0') },
  // Length 8, model FC (AT), submodel 1, revision 0; features: second 8259, RTC, keyboard intercept.
  { at: RomTable.configuration, bytes: [8, 0, 0xfc, 1, 0, 0x70, 0, 0, 0, 0] },
  // Step rate, load time, motor-off, 512-byte sectors, 18 per track, gaps, fill byte, settle, motor start.
  { at: RomTable.diskette, bytes: [0xaf, 0x02, 0x25, 0x02, 0x12, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08] },
  { at: 0xfff5, bytes: ascii('01/01/99') },
  { at: 0xfffe, bytes: [0xfc] },
];

export interface Rom {
  readonly bytes: Uint8Array;
  /** Offset behind each trapping OUT → trap. */
  readonly traps: ReadonlyMap<number, number>;
  /** Offsets of labels: int10, halt, keyBreak … */
  readonly labels: ReadonlyMap<string, number>;
}

function sizeOf(item: Item): number {
  if (typeof item === 'number' || 'short' in item) return 1;
  return 'label' in item ? 0 : 2;
}

/** Stubs without an address of their own follow each other from here. */
const FREE_AREA = 0xe100;

function build(): Rom {
  const bytes = new Uint8Array(ROM_BYTES);
  const traps = new Map<number, number>();
  const labels = new Map<string, number>();
  let free = FREE_AREA;
  const placed = stubs.map((stub) => {
    const at = stub.at ?? free;
    let offset = at;
    labels.set(stub.label, at);
    for (const item of stub.code) {
      if (typeof item === 'object' && 'label' in item) labels.set(item.label, offset);
      offset += sizeOf(item);
    }
    if (stub.at === undefined) free = offset;
    return { stub, at };
  });
  const target = (label: string): number => {
    const offset = labels.get(label);
    if (offset === undefined) throw new RangeError(`BIOS ROM: no label ${label}`);
    return offset;
  };
  for (const { stub, at } of placed) {
    let offset = at;
    for (const item of stub.code) {
      const next = offset + sizeOf(item);
      if (typeof item === 'number') {
        bytes[offset] = item;
      } else if ('trap' in item) {
        bytes[offset] = OUT_IMM;
        bytes[offset + 1] = BIOS_TRAP_PORT;
        traps.set(next, item.trap);
      } else if ('short' in item) {
        const distance = target(item.short) - next;
        if (distance < -128 || distance > 127) throw new RangeError(`BIOS ROM: ${item.short} is out of reach of a short jump`);
        bytes[offset] = distance & 0xff;
      } else if ('near' in item) {
        const distance = target(item.near) - next;
        bytes[offset] = distance & 0xff;
        bytes[offset + 1] = (distance >> 8) & 0xff;
      }
      offset = next;
    }
  }
  for (const { at, bytes: content } of tables) bytes.set(content, at);
  return { bytes, traps, labels };
}

export const rom: Rom = build();

/** Offset in the ROM that a vector of the interrupt table points at after POST; unclaimed ones return at once. */
export function vectorOffset(vector: number): number {
  return rom.labels.get(`int${vector.toString(16)}`) ?? rom.labels.get('return')!;
}
