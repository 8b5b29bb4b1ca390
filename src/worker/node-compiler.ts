/** Regions written and compiled in a worker thread of Node: starts the bundle of node-compiler-worker.ts beside the one that runs. */
import fs from 'node:fs';
import path from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { CompiledRegion, RegionCompiler } from '../vmm/translate/region-job';

/** What is written is garbage at once: a small nursery keeps the thread small. */
const YOUNG_MIB = 8;

/** The thread starts with the first job, and takes jobs once it has done one; it keeps no process alive. Undefined where the bundle is missing. */
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
  // The first job of a kind makes the thread generate its tables, which takes as long as many regions do: it is a rehearsal, and the machine writes its
  // regions itself until that is over.
  const rehearsals = new Map<number, boolean>();
  const ready = new Set<boolean>();
  const done: CompiledRegion[] = [];
  // Whoever runs a machine need not return to the event loop for this.
  const collect = (): void => {
    for (let next = receiveMessageOnPort(port1); next; next = receiveMessageOnPort(port1)) {
      const region = next.message as CompiledRegion, rehearsal = rehearsals.get(region.id);
      if (rehearsal === undefined) done.push(region);
      else ready.add(rehearsal);
    }
  };
  return {
    submit: (job) => {
      if (failed) return false;
      worker ??= start();
      const long = job.context.codeSize === 64;
      if (!ready.has(long)) {
        collect();
        if (!ready.has(long)) {
          if (![...rehearsals.values()].includes(long)) {
            rehearsals.set(job.id, long);
            port1.postMessage(job);
          }
          return false;
        }
      }
      port1.postMessage(job);
      return true;
    },
    finished: () => {
      collect();
      return done.splice(0);
    },
    close: () => {
      failed = true;
      port1.close();
      void worker?.terminate();
    },
  };
}
