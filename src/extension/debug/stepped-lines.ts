/** Which values stand beside which source lines after some stops: what the line at hand will read, what the lines before have written. Pure. */
import type { InstructionJson } from '../../protocol/dap';
import type { RegisterSnapshot } from '../../protocol/messages';
import { readRegister } from '../../protocol/registers';
import { describeChange } from '../machine/model';
import { forecast } from '../machine/eflags';

export interface SteppedStop {
  readonly registers: RegisterSnapshot;
  readonly instruction?: InstructionJson;
}

export interface LineValues {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** More values than this on a line (PUSHA) hide the code of the next column. */
const mostValues = 8;
/** Not worth a place: every instruction changes it. */
const unremarkable = new Set(['eip', 'ip', 'rip']);

/**
 * @param stops newest first
 * @returns the newest text for each line; a line that is stepped several times shows its last step
 */
export function steppedLines(stops: readonly SteppedStop[], wide: boolean): LineValues[] {
  const result = new Map<string, LineValues>();
  const put = (instruction: InstructionJson | undefined, texts: readonly string[]) => {
    const source = instruction?.source;
    if (!source || texts.length === 0) return;
    const key = `${source.path}:${source.line}`;
    if (!result.has(key)) result.set(key, { path: source.path, line: source.line, text: texts.slice(0, mostValues).join('  ') });
  };
  const show = (names: readonly string[], now: RegisterSnapshot, before: RegisterSnapshot | undefined, onlyChanged: boolean): string[] =>
    [...new Set(names)].filter((name) => !unremarkable.has(name.toLowerCase())).flatMap((name) => {
      const value = readRegister(now, name)?.value;
      const old = before && readRegister(before, name)?.value;
      return value === undefined || onlyChanged && value === old ? [] : [describeChange(name, value, old)];
    });

  stops.forEach((stop, i) => {
    if (i === 0) {
      const { instruction } = stop;
      const jump = instruction && forecast(instruction.text, stop.registers.eflags, Number(BigInt.asUintN(32, stop.registers.general[1])), wide ? 32 : 16);
      put(instruction, [...show(instruction?.reads ?? [], stop.registers, stops[1]?.registers, false), ...(jump ? [`→ ${jump}`] : [])]);
      return;
    }
    // What the line wrote shows only when exactly that line ran: a run over many lines changed the registers elsewhere.
    const after = stops[i - 1].registers;
    if (after.instructions - stop.registers.instructions !== 1) return;
    const { writes = [], source } = stop.instruction ?? {};
    const changed = show(writes, after, stop.registers, true);
    put(stop.instruction, changed.length > 0 ? changed : source && writes.length > 0 ? ['unchanged'] : []);
  });
  return [...result.values()];
}
