import assert from 'node:assert/strict';
import type { ClientChannel } from '../protocol/channel';
import { SpareWorker } from './spare-worker';

/** Channels of workers that do nothing, and what became of them. */
function workers() {
  const started: { closed: boolean; end(): void }[] = [];
  const spare = new SpareWorker((): ClientChannel => {
    const listeners: ((reason?: string) => void)[] = [];
    const worker = { closed: false, end: () => listeners.forEach((listener) => listener('it crashed')) };
    started.push(worker);
    return {
      post: () => undefined, onMessage: () => undefined, onClose: (listener) => { listeners.push(listener); },
      close: () => {
        worker.closed = true;
        listeners.forEach((listener) => listener());
      },
    };
  });
  return { spare, started };
}

describe('spare worker', () => {
  it('is handed out once, and made again when the machine has ended', () => {
    const { spare, started } = workers();
    spare.prepare();
    spare.prepare();
    assert.equal(started.length, 1);
    const reasons: (string | undefined)[] = [];
    const first = spare.launch();
    first.onClose((reason) => reasons.push(reason));
    assert.equal(started.length, 1, 'none beside a machine that runs');
    spare.launch();
    assert.equal(started.length, 2, 'a second machine gets its own');
    first.close();
    assert.deepEqual(reasons, [undefined]);
    assert.equal(started.length, 3);
  });

  it('is not handed out when it has ended by itself', () => {
    const { spare, started } = workers();
    spare.prepare();
    started[0].end();
    const reasons: (string | undefined)[] = [];
    spare.launch().onClose((reason) => reasons.push(reason));
    assert.equal(started.length, 2);
    started[1].end();
    assert.deepEqual(reasons, ['it crashed']);
  });

  it('goes with its owner, and none comes after it', () => {
    const { spare, started } = workers();
    const machine = spare.launch();
    machine.onClose(() => undefined);
    spare.prepare();
    spare.dispose();
    assert.equal(started[1].closed, true);
    machine.close();
    spare.prepare();
    assert.equal(started.length, 2);
  });
});
