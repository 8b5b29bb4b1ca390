import assert from 'node:assert/strict';
import { channelPair } from '../protocol/channel';
import { MachineClient, MachineRequestError } from '../protocol/client';
import type { EventName, MachineConfiguration } from '../protocol/messages';
import { MachineError } from '../vmm/machine/api';
import type { ConnectionEvents, NetworkHost } from '../vmm/network/host';
import { endOf, FakeMachine } from './fake-machine';
import type { FakeInstruction } from './fake-machine';
import { MachineHost } from './host';

/** A clock that only moves when somebody sleeps, or by what the guest's instructions are said to cost. */
class Bench {
  time = 0;
  machine!: FakeMachine;
  readonly client: MachineClient;
  readonly events: string[] = [];
  private readonly timers = new Set<{ at: number; callback: () => void }>();
  private readonly turns: (() => void)[] = [];

  constructor(program: Record<number, FakeInstruction>, private readonly configuration: Partial<MachineConfiguration> = {}, network?: NetworkHost) {
    const { client, host } = channelPair();
    this.client = new MachineClient(client);
    new MachineHost(host, (made, outputs) => {
      if (made.memoryMiB === 0) throw new MachineError('memory', 'memory: 0 MiB is too little', 'Give at least 1.');
      return (this.machine = new FakeMachine(made, outputs, program));
    }, {
      now: () => this.time,
      ...(network && { network }),
      soon: (callback) => void this.turns.push(callback),
      later: (callback, milliseconds) => {
        const timer = { at: this.time + milliseconds, callback };
        this.timers.add(timer);
        return { cancel: () => void this.timers.delete(timer) };
      },
    });
    this.client.on('running', () => this.events.push('running'));
    this.client.on('stopped', ({ reason, registers }) => this.events.push(`${reason.kind}${reason.kind === 'breakpoint' ? ` ${reason.ids.join()}` : ''} @${registers.eip.toString(16)}`));
    this.client.on('ended', ({ reason, exitStatus }) => this.events.push(`ended ${reason.kind} ${exitStatus}`));
    this.client.on('log', ({ text }) => this.events.push(`log ${text}`));
  }

  async create(): Promise<void> {
    await this.client.request('create', {
      name: 'test', image: new Uint8Array(), boot: 'flat', memoryMiB: 1, mmu: 'shadow', pace: 'max', ...this.configuration,
    });
  }

  /** Lets messages, turns and then timers happen, at most `most` of the latter two. */
  async settle(most = 50): Promise<void> {
    for (let n = 0; n < most; n++) {
      for (let hop = 0; hop < 8; hop++) await Promise.resolve();
      const turn = this.turns.shift();
      if (turn) {
        turn();
        continue;
      }
      const timer = [...this.timers].sort((a, b) => a.at - b.at)[0];
      if (!timer) return;
      this.timers.delete(timer);
      this.time = Math.max(this.time, timer.at);
      timer.callback();
    }
  }
}

const loop: FakeInstruction = () => 0x7c00;
/** Each round of the loop takes a millisecond of host time for every 100 instructions. */
const slowLoop = (bench: () => Bench): FakeInstruction => (machine) => {
  if (machine.instructions % 100 === 0) bench().time += 1;
  return 0x7c00;
};

describe('machine host', () => {
  it('refuses bad configurations with code, message and advice', async () => {
    const bench = new Bench({}, { memoryMiB: 0 });
    await assert.rejects(bench.create(), (error) => error instanceof MachineRequestError && error.code === 'memory' && error.advice === 'Give at least 1.');
    await assert.rejects(bench.client.request('registers'), /No machine has been created/);
  });

  it('stops at a breakpoint, passes it on continue, and stops at it again', async () => {
    const bench = new Bench({ 0x7c03: loop });
    await bench.create();
    await bench.client.request('setBreakpoints', { breakpoints: [{ id: 7, linear: 0x7c02 }] });
    for (let n = 0; n < 2; n++) {
      await bench.client.request('continue');
      await bench.settle();
    }
    assert.deepEqual(bench.events, ['running', 'breakpoint 7 @7c02', 'running', 'breakpoint 7 @7c02']);
    assert.equal(bench.machine.instructions, 6);
  });

  it('stops at a breakpoint on the first instruction, unless the entry has been shown', async () => {
    for (const [stopOnEntry, instructions] of [[false, 0], [true, 4]] as const) {
      const bench = new Bench({ 0x7c03: loop }, { stopOnEntry });
      await bench.create();
      await bench.client.request('setBreakpoints', { breakpoints: [{ id: 1, linear: 0x7c00 }] });
      await bench.client.request('continue');
      await bench.settle();
      assert.equal(bench.machine.instructions, instructions);
    }
  });

  it('judges conditions and hit counts, and prints log points', async () => {
    const bench = new Bench({ 0x7c01: (machine) => { machine.general[0] = (machine.general[0] ?? 0n) + 1n; }, 0x7c03: loop });
    await bench.create();
    await bench.client.request('setBreakpoints', { breakpoints: [
      { id: 1, linear: 0x7c02, condition: 'eax == 3' }, { id: 2, linear: 0x7c03, hitCondition: '>=5' }, { id: 3, linear: 0x7c02, log: 'eax is {eax}, {byte [0xfffff]}' },
    ] });
    await bench.client.request('continue');
    await bench.settle();
    await bench.client.request('continue');
    await bench.settle();
    const logs = [1, 2, 3, 4, 5].map((n) => `log eax is 0x0000000${n}, <Memory at lin:0xfffff cannot be read (column 1)>`);
    assert.deepEqual(bench.events, ['running', ...logs.slice(0, 3), 'breakpoint 1 @7c02', 'running', ...logs.slice(3), 'breakpoint 2 @7c03']);
  });

  it('refuses a condition that is no expression', async () => {
    const bench = new Bench({});
    await bench.create();
    await assert.rejects(bench.client.request('setBreakpoints', { breakpoints: [{ id: 1, linear: 0x7c02, condition: 'eax ==' }] }), /0x7c02.*instead of the end/);
  });

  it('stops where a condition cannot be evaluated', async () => {
    const bench = new Bench({ 0x7c03: loop });
    await bench.create();
    await bench.client.request('setBreakpoints', { breakpoints: [{ id: 1, linear: 0x7c02, condition: '[0xfffff] == 1' }] });
    await bench.client.request('continue');
    await bench.settle();
    assert.match(bench.events[1] ?? '', /log The condition of the breakpoint at 0x7c02 failed/);
    assert.equal(bench.events[2], 'breakpoint 1 @7c02');
  });

  it('steps exactly, without telling that it ran', async () => {
    const bench = new Bench({});
    await bench.create();
    await bench.client.request('step', { count: 3 });
    await bench.settle();
    assert.deepEqual(bench.events, ['step @7c03']);
  });

  it('steps long distances in slices that a pause can interrupt', async () => {
    const bench = new Bench({ 0x7c03: loop });
    await bench.create();
    await bench.client.request('step', { count: 25_000 });
    await bench.settle();
    assert.deepEqual(bench.events, ['running', 'step @7c00']);
    assert.equal(bench.machine.instructions, 25_000);
    await assert.rejects(bench.client.request('step', { count: 0 }), /count is 0/);
    for (const linear of [-1, 0.5, NaN, 2 ** 60]) await assert.rejects(bench.client.request('translatedCode', { linear }), /linear is/);
    await assert.rejects(bench.client.request('hotCode', { most: 1e9 }), /most is 1000000000/);
  });

  it('runs to an address when the stack is back', async () => {
    let calls = 0;
    const bench: Bench = new Bench({ 0x7c02: (machine) => { machine.general[4] = calls++ < 3 ? 0x10n : 0x20n; }, 0x7c04: loop });
    await bench.create();
    await bench.client.request('runTo', { linear: 0x7c03, minimumStack: 0x20 });
    await bench.settle();
    assert.deepEqual(bench.events, ['running', 'step @7c03']);
    assert.equal(calls, 4);
    assert.deepEqual(bench.machine.breakpoints, []);
  });

  it('pauses an endless loop', async () => {
    const bench: Bench = new Bench({ 0x7c00: slowLoop(() => bench) });
    await bench.create();
    await bench.client.request('continue');
    await bench.settle(20);
    const before = bench.time;
    const pausing = bench.client.request('pause');
    await bench.settle(3);
    await pausing;
    assert.deepEqual(bench.events, ['running', 'pause @7c00']);
    assert.ok(bench.time - before <= 100, `a pause took ${bench.time - before} ms of virtual host time`);
  });

  it('lets the guest have an exception after it was shown', async () => {
    let delivered = 0;
    const bench = new Bench({
      0x7c01: (machine) => (machine.exceptionStops.includes(13) ? { kind: 'exception', vector: 13, name: '#GP', errorCode: 8 } : (delivered++, 0x7c05)),
      0x7c06: () => endOf({ kind: 'debugExit', status: 3 }),
    });
    await bench.create();
    await bench.client.request('setExceptionStops', { vectors: [13] });
    await bench.client.request('continue');
    await bench.settle();
    await bench.client.request('continue');
    await bench.settle();
    assert.deepEqual(bench.events, ['running', 'exception @7c01', 'running', 'ended debugExit 3']);
    assert.equal(delivered, 1);
    assert.deepEqual(bench.machine.exceptionStops, [13]);
  });

  it('sleeps in real time until the next event of a halted guest', async () => {
    const bench: Bench = new Bench({
      0x7c00: (machine) => (machine.instructions < 500_000 ? { kind: 'idle', wakeAt: 500_000 } : undefined),
      0x7c01: () => endOf({ kind: 'powerOff' }),
    }, { pace: 'realtime' });
    await bench.create();
    await bench.client.request('continue');
    await bench.settle();
    assert.equal(bench.events.at(-1), 'ended powerOff 0');
    assert.ok(bench.time >= 500 && bench.time < 520, `woke after ${bench.time} ms`);
  });

  it('never runs ahead of the wall clock in real time', async () => {
    const bench: Bench = new Bench({ 0x7c00: loop }, { pace: 'realtime' });
    await bench.create();
    await bench.client.request('continue');
    for (let n = 0; n < 40; n++) {
      await bench.settle(1);
      assert.ok(bench.machine.instructions <= bench.time * 1000, `${bench.machine.instructions} instructions after ${bench.time} ms`);
    }
    assert.ok(bench.machine.instructions > 10_000);
  });

  it('lets a guest at full speed sleep as long as it says while the network is to answer, and wakes it with the answer', async () => {
    let events: ConnectionEvents | undefined;
    const network: NetworkHost = {
      connect: (_address, _port, told) => {
        events = told;
        return { send: () => undefined, end: () => undefined, abort: () => undefined, flow: () => undefined };
      },
      resolve: () => undefined,
    };
    let heard = false, naps = 0;
    const bench: Bench = new Bench({
      0x7c00: (machine) => {
        if (heard) return endOf({ kind: 'halted' });
        if (!events) machine.outputs.network!.connect('127.0.0.1', 80, { connected: () => { heard = true; }, received: () => undefined, sent: () => undefined, ended: () => undefined, failed: () => undefined });
        // Between two slices, while the machine sleeps for the second time.
        if (++naps === 2) queueMicrotask(() => events!.connected());
        return { kind: 'idle', wakeAt: machine.instructions + 5000 };
      },
    }, { pace: 'max' }, network);
    await bench.create();
    bench.machine.awaitsHost = true;
    await bench.client.request('continue');
    await bench.settle();
    assert.equal(bench.events.at(-1), 'ended halted 0');
    assert.equal(bench.machine.instructions, 5000, 'one nap; the answer ends the second one');
    assert.equal(bench.time, 5);
  });

  it('wakes a halted guest by input, at the time of the input', async () => {
    const bench: Bench = new Bench({ 0x7c00: (machine) => (machine.received.length === 0 ? { kind: 'idle', wakeAt: undefined } : endOf({ kind: 'halted' })) }, { pace: 'realtime' });
    await bench.create();
    await bench.client.request('continue');
    await bench.settle();
    assert.deepEqual(bench.events, ['running']);
    bench.time = 30;
    await bench.client.request('serialInput', { port: 0, bytes: Uint8Array.of(65) });
    await bench.settle();
    assert.deepEqual(bench.machine.received, ['idle until 30000', 'serial 0: A']);
    assert.equal(bench.events.at(-1), 'ended halted 0');
  });

  it('offers the rest of a paste again and again, but not without bound', async () => {
    const bench: Bench = new Bench({ 0x7c00: slowLoop(() => bench) });
    await bench.create();
    let room = 3;
    let taken = '';
    bench.machine.serialInput = (_port, bytes) => {
      const now = bytes.slice(0, room);
      room -= now.length;
      taken += String.fromCharCode(...now);
      return now.length;
    };
    await bench.client.request('serialInput', { port: 0, bytes: new TextEncoder().encode('hello') });
    assert.equal(taken, 'hel');
    room = 100;
    await bench.client.request('continue');
    await bench.settle(2);
    assert.equal(taken, 'hello');
    await assert.rejects(bench.client.request('serialInput', { port: 0, bytes: new Uint8Array(0x20_0000) }), /too many/);
    await assert.rejects(bench.client.request('serialInput', { port: 9, bytes: new Uint8Array(1) }), /port is 9/);
  });

  it('ends at the instruction limit exactly', async () => {
    const bench = new Bench({ 0x7c00: loop }, { maxInstructions: 12_345 });
    await bench.create();
    await bench.client.request('continue');
    await bench.settle();
    assert.deepEqual(bench.events, ['running', 'ended instructionLimit 4']);
    assert.equal(bench.machine.instructions, 12_345);
    await assert.rejects(bench.client.request('continue'), (error) => error instanceof MachineRequestError && error.code === 'ended');
  });

  it('reports a defect of the monitor as the end of the machine', async () => {
    const bench = new Bench({ 0x7c01: () => { throw new Error('translator lost its way'); } });
    let message = '';
    bench.client.on('ended', ({ reason }) => { if (reason.kind === 'internalError') message = reason.message; });
    await bench.create();
    await bench.client.request('continue');
    await bench.settle();
    assert.equal(bench.events.at(-1), 'ended internalError 1');
    assert.match(message, /translator lost its way[\s\S]*at /);
  });

  it('restarts with breakpoints kept and hit counts at zero', async () => {
    const bench = new Bench({ 0x7c02: loop });
    await bench.create();
    await bench.client.request('setBreakpoints', { breakpoints: [{ id: 1, linear: 0x7c01, hitCondition: '2' }] });
    await bench.client.request('continue');
    await bench.settle();
    await bench.client.request('restart');
    assert.equal(bench.machine.instructions, 0);
    await bench.client.request('continue');
    await bench.settle();
    assert.deepEqual(bench.events, ['running', 'breakpoint 1 @7c01', 'entry @7c00', 'running', 'breakpoint 1 @7c01']);
    assert.equal(bench.machine.instructions, 4);
  });

  it('lets the guest wait while its output is not consumed', async () => {
    const { client, host } = channelPair();
    let machine!: FakeMachine;
    const turns: (() => void)[] = [];
    let time = 0;
    new MachineHost(host, (configuration, outputs) => (machine = new FakeMachine(configuration, outputs, {
      0x7c00: (it) => {
        time += 1;
        it.outputs.serial(0, new Uint8Array(0x100));
        return 0x7c00;
      },
    })), { now: () => time, soon: (callback) => void turns.push(callback), later: () => ({ cancel: () => undefined }) });
    let bytes = 0;
    client.onMessage((message) => { if ('event' in message && message.event === 'serial') bytes += message.payload.bytes.length; });
    client.post({ id: 1, request: 'create', arguments: { name: 't', image: new Uint8Array(), boot: 'flat', memoryMiB: 1, mmu: 'shadow', pace: 'max' } });
    client.post({ id: 2, request: 'continue', arguments: {} });
    const settle = async (): Promise<void> => {
      for (let n = 0; n < 100; n++) {
        for (let hop = 0; hop < 8; hop++) await Promise.resolve();
        const turn = turns.shift();
        if (!turn) return;
        turn();
      }
    };
    await settle();
    const stalledAt = machine.instructions;
    assert.ok(bytes > 0x10_0000);
    await settle();
    assert.equal(machine.instructions, stalledAt);
    client.post({ acknowledge: 'output', count: bytes });
    await settle();
    assert.ok(machine.instructions > stalledAt);
    // The pause is heard while the guest waits.
    client.post({ id: 3, request: 'pause', arguments: {} });
    await settle();
  });

  it('sends the screen only when it changed, and the counters at their rate', async () => {
    const bench: Bench = new Bench({ 0x7c00: (machine) => {
      bench.time += 0.1;
      if (machine.instructions === 5000) machine.cells[0] = 65;
      return machine.instructions >= 20_000 ? endOf({ kind: 'halted' }) : 0x7c00;
    } });
    const seen: Record<string, number> = { screen: 0, counters: 0 };
    for (const name of ['screen', 'counters'] as EventName[]) bench.client.on(name, () => { seen[name] = (seen[name] ?? 0) + 1; });
    await bench.create();
    await bench.client.request('subscribe', { countersHz: 10, screenHz: 30 });
    await bench.client.request('continue');
    await bench.settle(1000);
    assert.equal(bench.events.at(-1), 'ended halted 0');
    assert.equal(seen['screen'], 2);
    // Two seconds of host time at 10 Hz, the first at once and the last at the end.
    assert.ok(seen['counters'] !== undefined && seen['counters'] >= 2 && seen['counters'] <= 23, `${seen['counters']} counter events`);
  });

  it('evaluates expressions next to the machine', async () => {
    const bench = new Bench({});
    await bench.create();
    bench.machine.memory[0x7c05] = 0x5a;
    assert.deepEqual(await bench.client.request('evaluate', { expression: 'byte [eip + 5]' }), { value: 0x5an, bits: 8, memory: { space: 'linear', address: 0x7c05 } });
    await assert.rejects(bench.client.request('evaluate', { expression: 'nothing' }), (error) => error instanceof MachineRequestError && error.code === 'expression');
  });

  it('terminates, and rejects what is pending when the client goes', async () => {
    const bench = new Bench({ 0x7c00: loop });
    await bench.create();
    await bench.client.request('continue');
    await bench.client.request('terminate');
    await bench.settle();
    assert.equal(bench.events.at(-1), 'ended terminated 0');
    const pending = assert.rejects(bench.client.request('registers'), (error) => error instanceof MachineRequestError && error.code === 'closed');
    bench.client.dispose();
    await pending;
    assert.ok(bench.machine.disposed);
  });
});
