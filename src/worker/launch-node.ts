/** Starts the bundled Node worker. */
import { Worker } from 'node:worker_threads';
import type { ClientChannel } from '../protocol/channel';
import type { HostMessage } from '../protocol/messages';

/** @param file path of the bundle of node-worker.ts. Closing the channel ends the thread. */
export function launchNodeWorker(file: string): ClientChannel {
  const worker = new Worker(file, { name: 'ringside-machine' });
  let failure: string | undefined;
  let ended = false;
  worker.on('error', (error) => { failure = error instanceof Error ? error.message : String(error); });
  return {
    post: (message) => {
      if (!ended) worker.postMessage(message);
    },
    onMessage: (listener) => void worker.on('message', (message: HostMessage) => listener(message)),
    onClose: (listener) => void worker.on('exit', (code) => {
      const wanted = ended;
      ended = true;
      listener(failure ?? (wanted || code === 0 ? undefined : `its thread exited with status ${code}`));
    }),
    close: () => {
      ended = true;
      void worker.terminate();
    },
  };
}
