/** The WebAssembly module of one region: what it imports from the threaded module, and its function. */
import { ModuleWriter } from '../wasm/module';
import { isX87 } from './forms';
import { RECORD_SIZE, SpecialHandler } from './record';
import { RegionEmitter, type RegionRecorder } from './region-emitter';
import type { RecordReader, RegionPlan } from './region-former';
import { x87FunctionNames, x87FunctionTypes, type X87Function } from './x87-functions';

/** The module, which exports `region`. Undefined when the region would leave at its first instruction. `original`: handler of the root's first record. */
export function writeRegion(plan: RegionPlan, source: RecordReader, original: number, recorder?: RegionRecorder): Uint8Array<ArrayBuffer> | undefined {
  const module = new ModuleWriter();
  const handlerType = module.type(['i32'], []);
  module.importMemory('machine', 'memory', 1);
  const go = module.importFunction('threaded', 'go', handlerType);
  const goThrough = module.importFunction('threaded', 'goThrough', module.type(['i32', 'i32'], []));
  const dispatch = module.importFunction('threaded', 'dispatch', module.type([], []));
  // A region has no slow paths: it leaves instead of calling them.
  const never = -1;
  // Every import takes its time when the module is instantiated.
  const needed = usesX87(plan, source);
  const x87 = Object.fromEntries(x87FunctionNames.map((name) => {
    const { parameters, results } = x87FunctionTypes[name];
    return [name, needed ? module.importFunction('threaded', `x87.${name}`, module.type(parameters, results)) : never];
  })) as Record<X87Function, number>;
  const body = module.body(handlerType);
  const index = module.declare(handlerType);
  const emitter = new RegionEmitter(plan, source, {
    handlerType, go, goThrough, dispatch, readSlow: never, readForWriteSlow: never, writeSlow: never, segmentCheck: never, callout: () => never, x87,
  }, body, original, recorder);
  if (!emitter.write()) return undefined;
  if (recorder) {
    recorder.code = body.code.view().slice();
    for (const [name, function_] of Object.entries({ go, goThrough, dispatch, ...x87 })) recorder.functions.set(function_, name);
  }
  module.define(index, body);
  module.export('region', index);
  return module.finish();
}

function usesX87({ blocks }: RegionPlan, source: RecordReader): boolean {
  return blocks.some(({ unit }) => {
    for (let n = 0; n < unit.records; n++) {
      const handler = source.handler(unit.record + n * RECORD_SIZE);
      if (handler >= SpecialHandler.Count && isX87(source.form(handler).form.encoding)) return true;
    }
    return false;
  });
}
