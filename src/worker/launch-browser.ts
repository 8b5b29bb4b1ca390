/** Starts the bundled web worker. */
import type { ClientChannel } from '../protocol/channel';
import type { HostMessage } from '../protocol/messages';

/**
 * @param source text of the bundle of browser-worker.ts. It travels as a Blob, because a worker may not be loaded from the
 * extension's origin. Closing the channel ends the worker.
 */
export function launchBrowserWorker(source: string): ClientChannel {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new Worker(url, { name: 'ringside-machine' });
  let closed: ((reason?: string) => void) | undefined;
  let ended = false;
  const end = (reason?: string): void => {
    if (ended) return;
    ended = true;
    worker.terminate();
    URL.revokeObjectURL(url);
    closed?.(reason);
  };
  worker.onerror = (event) => end(event.message || 'its script failed');
  return {
    post: (message) => {
      if (!ended) worker.postMessage(message);
    },
    onMessage: (listener) => { worker.onmessage = (event: MessageEvent<HostMessage>) => listener(event.data); },
    onClose: (listener) => { closed = listener; },
    close: () => end(),
  };
}
