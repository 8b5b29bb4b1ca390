/**
 * A start before the one that counts: a worker that stands ready makes a small machine, stops it at a breakpoint, steps and answers what a debugger
 * asks, with nobody at the other end. The engine of the host compiles its code when that first runs: afterwards a start takes half as long.
 */
import type { ClientMessage, HostMessage, RequestName, Requests } from '../protocol/messages';
import { MachineHost, type MachineFactory } from './host';

/** What is left of a thread that was asked for nothing in so many milliseconds is free for a rehearsal. */
export const REHEARSAL_MILLISECONDS = 150;
/** Slices that the machine may have: it needs one. */
const SLICES_MOST = 10;
const ORIGIN = 0x7c00;
/** Assembled by hand: STI; MOV CX, 1000; LOOP $; OUT 80h, AL; INC AX; JMP to itself. */
const PROGRAM = [0xfb, 0xb9, 0xe8, 0x03, 0xe2, 0xfe, 0xe6, 0x80, 0x40, 0xeb, 0xfe];
const STOP = ORIGIN + 8;

/** Throws what the machine throws. */
export function rehearse(createMachine: MachineFactory, now: () => number): readonly HostMessage[] {
  const answers: HostMessage[] = [];
  const turns: (() => void)[] = [];
  let receive: (message: ClientMessage) => void = () => undefined;
  const host = new MachineHost({
    post: (message) => { answers.push(message); },
    onMessage: (listener) => { receive = listener; },
    onClose: () => undefined,
    close: () => undefined,
  }, createMachine, { now, soon: (callback) => { turns.push(callback); }, later: () => ({ cancel: () => undefined }) });
  let id = 0;
  const ask = <N extends RequestName>(request: N, args: Requests[N][0]): void => {
    receive({ id: ++id, request, arguments: args } as ClientMessage);
    for (let slice = 0; slice < SLICES_MOST; slice++) turns.shift()?.();
  };
  const image = new Uint8Array(512);
  image.set(PROGRAM);
  image.set([0x55, 0xaa], 510);
  ask('create', { name: 'rehearsal', image, boot: 'auto', memoryMiB: 1, mmu: 'shadow', pace: 'max', stopOnEntry: true });
  ask('setBreakpoints', { breakpoints: [{ id: 1, linear: STOP }] });
  ask('setExceptionStops', { vectors: [] });
  ask('subscribe', { countersHz: 0, screenHz: 0 });
  ask('continue', {});
  for (let n = 0; n < 2; n++) {
    ask('processors', {});
    ask('registers', {});
    ask('disassemble', { linear: STOP, instructionOffset: -8, count: 24 });
    ask('readMemory', { space: 'linear', address: ORIGIN, count: 64 });
    ask('counters', {});
    ask('screen', {});
    ask('devices', {});
    ask('step', { count: 1 });
  }
  ask('terminate', {});
  host.dispose();
  return answers;
}
