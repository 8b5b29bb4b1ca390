/** What every delivery asks about its event, in all modes. */
import type { Cpu } from './cpu';
import { Flag } from './bits';
import { exceptions } from './exceptions';

/** Software: INT n, INT3, INTO (the gate's DPL counts, EXT is 0). */
export type DeliveryKind = 'external' | 'software' | 'exception';

/** RF is 1 in the image of every fault except an instruction breakpoint's #DB (SDM Vol. 3, 17.3.1.1). */
export function pushedFlags(cpu: Cpu, vector: number, kind: DeliveryKind): number {
  const isFault = kind === 'exception' && vector < 32 && exceptions[vector].type === 'fault';
  return isFault ? cpu.state.eflags | Flag.RF : cpu.state.eflags;
}
