/** The WebAssembly module of one region: what it imports from the threaded module, and its function. */
import { exactChecks } from '../isa/rows/sse-exact';
import { ModuleWriter } from '../wasm/module';
import type { ValueType } from '../wasm/opcodes';
import { RegionEmitter, type RegionRecorder } from './region-emitter';
import type { RecordReader, RegionPlan } from './region-former';
import { x87FunctionNames, x87FunctionTypes, type X87Imports } from './x87-functions';

/** The module, which exports `region`. Undefined when the region would leave at its first instruction. `originals`: handlers of the entries' first records. */
export function writeRegion(plan: RegionPlan, source: RecordReader, originals: readonly number[], recorder?: RegionRecorder): Uint8Array<ArrayBuffer> | undefined {
  const module = new ModuleWriter();
  const handlerType = module.type(['i32'], []);
  module.importMemory('machine', 'memory', 1);
  // Every import takes its time when the module is instantiated: only what is used is imported.
  const imported = new Map<string, number>();
  const threaded = (name: string, parameters: readonly ValueType[], results: readonly ValueType[] = []): number => {
    let index = imported.get(name);
    if (index === undefined) {
      index = module.importFunction('threaded', name, module.type(parameters, results));
      imported.set(name, index);
    }
    return index;
  };
  // A region has no slow paths: it leaves instead of calling them.
  const never = -1;
  const x87 = Object.defineProperties({}, Object.fromEntries(x87FunctionNames.map((name) => {
    const { parameters, results } = x87FunctionTypes[name];
    return [name, { get: () => threaded(`x87.${name}`, parameters, results) }];
  }))) as X87Imports;
  const body = module.body(handlerType);
  const emitter = new RegionEmitter(plan, source, {
    handlerType, go: threaded('go', ['i32']), goThrough: threaded('goThrough', ['i32', 'i32']), dispatch: threaded('dispatch', []),
    readSlow: never, readForWriteSlow: never, writeSlow: never, segmentCheck: never, callout: () => never, x87,
    exact: (check) => threaded(`exact.${check}`, [exactChecks[check].type, exactChecks[check].type, exactChecks[check].type], ['i32']),
  }, body, originals, recorder);
  if (!emitter.write()) return undefined;
  if (recorder) {
    recorder.code = body.code.view().slice();
    for (const [name, function_] of imported) recorder.functions.set(function_, name);
  }
  const index = module.declare(handlerType);
  module.define(index, body);
  module.export('region', index);
  return module.finish();
}
