/**
 * The debugger's breakpoints as the machine's worker knows them: which are hit at an address, judged by condition and hit count,
 * and what log points say. Conditions are evaluated here, next to the machine, because asking the adapter for each hit would take forever.
 */
import { evaluateExpression, formatValue, memoryOperand, parseExpression, parseHitCondition, parseLogMessage } from '../protocol/expression';
import type { EvaluationContext, Expression, Value } from '../protocol/expression';
import type { BreakpointSpec } from '../protocol/messages';
import { codeSize, readRegister } from '../protocol/registers';
import { MachineError } from '../vmm/machine/api';
import type { MachineApi } from '../vmm/machine/api';

interface Breakpoint {
  readonly id: number;
  readonly condition?: Expression;
  readonly holds?: (hits: number) => boolean;
  readonly log?: readonly (string | Expression)[];
  hits: number;
}

export interface Verdict {
  /** Breakpoints that stop the machine. */
  readonly ids: readonly number[];
  /** Lines to print. */
  readonly log: readonly string[];
}

export class BreakpointTable {
  private byAddress = new Map<number, Breakpoint[]>();

  /** @throws MachineError 'breakpoint' for a condition that is no expression. Hit counts begin anew, except those of unchanged breakpoints. */
  replace(specs: readonly BreakpointSpec[]): void {
    const hits = new Map([...this.byAddress].flatMap(([linear, list]) => list.map((one) => [`${linear}:${one.id}`, one.hits] as const)));
    const table = new Map<number, Breakpoint[]>();
    for (const spec of specs) {
      const list = table.get(spec.linear) ?? [];
      list.push({ ...compile(spec), hits: hits.get(`${spec.linear}:${spec.id}`) ?? 0 });
      table.set(spec.linear, list);
    }
    this.byAddress = table;
  }

  get addresses(): number[] {
    return [...this.byAddress.keys()];
  }

  has(linear: number): boolean {
    return this.byAddress.has(linear);
  }

  resetHits(): void {
    for (const list of this.byAddress.values()) for (const one of list) one.hits = 0;
  }

  /** The machine is about to execute the instruction at `linear`. */
  hit(linear: number, machine: MachineApi): Verdict {
    const ids: number[] = [];
    const log: string[] = [];
    const context = machineContext(machine);
    for (const one of this.byAddress.get(linear) ?? []) {
      try {
        if (one.condition && evaluateExpression(one.condition, context).value === 0n) continue;
      } catch (error) {
        // Stopping shows the person that the condition is wrong here; passing would hide it.
        log.push(`The condition of the breakpoint at 0x${linear.toString(16)} failed: ${messageOf(error)}`);
        ids.push(one.id);
        continue;
      }
      one.hits++;
      if (one.holds && !one.holds(one.hits)) continue;
      if (one.log) log.push(one.log.map((piece) => (typeof piece === 'string' ? piece : valueText(piece, context))).join(''));
      else ids.push(one.id);
    }
    return { ids, log };
  }
}

function compile(spec: BreakpointSpec): Omit<Breakpoint, 'hits'> {
  try {
    return {
      id: spec.id,
      ...(spec.condition?.trim() && { condition: parseExpression(spec.condition) }),
      ...(spec.hitCondition?.trim() && { holds: parseHitCondition(spec.hitCondition) }),
      ...(spec.log !== undefined && {
        log: parseLogMessage(spec.log).map((piece) => (typeof piece === 'string' ? piece : parseExpression(piece.expression))),
      }),
    };
  } catch (error) {
    throw new MachineError('breakpoint', `Breakpoint at 0x${spec.linear.toString(16)}: ${messageOf(error)}`);
  }
}

function valueText(expression: Expression, context: EvaluationContext): string {
  try {
    return formatValue(evaluateExpression(expression, context));
  } catch (error) {
    return `<${messageOf(error)}>`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Registers and memory of a machine for expressions; symbols are bound before an expression comes here. */
export function machineContext(machine: MachineApi): EvaluationContext {
  // One snapshot serves all registers of the expressions at one stop.
  const snapshot = machine.registers();
  return {
    wordBytes: codeSize(snapshot) / 8,
    symbol: () => undefined,
    register: (name): Value | undefined => readRegister(snapshot, name),
    memory: (space, address, bytes) => {
      const read = machine.readMemory(space, address, bytes);
      if (read.bytes.length < bytes) return undefined;
      return read.bytes.reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
    },
  };
}

/** Evaluates text; the value's memory operand is resolved too, so that a memory expression can be written to. @throws ExpressionError */
export function evaluateIn(machine: MachineApi, text: string): Value & { memory?: { space: 'linear' | 'physical'; address: number } } {
  const tree = parseExpression(text);
  const context = machineContext(machine);
  const value = evaluateExpression(tree, context);
  if (tree.kind !== 'memory') return value;
  const { space, address } = memoryOperand(tree, context);
  return { ...value, memory: { space, address } };
}
