/**
 * Steps in, over and out, by instruction and by line, made of the machine's two ways to move: exactly one instruction, or on to an address.
 *
 * A line of assembly is usually one instruction; macros, `times` and compiled code make it several. A step by line ends when the line
 * changes, when a line begins again (a loop on one line shows each round), or when something else stops the guest.
 */
import type { DisassembledInstruction } from '../protocol/messages';
import { linearEip, stackPointer } from '../protocol/registers';
import { AdapterError } from './adapter-error';
import type { Debuggee, Halt } from './debuggee';
import { StackWalker } from './stack';

export type Granularity = 'line' | 'instruction';

/** Instructions after which execution comes back behind them, unless the guest has other plans. */
const returning: readonly DisassembledInstruction['control'][] = ['call', 'interrupt', 'halt'];

export class Stepper {
  private cancelled = false;

  constructor(private readonly debuggee: Debuggee) {}

  /** A pause between two moves of one step. */
  cancel(): void {
    this.cancelled = true;
  }

  async step(kind: 'in' | 'over', granularity: Granularity): Promise<Halt> {
    this.cancelled = false;
    const start = this.debuggee.sourceMap.locate(await this.debuggee.linearEip());
    for (;;) {
      const halt = await this.move(kind, granularity);
      if (halt.kind === 'ended' || halt.reason.kind !== 'step' || granularity === 'instruction' || !start) return halt;
      if (this.cancelled) return { kind: 'stopped', reason: { kind: 'pause' } };
      const linear = await this.debuggee.linearEip();
      const now = this.debuggee.sourceMap.locate(linear);
      if (!now || now.path !== start.path || now.line !== start.line || linear === start.linear) return halt;
    }
  }

  async stepOut(): Promise<Halt> {
    this.cancelled = false;
    const registers = await this.debuggee.registers();
    const [caller] = await new StackWalker(this.debuggee).callers(registers, 1);
    if (!caller) throw new AdapterError('No return address was found on the stack', 'Set a breakpoint where the guest should stop, and continue.');
    // Deeper calls of the same function return to the same address with a smaller stack pointer.
    return this.debuggee.run('runTo', { linear: caller.returnAddress, minimumStack: caller.stackPointer });
  }

  private async move(kind: 'in' | 'over', granularity: Granularity): Promise<Halt> {
    const registers = await this.debuggee.registers();
    const linear = linearEip(registers);
    const [instruction] = await this.debuggee.client.request('disassemble', { linear, instructionOffset: 0, count: 1 });
    const comesBack = instruction?.valid === true && (returning.includes(instruction.control) || instruction.repeats === true);
    const next = { linear: linear + (instruction?.bytes.length ?? 0), minimumStack: stackPointer(registers) };
    if (kind === 'over' && comesBack) return this.debuggee.run('runTo', next);
    const halt = await this.debuggee.run('step', { count: 1 });
    if (kind === 'over' || granularity === 'instruction' || !comesBack || instruction.repeats || halt.kind === 'ended' || halt.reason.kind !== 'step') return halt;
    // Stepping by line from source into code without source (the BIOS): back to where there is something to read.
    const map = this.debuggee.sourceMap;
    const now = await this.debuggee.linearEip();
    if (this.cancelled || now === next.linear || !map.locate(linear) || map.locate(now)) return halt;
    return this.debuggee.run('runTo', next);
  }
}
