/** Entry point of the browser's web worker: a machine host on the worker's own scope. */
import type { HostChannel } from '../protocol/channel';
import type { ClientMessage, HostMessage } from '../protocol/messages';
import { createMachine } from '../vmm/machine/machine';
import { prepareEngines } from '../vmm/translate/engine';
import { MachineHost } from './host';
import { Rehearsal } from './rehearsal';

/** The part of DedicatedWorkerGlobalScope that is used; the project compiles against the window's library. */
interface WorkerScope {
  postMessage(message: HostMessage): void;
  addEventListener(type: 'message', listener: (event: { readonly data: ClientMessage }) => void, options?: { readonly once: boolean }): void;
  close(): void;
}
const scope = globalThis as unknown as WorkerScope;

const channel: HostChannel = {
  post: (message) => scope.postMessage(message),
  onMessage: (listener) => scope.addEventListener('message', (event) => listener(event.data)),
  // Nobody tells a web worker that its owner has gone; it is terminated with it.
  onClose: () => undefined,
  close: () => scope.close(),
};

/** A message to oneself comes after the messages that wait already, and unlike a timer is not delayed by four milliseconds. */
const turn = new MessageChannel();
const waiting: (() => void)[] = [];
turn.port1.onmessage = () => waiting.shift()?.();
const turns = {
  now: () => performance.now(),
  soon: (callback: () => void) => {
    waiting.push(callback);
    turn.port2.postMessage(undefined);
  },
};
const rehearsal = new Rehearsal(createMachine, turns);
scope.addEventListener('message', () => rehearsal.abandon(), { once: true });

new MachineHost(channel, createMachine, {
  ...turns,
  later: (callback, milliseconds) => {
    const timer = setTimeout(callback, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
});

// The worker may have been started ahead of its machine. When it was not, the machine needs this first in any case.
prepareEngines();
