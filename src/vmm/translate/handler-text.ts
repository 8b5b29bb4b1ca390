/** A handler of threaded code once more, to be looked at: its WebAssembly as text, and how it treats its instruction. */
import { FunctionBody } from '../wasm/module';
import { wasmText } from '../wasm/text';
import type { HandlerForm, ThreadedModule } from './handlers';
import { handlerMemoryName } from './state-names';
import { ThreadedBuilder } from './threaded-builder';

export interface HandlerText {
  readonly lines: readonly string[];
  /** Callouts that every execution makes, and those that are made only when something is out of the ordinary. */
  readonly always: readonly string[];
  readonly sometimes: readonly string[];
}

const RECORD_LOCAL: ReadonlyMap<number, string> = new Map([[0, 'record']]);

function write({ form, load }: HandlerForm, module: ThreadedModule): HandlerText {
  const body = new FunctionBody(1);
  const always = new Set<string>(), sometimes = new Set<string>();
  const builder = new ThreadedBuilder(form, body, {
    ...module.imports,
    callout: (name) => {
      (body.depth === 0 ? always : sometimes).add(name);
      return module.imports.callout(name);
    },
  });
  if (load) builder.buildLoad(load);
  else builder.build();
  const lines = wasmText(body.code.view(), { functions: module.functionNames, locals: RECORD_LOCAL, memory: handlerMemoryName });
  return { lines: lines.map(({ text, note }) => (note === undefined ? text : `${text}  ;; ${note}`)), always: [...always], sometimes: [...sometimes] };
}

const written = new WeakMap<HandlerForm, HandlerText>();

export function handlerText(handler: HandlerForm, module: ThreadedModule): HandlerText {
  let text = written.get(handler);
  if (!text) {
    text = write(handler, module);
    written.set(handler, text);
  }
  return text;
}
