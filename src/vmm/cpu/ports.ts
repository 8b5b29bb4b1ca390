/** Port I/O: IOPL, the TSS's I/O permission bitmap, I/O breakpoints, then the board (SDM Vol. 1, 18.5). */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, Cr0, Flag } from './bits';
import { matchingBreakpoints } from './debug';
import { generalProtection, type GuestFault } from './exceptions';
import { Segment } from './layout';
import { tssIs32 } from './rings';

/** The TSS's word that locates the bitmap. */
const IO_MAP_BASE = 0x66;

function bitmapAllows(cpu: Cpu, port: number, bytes: number): boolean {
  const { state, memory } = cpu;
  const limit = state.limit(Segment.TR);
  if (!tssIs32(cpu) || state.attributes(Segment.TR) & Attribute.Unusable || limit < IO_MAP_BASE + 1) return false;
  const map = memory.read(state.linear(Segment.TR, IO_MAP_BASE), 2, 'system');
  // Two bytes are always read, so that an access may straddle; both must be inside the segment.
  const at = map + (port >>> 3);
  if (at + 1 > limit) return false;
  const bits = memory.read(state.linear(Segment.TR, at), 2, 'system') >>> (port & 7);
  return (bits & ((1 << bytes) - 1)) === 0;
}

function refusal(cpu: Cpu, port: number, bytes: number): GuestFault | undefined {
  const { state } = cpu;
  const virtual8086 = (state.systemFlags & Flag.VM) !== 0;
  if (!(state.cr0 & Cr0.PE) || (!virtual8086 && state.cpl <= state.iopl)) return undefined;
  if (bitmapAllows(cpu, port, bytes)) return undefined;
  return generalProtection(0, `port 0x${port.toString(16)} with CPL ${state.cpl} and IOPL ${state.iopl}: the TSS does not permit it`);
}

/** INS and OUTS check the port before they touch memory. */
export function portCheck(cpu: Cpu, _site: CalloutSite, port: number, bytes: number): number {
  const refused = refusal(cpu, port & 0xffff, bytes);
  if (refused) throw refused;
  return 0;
}

export function portIn(cpu: Cpu, site: CalloutSite, port: number, bytes: number): number {
  portCheck(cpu, site, port, bytes);
  cpu.pendingDebug |= matchingBreakpoints(cpu.state, port & 0xffff, bytes, 'io');
  cpu.state.count('portReads');
  const value = cpu.hooks.portRead(port & 0xffff, bytes as 1 | 2 | 4);
  return bytes === 4 ? value | 0 : value & (bytes === 2 ? 0xffff : 0xff);
}

export function portOut(cpu: Cpu, site: CalloutSite, port: number, value: number, bytes: number): number {
  portCheck(cpu, site, port, bytes);
  cpu.pendingDebug |= matchingBreakpoints(cpu.state, port & 0xffff, bytes, 'io');
  cpu.state.count('portWrites');
  cpu.hooks.portWrite(port & 0xffff, bytes as 1 | 2 | 4, bytes === 4 ? value >>> 0 : value & (bytes === 2 ? 0xffff : 0xff));
  return 0;
}
