/** Regions written and compiled in a worker thread of Node: starts the bundle of node-compiler-worker.ts beside the one that runs. */
import fs from 'node:fs';
import path from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { CompiledRegion, RegionCompiler } from '../vmm/translate/region-job';

/** What is written is garbage at once: a small nursery keeps the thread small. */
const YOUNG_MIB = 8;

/** The thread starts with the first job; it keeps no process alive. Undefined where the bundle is missing. */
export function nodeRegionCompiler(file = path.join(__dirname, 'compiler.js')): RegionCompiler | undefined {
  if (!fs.existsSync(file)) return undefined;
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  let worker: Worker | undefined;
  let failed = false;
  const start = (): Worker => {
    // It writes nothing; were its streams connected, those of the process would be switched to non-blocking writes.
    const thread = new Worker(file, {
      name: 'ringside-compiler', stdout: true, stderr: true, workerData: port2, transferList: [port2], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    thread.unref();
    thread.on('error', () => { failed = true; });
    return thread;
  };
  return {
    submit: (job) => {
      if (failed) return false;
      worker ??= start();
      port1.postMessage(job);
      return true;
    },
    // Whoever runs a machine need not return to the event loop for this.
    finished: () => {
      const done: CompiledRegion[] = [];
      for (let next = receiveMessageOnPort(port1); next; next = receiveMessageOnPort(port1)) done.push(next.message as CompiledRegion);
      return done;
    },
    close: () => {
      failed = true;
      port1.close();
      void worker?.terminate();
    },
  };
}
