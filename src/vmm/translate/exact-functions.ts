/** The functions that tell whether floating-point results are exact (isa/rows/sse-exact.ts), for threaded code and regions. */
import { exactChecks } from '../isa/rows/sse-exact';
import type { ExactCheck } from '../isa/vector';
import type { ModuleWriter } from '../wasm/module';
import type { Form } from './forms';
import type { HandlerImports } from './handlers';
import { ThreadedBuilder } from './threaded-builder';
import { node } from './threaded-values';

const names = Object.keys(exactChecks) as ExactCheck[];

/** Their type in a module. */
export function exactFunctionType(module: ModuleWriter, check: ExactCheck): number {
  const { type } = exactChecks[check];
  return module.type([type, type, type], ['i32']);
}

/** Declares all of them and exports them as `exact.NAME`; `write` writes their code. `form`: any, they have no operands. */
export function declareExactFunctions(module: ModuleWriter): { index(check: ExactCheck): number; write(imports: HandlerImports, form: Form): void } {
  const indices = new Map(names.map((name) => [name, module.declare(exactFunctionType(module, name))]));
  for (const [name, index] of indices) module.export(`exact.${name}`, index);
  return {
    index: (check) => indices.get(check)!,
    write: (imports, form) => {
      for (const [name, index] of indices) {
        const { type, check } = exactChecks[name];
        const body = module.body(exactFunctionType(module, name));
        const builder = new ThreadedBuilder(form, body, imports);
        const [x, y, result] = [0, 1, 2].map((local) => ({ type, local, emit: () => { body.index('local.get', local); } }));
        node(check(builder, x, y, result)).emit();
        module.define(index, body);
      }
    },
  };
}
