/** Entry point of the Node worker thread: a machine host on the parent's port. */
import { parentPort } from 'node:worker_threads';
import type { HostChannel } from '../protocol/channel';
import { createMachine } from '../vmm/machine/machine';
import { prepareEngines } from '../vmm/translate/engine';
import { MachineHost } from './host';
import { nodeRegionCompiler } from './node-compiler';
import { nodeNetwork } from './node-network';
import { Rehearsal } from './rehearsal';

const port = parentPort;
if (!port) throw new Error('This file is the entry of a worker thread; start it with launchNodeWorker');

const channel: HostChannel = {
  post: (message) => port.postMessage(message),
  onMessage: (listener) => void port.on('message', listener),
  onClose: (listener) => void port.on('close', () => listener()),
  close: () => port.close(),
};

const turns = { now: () => performance.now(), soon: (callback: () => void) => void setImmediate(callback) };
const rehearsal = new Rehearsal(createMachine, turns);
port.once('message', () => rehearsal.abandon());

new MachineHost(channel, createMachine, {
  ...turns,
  network: nodeNetwork,
  regionCompiler: () => nodeRegionCompiler(),
  later: (callback, milliseconds) => {
    const timer = setTimeout(callback, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
});

// The worker may have been started ahead of its machine. When it was not, the machine needs this first in any case.
prepareEngines();
