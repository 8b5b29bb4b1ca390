/** The registers of a local APIC as rows (SDM Vol. 3, table 10-1): names, descriptions and fields for views, at their offsets in the page. */
import type { DeviceRegister } from './device';

/** Offsets in the page of registers; MSR 800h + offset / 16 in x2APIC mode. */
export const Reg = {
  id: 0x20, version: 0x30, tpr: 0x80, apr: 0x90, ppr: 0xa0, eoi: 0xb0, rrd: 0xc0, ldr: 0xd0, dfr: 0xe0, svr: 0xf0, isr: 0x100, tmr: 0x180, irr: 0x200,
  esr: 0x280, lvtCmci: 0x2f0, icr: 0x300, icrHigh: 0x310, lvtTimer: 0x320, lvtThermal: 0x330, lvtPerformance: 0x340, lvtLint0: 0x350, lvtLint1: 0x360,
  lvtError: 0x370, initialCount: 0x380, currentCount: 0x390, divide: 0x3e0, selfIpi: 0x3f0,
} as const;

type Fields = NonNullable<DeviceRegister['fields']>;

const vector = { name: 'vector', bit: 0, width: 8 } as const;
const deliveryMode = { name: 'delivery mode', bit: 8, width: 3 } as const;
const deliveryStatus = { name: 'delivery status', bit: 12, width: 1 } as const;
const mask = { name: 'mask', bit: 16, width: 1 } as const;
const priority: Fields = [{ name: 'class', bit: 4, width: 4 }, { name: 'sub-class', bit: 0, width: 4 }];
const lvtPlain: Fields = [mask, deliveryStatus, deliveryMode, vector];
const lvtPin: Fields = [mask, { name: 'level-triggered', bit: 15, width: 1 }, { name: 'remote IRR', bit: 14, width: 1 }, { name: 'active low', bit: 13, width: 1 },
  deliveryStatus, deliveryMode, vector];

function row(address: number, name: string, description: string, fields?: Fields): DeviceRegister {
  return { address, bits: 32, name, description, ...(fields && { fields }) };
}

/** 256 bits in eight words. */
function vectors(address: number, name: string, description: string): DeviceRegister[] {
  return Array.from({ length: 8 }, (_, n) => row(address + 16 * n, `${name}${n}`, `${description} ${32 * n}–${32 * n + 31}`));
}

export const localApicRegisters: readonly DeviceRegister[] = [
  row(Reg.id, 'ID', 'APIC ID', [{ name: 'id', bit: 24, width: 8 }]),
  row(Reg.version, 'Version', 'Version and number of local vector table entries', [{ name: 'last LVT entry', bit: 16, width: 8 }, { name: 'version', bit: 0, width: 8 }]),
  row(Reg.tpr, 'TPR', 'Task priority: interrupts of this class and lower ones wait', priority),
  row(Reg.apr, 'APR', 'Arbitration priority', priority),
  row(Reg.ppr, 'PPR', 'Processor priority: the higher one of the task and of what is in service', priority),
  row(Reg.eoi, 'EOI', 'A write ends the interrupt of the highest priority in service'),
  row(Reg.ldr, 'LDR', 'Logical destination', [{ name: 'logical id', bit: 24, width: 8 }]),
  row(Reg.dfr, 'DFR', 'Destination format: Fh flat, 0 clusters', [{ name: 'model', bit: 28, width: 4 }]),
  row(Reg.svr, 'SVR', 'Spurious interrupt vector and software enable', [{ name: 'enable', bit: 8, width: 1 }, vector]),
  ...vectors(Reg.isr, 'ISR', 'In service: vectors'),
  ...vectors(Reg.tmr, 'TMR', 'Level-triggered: vectors'),
  ...vectors(Reg.irr, 'IRR', 'Requested: vectors'),
  row(Reg.esr, 'ESR', 'Errors since the write before the last one', [
    { name: 'illegal register', bit: 7, width: 1 }, { name: 'received illegal vector', bit: 6, width: 1 }, { name: 'sent illegal vector', bit: 5, width: 1 },
  ]),
  row(Reg.icr, 'ICR low', 'Interrupt command: a write sends', [
    { name: 'shorthand', bit: 18, width: 2 }, { name: 'level-triggered', bit: 15, width: 1 }, { name: 'assert', bit: 14, width: 1 }, deliveryStatus,
    { name: 'logical', bit: 11, width: 1 }, deliveryMode, vector,
  ]),
  row(Reg.icrHigh, 'ICR high', 'Interrupt command: destination', [{ name: 'destination', bit: 24, width: 8 }]),
  row(Reg.lvtTimer, 'LVT timer', 'Mode 0 one-shot, 1 periodic, 2 TSC deadline', [{ name: 'mode', bit: 17, width: 2 }, mask, deliveryStatus, vector]),
  row(Reg.lvtThermal, 'LVT thermal', 'Thermal sensor (never signals here)', lvtPlain),
  row(Reg.lvtPerformance, 'LVT performance', 'Performance counters (never signal here)', lvtPlain),
  row(Reg.lvtLint0, 'LVT LINT0', 'Pin LINT0: INTR of the 8259A pair', lvtPin),
  row(Reg.lvtLint1, 'LVT LINT1', 'Pin LINT1: NMI', lvtPin),
  row(Reg.lvtError, 'LVT error', 'Errors that ESR notes', [mask, deliveryStatus, vector]),
  row(Reg.initialCount, 'Initial count', 'A write starts the timer; 0 stops it'),
  row(Reg.currentCount, 'Current count', 'What is left of the timer\'s count'),
  row(Reg.divide, 'Divide configuration', 'Divisor of the timer\'s clock: bits 3, 1, 0 (0 is 2, 6 is 128, 7 is 1)', [{ name: 'divisor', bit: 0, width: 4 }]),
];
