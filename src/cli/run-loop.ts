/**
 * Runs a machine in this process, in slices of about ten milliseconds between which signals, input and the clock are heard, until the guest
 * ends or somebody ends it.
 */
import type { EndReason } from '../protocol/messages';
import type { MachineApi } from '../vmm/machine/api';
import { Pacer } from '../worker/pacer';
import type { Bell } from './bell';
import type { SerialInput } from './input';

export type RunEnd =
  | { readonly kind: 'ended'; readonly reason: EndReason }
  | { readonly kind: 'timeout' }
  /** The processor halts, no device will wake it, and there is nobody left who could type. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'interrupted'; readonly signal: 'SIGINT' | 'SIGTERM' | 'SIGPIPE' }
  | { readonly kind: 'quit' };

export interface RunEnvironment {
  readonly input: SerialInput;
  readonly timeoutMilliseconds: number;
  readonly bell: Bell;
  /** Set by signals and by the terminal; looked at between slices. */
  stopped(): RunEnd | undefined;
  /** Resolves when the output has been taken. */
  drained(): Promise<void>;
  now(): number;
  /** The port that the input goes to. */
  readonly inputPort: number;
  /** Events of the network that have arrived since. */
  readonly events: (() => void)[];
  /** Scan codes to type on the keyboard, at fixed instruction counts: the same guest sees them at the same instructions in every run. */
  readonly scancodes: readonly number[];
}

/** Ahead of the wall clock, a run sleeps for this long. */
const PACE_MILLISECONDS = 4;
/** Virtual seconds until the first scan code, so that the guest has set its keyboard up, and between two of them. */
const FIRST_KEY_SECONDS = 0.5;
const KEY_SECONDS = 0.01;

export async function runMachine(machine: MachineApi, environment: RunEnvironment): Promise<RunEnd> {
  const { bell, input, now } = environment;
  const { pace, maxInstructions = Infinity } = machine.configuration;
  const pacer = new Pacer(pace, machine.instructionsPerSecond);
  const deadline = now() + environment.timeoutMilliseconds;
  const keys = [...environment.scancodes];
  let keyAt = machine.instructions + Math.ceil(FIRST_KEY_SECONDS * machine.instructionsPerSecond);
  pacer.anchor(now(), machine.instructions);
  for (;;) {
    const stopped = environment.stopped();
    if (stopped) return stopped;
    const start = now();
    if (start >= deadline) return { kind: 'timeout' };
    const left = maxInstructions - machine.instructions;
    if (left <= 0) {
      const last = machine.run(0);
      return { kind: 'ended', reason: last.kind === 'ended' ? last.reason : { kind: 'instructionLimit' } };
    }
    if (input.pending.length > 0) input.taken(machine.serialInput(environment.inputPort, input.pending));
    for (const event of environment.events.splice(0)) event();
    if (keys.length > 0 && machine.instructions >= keyAt) {
      keys.splice(0, machine.keyboard(keys.slice(0, 1)));
      keyAt = machine.instructions + Math.ceil(KEY_SECONDS * machine.instructionsPerSecond);
    }
    const allowed = pacer.allowance(start, machine.instructions);
    if (allowed === 0) {
      await bell.wait(Math.min(PACE_MILLISECONDS, deadline - start));
      continue;
    }
    const before = machine.instructions;
    const outcome = machine.run(Math.min(allowed, left, keys.length > 0 ? keyAt - before : Infinity));
    pacer.measured(machine.instructions - before, now() - start);
    if (outcome.kind === 'ended') return { kind: 'ended', reason: outcome.reason };
    if (outcome.kind === 'idle') {
      if (outcome.wakeAt === undefined && input.ended && input.pending.length === 0 && keys.length === 0 && !machine.awaitsHost) return { kind: 'waiting' };
      await sleep(keys.length > 0 ? Math.min(keyAt, outcome.wakeAt ?? Infinity) : outcome.wakeAt);
    }
    await environment.drained();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** While the processor halts, virtual time follows the wall clock up to the next event. */
  async function sleep(wakeAt: number | undefined): Promise<void> {
    const until = wakeAt === undefined ? Infinity : machine.awaitsHost ? pacer.duration(wakeAt - machine.instructions) : pacer.millisecondsUntil(wakeAt, now());
    await bell.wait(Math.min(until, deadline - now()));
    // Who waits for somebody else's answer takes it before more time passes.
    if (environment.events.length > 0 && pace === 'max') return;
    const count = pacer.countAt(now());
    if (wakeAt !== undefined) machine.idleUntil(Math.min(wakeAt, count));
    else if (pace === 'realtime') machine.idleUntil(count);
  }
}
