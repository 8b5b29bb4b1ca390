/**
 * The machine as the debugger's managers see it: the client, the source map, the registers of the present stop,
 * and runs as promises of how they ended.
 */
import { addressDigits } from '../protocol/addresses';
import type { MachineClient } from '../protocol/client';
import { bindSymbols } from '../protocol/expression';
import type { CounterDefinition, Events, RegisterSnapshot, Requests, RunState, StopReason } from '../protocol/messages';
import { findRegister, linearEip } from '../protocol/registers';
import { AdapterError } from './adapter-error';
import { kernelSymbols } from './kernel-symbols';
import type { SourceMap } from './source-map';

/** How a run came to its end. */
export type Halt =
  | { readonly kind: 'stopped'; readonly reason: StopReason }
  | { readonly kind: 'ended'; readonly event: Events['ended'] };

export class Debuggee {
  state: RunState = 'created';
  private snapshot: RegisterSnapshot | undefined;
  private waiting: ((halt: Halt) => void) | undefined;
  /** Called for a halt that no {@link run} of ours waits for: a view has paused the machine. */
  onHalt: (halt: Halt) => void = () => undefined;
  /** Called when the machine runs although no {@link run} of ours asked for it. */
  onRunning: () => void = () => undefined;

  constructor(readonly client: MachineClient, public sourceMap: SourceMap, readonly counters: readonly CounterDefinition[], registers: RegisterSnapshot) {
    this.snapshot = registers;
    client.on('running', () => {
      this.state = 'running';
      this.snapshot = undefined;
      if (!this.waiting) this.onRunning();
    });
    client.on('stopped', ({ reason, registers: now }) => {
      this.snapshot = now;
      this.state = reason.kind === 'entry' ? 'created' : 'paused';
      if (reason.kind === 'entry') this.waiting = undefined; // restarted: the run that somebody waited for will never end
      else this.settle({ kind: 'stopped', reason });
    });
    client.on('ended', (event) => {
      this.snapshot = event.registers;
      this.state = 'ended';
      this.settle({ kind: 'ended', event });
    });
  }

  private settle(halt: Halt): void {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting) waiting(halt);
    else this.onHalt(halt);
  }

  /** Resumes the machine and waits until it stands still again. */
  async run<N extends 'continue' | 'step' | 'runTo'>(request: N, args: Requests[N][0]): Promise<Halt> {
    if (this.waiting || this.state === 'running') throw new AdapterError('The guest is running already', 'Pause it first.');
    const halted = new Promise<Halt>((resolve) => { this.waiting = resolve; });
    this.state = 'running';
    this.snapshot = undefined;
    try {
      await this.client.request<'continue' | 'step' | 'runTo'>(request, args as never);
    } catch (error) {
      this.waiting = undefined;
      this.state = 'paused';
      throw error;
    }
    return halted;
  }

  async registers(): Promise<RegisterSnapshot> {
    if (this.snapshot) return this.snapshot;
    const registers = await this.client.request('registers');
    // A running machine has new registers every time.
    if ((this.state as RunState) !== 'running') this.snapshot = registers;
    return registers;
  }

  /** The processor in view: the one that stopped, or the one selected since. */
  get processor(): number {
    return this.snapshot?.processor ?? 0;
  }

  /** Makes another processor the one in view. Threads that do not exist are the first one. */
  async select(processor: number): Promise<void> {
    const wanted = Number.isInteger(processor) && processor > 0 ? processor : 0;
    const { processor: present = 0 } = await this.registers();
    if (present !== wanted) this.snapshot = await this.client.request('selectProcessor', { processor: wanted });
  }

  async linearEip(): Promise<number> {
    return linearEip(await this.registers());
  }

  async setRegister(name: string, value: bigint): Promise<RegisterSnapshot> {
    const registers = await this.client.request('setRegister', { name, value });
    if (this.state !== 'running') this.snapshot = registers;
    return registers;
  }

  private searched: SourceMap | undefined;

  /**
   * Looks for the symbols that a Linux kernel keeps for itself, once for every stop in its half of the address space until they are there.
   * Another source map (a restart) begins anew.
   */
  async findKernelSymbols(): Promise<void> {
    const { sourceMap } = this;
    if (this.searched === sourceMap) return;
    const symbols = await kernelSymbols(this.client, await this.registers());
    if (!symbols || this.sourceMap !== sourceMap) return;
    this.searched = this.sourceMap = sourceMap.withSymbols(symbols);
  }

  /** An expression without symbols, for the worker. @throws ExpressionError */
  bind(expression: string): string {
    return bindSymbols(expression, (name) => findRegister(name) !== undefined, (name) => this.sourceMap.symbol(name));
  }

  async evaluate(expression: string): Promise<Requests['evaluate'][1]> {
    return this.client.request('evaluate', { expression: this.bind(expression) });
  }

  /** Bytes at a linear address, fewer where memory ends. */
  async read(linear: number, count: number): Promise<Uint8Array> {
    return (await this.client.request('readMemory', { space: 'linear', address: linear, count })).bytes;
  }

  /** `name+0x12`, or the address alone. */
  nameOf(linear: number): string {
    const symbol = this.sourceMap.symbolAt(linear);
    if (!symbol) return `0x${addressDigits(linear)}`;
    return symbol.offset === 0 ? symbol.name : `${symbol.name}+0x${symbol.offset.toString(16)}`;
  }
}
