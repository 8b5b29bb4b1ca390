/** Whether the floating-point and vector units may be used, and which fault tells that they may not (SDM Vol. 3, 2.5 and 13.1). */
import { Cr0, Cr4 } from './bits';
import type { Callout } from './callouts';
import { GuestFault, undefinedOpcode, Vector } from './exceptions';
import { FpuAccess } from './layout';

/** The cold path behind FPU_ACCESS. `unit` is a bit of FpuAccess. x87 instructions find EM no less a reason for #NM than TS. */
export const unitUnavailable: Callout = (cpu, _site, unit) => {
  const { cr0, cr4 } = cpu.state;
  if (unit !== FpuAccess.X87) {
    if (cr0 & Cr0.EM) throw undefinedOpcode('CR0.EM is set');
    if (unit === FpuAccess.Sse && !(cr4 & Cr4.OSFXSR)) throw undefinedOpcode('CR4.OSFXSR is clear');
  }
  if (cr0 & (Cr0.EM | Cr0.TS)) throw new GuestFault(Vector.NM, undefined, `CR0.${cr0 & Cr0.TS ? 'TS' : 'EM'} is set`);
  throw new GuestFault(Vector.MF, undefined, 'an unmasked x87 exception is pending');
};
