import { strict as assert } from 'node:assert';
import { KeyboardController } from './keyboard';
import { SET1_TO_SET2, translateToSet1 } from './scancodes';
import { TestClock } from './test-clock';

function build() {
  const clock = new TestClock(1_000_000);
  const log: string[] = [];
  const device = new KeyboardController({
    clock, keyboardIrq: (level) => log.push(`irq1 ${level}`), mouseIrq: (level) => log.push(`irq12 ${level}`), a20: (level) => log.push(`a20 ${level}`),
    resetRequested: () => log.push('reset'),
  });
  const range = (port: number) => device.ports.find((r) => port >= r.first && port <= r.last)!;
  const out = (port: number, value: number): void => range(port).write(port, value, 1);
  const inp = (port: number): number => range(port).read(port, 1);
  /** Everything that comes out, with the pauses of the wire. */
  const drain = (): number[] => {
    const bytes: number[] = [];
    for (let i = 0; i < 100; i++) {
      if (inp(0x64) & 1) bytes.push(inp(0x60));
      clock.advance(1000);
    }
    return bytes;
  };
  return { clock, device, log, out, inp, drain };
}

describe('8042 and keyboard', () => {
  it('delivers a key with IRQ 1, the next one only after the first is read', () => {
    const { clock, device, log, inp } = build();
    device.input([0x1e, 0x9e]);
    assert.deepEqual(log, ['irq1 true']);
    assert.equal(inp(0x64) & 0x21, 1);
    assert.equal(inp(0x60), 0x1e);
    assert.equal(inp(0x60), 0x1e, 'a second read shows the same byte');
    assert.equal(inp(0x64) & 1, 0);
    clock.advance(1000);
    assert.deepEqual(log, ['irq1 true', 'irq1 false', 'irq1 true']);
    assert.equal(inp(0x60), 0x9e);
  });

  it('translates: set 1 comes out as it went in, for every key, with prefixes', () => {
    for (let code = 1; code < 0x59; code++) assert.equal(translateToSet1(SET1_TO_SET2[code]), code);
    const { device, drain } = build();
    const keys = [0x41, 0xc1, 0xe0, 0x48, 0xe0, 0xc8, 0x54, 0xd4, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
    device.input(keys);
    assert.deepEqual(drain(), keys);
  });

  it('without translation gives set 2, or set 1 when the keyboard is told so', () => {
    const { device, out, drain } = build();
    out(0x64, 0x60);
    out(0x60, 0x05);
    device.input([0x1e, 0x9e, 0xe0, 0x48]);
    assert.deepEqual(drain(), [0x1c, 0xf0, 0x1c, 0xe0, 0x75]);
    out(0x60, 0xf0);
    out(0x60, 0x01);
    assert.deepEqual(drain(), [0xfa, 0xfa]);
    device.input([0x1e, 0x9e]);
    assert.deepEqual(drain(), [0x1e, 0x9e]);
    out(0x60, 0xf0);
    out(0x60, 0x00);
    assert.deepEqual(drain(), [0xfa, 0xfa, 1]);
  });

  it('answers the keyboard commands', () => {
    const { device, out, drain } = build();
    for (const [bytes, answer] of [
      [[0xff], [0xfa, 0xaa]], [[0xee], [0xee]], [[0xf2], [0xfa, 0xab, 0x41]], [[0xed, 0x07], [0xfa, 0xfa]], [[0xf3, 0x20], [0xfa, 0xfa]], [[0xf4], [0xfa]], [[0x01], [0xfe]],
    ]) {
      for (const byte of bytes) out(0x60, byte);
      assert.deepEqual(drain(), answer, bytes.map((b) => b.toString(16)).join());
    }
    assert.equal(device.leds, 7);
    out(0x60, 0xf5);
    drain();
    device.input([0x1e]);
    assert.deepEqual(drain(), [], 'scanning is off');
  });

  it('answers the controller commands', () => {
    const { out, inp, device, drain } = build();
    const ask = (command: number): number => { out(0x64, command); assert.equal(inp(0x64) & 1, 1); return inp(0x60); };
    assert.equal(ask(0xaa), 0x55);
    assert.equal(ask(0xab), 0);
    assert.equal(ask(0xa9), 0);
    assert.equal(ask(0x20), 0x65);
    out(0x64, 0xad);
    device.input([0x10]);
    assert.equal(inp(0x64) & 1, 0, 'the keyboard is disabled');
    out(0x64, 0xae);
    assert.deepEqual(drain(), [0x10]);
    out(0x64, 0xd2);
    out(0x60, 0x77);
    assert.equal(inp(0x60), 0x77);
  });

  it('gates A20 through the output port and port 92h', () => {
    const { device, log, out, inp } = build();
    device.reset();
    assert.deepEqual(log, ['a20 true']);
    out(0x64, 0xd1);
    out(0x60, 0xdd);
    assert.equal(device.a20, false);
    assert.equal(inp(0x92) & 2, 0);
    out(0x92, 2);
    assert.equal(device.a20, true);
    out(0x64, 0xd0);
    assert.equal(inp(0x60) & 2, 2);
    assert.deepEqual(log.filter((l) => l.startsWith('a20')), ['a20 true', 'a20 false', 'a20 true']);
  });

  it('resets the processor by pulse, output port and port 92h', () => {
    const { log, out } = build();
    out(0x64, 0xfe);
    out(0x64, 0xd1);
    out(0x60, 0xfe);
    out(0x92, 3);
    assert.equal(log.filter((l) => l === 'reset').length, 3);
  });

  it('has a mouse that answers on the auxiliary port with IRQ 12', () => {
    const { log, out, inp, drain } = build();
    out(0x64, 0x60);
    out(0x60, 0x47);
    log.length = 0;
    out(0x64, 0xd4);
    out(0x60, 0xff);
    assert.deepEqual(log, ['irq12 true']);
    assert.equal(inp(0x64) & 0x21, 0x21);
    assert.deepEqual(drain(), [0xfa, 0xaa, 0]);
    out(0x64, 0xd4);
    out(0x60, 0xeb);
    assert.deepEqual(drain(), [0xfa, 8, 0, 0]);
  });

  it('bounds what is typed ahead and survives a flood', () => {
    const { clock, device, out, inp } = build();
    assert.equal(device.input(new Array<number>(10_000).fill(0x1e)), 4096);
    let seed = 7;
    for (let i = 0; i < 50_000; i++) {
      seed = (seed * 48271) % 2147483647;
      out([0x60, 0x64, 0x92][seed % 3], (seed >> 8) & 0xff);
      inp([0x60, 0x64, 0x92][(seed >> 4) % 3]);
    }
    assert.ok(clock.pending <= 1);
  });

  it('takes up a saved state', () => {
    const { device, clock } = build();
    device.input([1, 2, 3]);
    const copy = build();
    copy.device.restore(JSON.parse(JSON.stringify(device.save())));
    assert.deepEqual(copy.drain(), [1, 2, 3]);
    assert.equal(clock.pending, 0);
  });
});
