/** Model-specific registers, one row each. Reading or writing an undeclared one is #GP(0). */
import type { Cpu } from './cpu';
import { generalProtection } from './exceptions';
import { SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TSC_OFFSET } from './layout';

export interface MsrRow {
  readonly address: number;
  /** The SDM's name. */
  readonly name: string;
  readonly description: string;
  read(cpu: Cpu): bigint;
  write(cpu: Cpu, value: bigint): void;
}

/** The time-stamp counter: one count per instruction, from zero at RESET. */
export function timeStamp(cpu: Cpu): bigint {
  return BigInt.asUintN(64, BigInt(cpu.hooks.now()) + cpu.state.u64[TSC_OFFSET >> 3]);
}

function stored(slot: number): Pick<MsrRow, 'read' | 'write'> {
  return {
    read: (cpu) => BigInt(cpu.state.u32[slot >> 2]),
    write: (cpu, value) => cpu.state.set64Slot(slot, Number(BigInt.asUintN(32, value))),
  };
}

/** A register of the local APIC, which decides whether it exists in its present mode. */
function apicRegister(address: number, name: string, description: string): MsrRow {
  const absent = (what: string) => generalProtection(0, `${what} ${name}, which the local APIC does not allow as it is set up`);
  return {
    address, name, description,
    read: (cpu) => {
      const value = cpu.hooks.apic()?.readMsr(address);
      if (value === undefined) throw absent('RDMSR of');
      return value;
    },
    write: (cpu, value) => {
      if (!cpu.hooks.apic()?.writeMsr(address, value)) throw absent('WRMSR of');
    },
  };
}

/** The local APIC's MSRs in x2APIC mode. */
const X2APIC_FIRST = 0x800, X2APIC_COUNT = 0x100;

export const msrs: readonly MsrRow[] = [
  apicRegister(0x1b, 'IA32_APIC_BASE', 'Local APIC: page, enable, x2APIC mode, bootstrap processor'),
  apicRegister(0x6e0, 'IA32_TSC_DEADLINE', 'Time stamp at which the local APIC\'s timer interrupts; 0 disarms it'),
  ...Array.from({ length: X2APIC_COUNT }, (_, n) => apicRegister(
    X2APIC_FIRST + n, `IA32_X2APIC_${(X2APIC_FIRST + n).toString(16).toUpperCase()}`, `Local APIC register at offset ${(16 * n).toString(16).toUpperCase()}h in x2APIC mode`,
  )),
  {
    address: 0x10, name: 'IA32_TIME_STAMP_COUNTER', description: 'Instructions retired since RESET, plus what software added',
    read: timeStamp,
    // P6: a write sets the low half and clears the high one (SDM Vol. 3, 17.17).
    write: (cpu, value) => {
      cpu.state.u64[TSC_OFFSET >> 3] = BigInt.asUintN(64, BigInt.asUintN(32, value) - BigInt(cpu.hooks.now()));
      cpu.hooks.apic()?.timeStampChanged();
    },
  },
  { address: 0x174, name: 'IA32_SYSENTER_CS', description: 'Code selector that SYSENTER loads; SS and the SYSEXIT selectors follow from it', ...stored(SYSENTER_CS) },
  { address: 0x175, name: 'IA32_SYSENTER_ESP', description: 'ESP that SYSENTER loads', ...stored(SYSENTER_ESP) },
  { address: 0x176, name: 'IA32_SYSENTER_EIP', description: 'EIP that SYSENTER loads', ...stored(SYSENTER_EIP) },
  {
    // NXE 11. SCE, LME and LMA do not exist without long mode.
    address: 0xc0000080, name: 'IA32_EFER', description: 'Extended features: execute-disable',
    read: (cpu) => BigInt(cpu.state.efer),
    write: (cpu, value) => {
      if (value & ~BigInt(cpu.model.efer)) throw generalProtection(0, 'an EFER bit that this processor model does not have');
      const changed = cpu.state.efer ^ Number(value);
      cpu.state.efer = Number(value);
      if (changed) cpu.pagingChanged('efer');
    },
  },
];

const byAddress: ReadonlyMap<number, MsrRow> = new Map(msrs.map((row) => [row.address, row]));

export function findMsr(address: number): MsrRow | undefined {
  return byAddress.get(address >>> 0);
}
