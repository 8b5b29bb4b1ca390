import assert from 'node:assert/strict';
import { SerialText, typedText } from './serial-text';

function terminal() {
  const written: string[] = [];
  let flush = (): void => undefined;
  const serial = new SerialText({ write: (text) => written.push(text), schedule: (callback) => { flush = callback; } });
  return { serial, written, flush: () => flush() };
}
const bytes = (text: string) => new TextEncoder().encode(text);

describe('serial text', () => {
  it('writes what came since the last flush, with carriage returns where the guest left them out', () => {
    const { serial, written, flush } = terminal();
    serial.receive(bytes('a\nb\r'));
    serial.receive(bytes('\nc'));
    assert.deepEqual(written, []);
    flush();
    assert.deepEqual(written, ['a\r\nb\r\nc']);
  });

  it('joins characters whose bytes come apart, across flushes', () => {
    const { serial, written, flush } = terminal();
    const euro = bytes('€');
    serial.receive(euro.subarray(0, 1));
    flush();
    serial.receive(euro.subarray(1));
    flush();
    assert.equal(written.join(''), '€');
  });

  it('keeps a bounded amount of a flood, the newest, and says so', () => {
    const { serial, written, flush } = terminal();
    for (let i = 0; i < 100; i++) serial.receive(bytes(String(i % 10).repeat(10_000)));
    serial.receive(bytes('end'));
    flush();
    assert.match(written[0], /^\r\n\[9\d{5} bytes left out/);
    assert.ok(written[0].endsWith('end'));
    assert.ok(written[0].length < 70_000);
    serial.receive(bytes('z'.repeat(200_000)));
    flush();
    assert.match(written[1], /134464 bytes left out/);
  });

  it('sends backspace for the Backspace key', () => assert.equal(typedText('a\x7f\r'), 'a\b\r'));
});
