import { strict as assert } from 'node:assert';
import { KeyboardController } from './keyboard';
import { Ps2Mouse } from './ps2-mouse';
import { TestClock } from './test-clock';

const still = { x: 0, y: 0, wheel: 0, buttons: 0 };

describe('PS/2 mouse', () => {
  it('reports movement, signs and buttons, in as many packets as it takes', () => {
    const mouse = new Ps2Mouse();
    mouse.command(0xf4);
    assert.equal(mouse.hasNews, false);
    mouse.move({ ...still, x: 3, y: -2, buttons: 5 });
    assert.deepEqual(mouse.report(), [0x2d, 3, 0xfe]);
    assert.equal(mouse.hasNews, false);
    mouse.move({ ...still, x: 300, buttons: 5 });
    assert.deepEqual([mouse.report(), mouse.report(), mouse.hasNews], [[0x0d, 255, 0], [0x0d, 45, 0], false]);
    mouse.move(still);
    assert.ok(mouse.hasNews, 'a button was released');
  });

  it('has a wheel after the sample rates 200, 100, 80', () => {
    const mouse = new Ps2Mouse();
    const identity = () => mouse.command(0xf2)[1];
    assert.equal(identity(), 0);
    for (const rate of [200, 100, 80]) for (const byte of [0xf3, rate]) assert.deepEqual(mouse.command(byte), [0xfa]);
    assert.equal(identity(), 3);
    mouse.command(0xf4);
    mouse.move({ ...still, wheel: -1 });
    assert.deepEqual(mouse.report(), [8, 0, 0, 0xff]);
    for (const rate of [200, 200, 80]) for (const byte of [0xf3, rate]) mouse.command(byte);
    assert.equal(identity(), 4);
    mouse.command(0xff);
    assert.equal(identity(), 0);
  });

  it('scales, and sends data when asked in remote mode', () => {
    const mouse = new Ps2Mouse();
    mouse.command(0xf4);
    mouse.command(0xe7);
    mouse.move({ ...still, x: 3, y: -7 });
    assert.deepEqual(mouse.report(), [0x28, 3, 0xf2]);
    mouse.command(0xf0);
    mouse.move({ ...still, x: 4, buttons: 2 });
    assert.equal(mouse.hasNews, false);
    assert.deepEqual(mouse.command(0xeb), [0xfa, 0x0a, 4, 0]);
    assert.deepEqual(mouse.command(0xe9), [0xfa, 0x71, 2, 100]);
    mouse.command(0xe8);
    mouse.command(3);
    mouse.move({ ...still, x: 5, buttons: 2 });
    assert.deepEqual(mouse.command(0xeb), [0xfa, 0x0a, 10, 0]);
    mouse.command(0xee);
    assert.deepEqual(mouse.command(0xf2), [0xf2], 'wrap mode echoes');
    mouse.command(0xec);
    assert.deepEqual(mouse.command(0xf2), [0xfa, 0]);
  });

  it('reaches the guest through the controller with IRQ 12, byte by byte', () => {
    const clock = new TestClock();
    let edges = 0;
    const controller = new KeyboardController({ clock, keyboardIrq: () => undefined, mouseIrq: (level) => { if (level) edges++; }, a20: () => undefined, resetRequested: () => undefined });
    const range = (port: number) => controller.ports.find(({ first }) => first === port)!;
    const out = (port: number, value: number): void => range(port).write(port, value, 1);
    const inp = (port: number): number => range(port).read(port, 1);
    out(0x64, 0x60);
    out(0x60, 0x47);
    out(0x64, 0xd4);
    out(0x60, 0xf4);
    assert.deepEqual([inp(0x64) & 0x21, inp(0x60)], [0x21, 0xfa]);
    controller.move({ x: 1, y: 2, wheel: 0, buttons: 1 });
    clock.advanceSeconds(0.01);
    const bytes: number[] = [];
    for (let n = 0; n < 10; n++) {
      if (inp(0x64) & 1) bytes.push(inp(0x60));
      clock.advanceSeconds(0.01);
    }
    assert.deepEqual(bytes, [9, 1, 2]);
    assert.equal(edges, 4);
    for (let n = 0; n < 5000; n++) controller.move({ x: 100, y: 100, wheel: 1, buttons: n & 7 });
    assert.ok(JSON.stringify(controller.save()).length < 2000, 'nothing grows');
  });
});
