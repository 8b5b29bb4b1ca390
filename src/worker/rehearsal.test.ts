import assert from 'node:assert/strict';
import { createMachine } from '../vmm/machine/machine';
import { rehearse } from './rehearsal';

describe('a rehearsal of a start', () => {
  it('comes to the stop and the step that a person would see, and leaves nothing running', () => {
    const heard = rehearse(createMachine, () => performance.now());
    assert.deepEqual(heard.filter((message) => 'error' in message), []);
    const stops = heard.flatMap((message) => ('event' in message && message.event === 'stopped' ? [message.payload.reason.kind] : []));
    assert.deepEqual(stops, ['breakpoint', 'step', 'step']);
    assert.ok(heard.some((message) => 'event' in message && message.event === 'ended'));
  });
});
