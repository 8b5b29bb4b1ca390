/** The Translation view's requests: which address a source line, an expression or the stop means, and names for the addresses of the answer. */
import { addressNumber } from '../protocol/addresses';
import type { CustomRequests } from '../protocol/dap';
import type { TranslatedCode } from '../protocol/translated-code';
import { AdapterError } from './adapter-error';
import type { Debuggee } from './debuggee';

type Place = CustomRequests['ringside/translation'][0];

/** Where code is that somebody may want to see: kernels have no file with their symbols, but tell them. */
const lowestKernel = 0x4000_0000;
/** A kernel's symbols are searched for in all of its memory: not more often than this while it runs. */
const searchMilliseconds = 10_000;
const searched = new WeakMap<Debuggee, number>();

async function findNames(debuggee: Debuggee, linear: number): Promise<void> {
  if (linear < lowestKernel || debuggee.sourceMap.symbolAt(linear)) return;
  const now = Date.now();
  if (now - (searched.get(debuggee) ?? -Infinity) < searchMilliseconds) return;
  searched.set(debuggee, now);
  await debuggee.findKernelSymbols();
}

/** The symbol at or before an address, for an object that may have a name. */
function named(debuggee: Debuggee, linear: number): { readonly name?: string } {
  return debuggee.sourceMap.symbolAt(linear) ? { name: debuggee.nameOf(linear) } : {};
}

/** Names for addresses of a list in which the first one tells whether a kernel's symbols are wanted. */
export async function hotCodeOf(debuggee: Debuggee, most: number): Promise<CustomRequests['ringside/hotCode'][1]> {
  const { looks, code } = await debuggee.client.request('hotCode', { most });
  if (code[0]) await findNames(debuggee, code[0].linear);
  return { looks, code: code.map((one) => ({ ...one, ...named(debuggee, one.linear) })) };
}

async function linearOf(debuggee: Debuggee, place: Place): Promise<number> {
  if ('path' in place) {
    if (typeof place.path !== 'string' || !Number.isSafeInteger(place.line)) throw new AdapterError('A source line is a path and a number');
    if (!debuggee.sourceMap.hasSource(place.path)) throw new AdapterError(`The program has no code from ${place.path}`);
    const linear = debuggee.sourceMap.resolve(place.path, place.line)?.linear[0];
    if (linear === undefined) throw new AdapterError(`There is no code at or behind line ${place.line}`);
    return linear;
  }
  const expression = place.expression?.trim() ?? '';
  // The offset alone would be another address where CS has a base.
  if (expression === '' || /^[er]?ip$/i.test(expression)) return debuggee.linearEip();
  return addressNumber((await debuggee.evaluate(expression)).value);
}

/** Every address that a person would like to see a name of: where units and instructions with labels begin, where exits lead. */
function addressesIn({ linear, units, memory = [] }: TranslatedCode): { linear: number; always: boolean }[] {
  return [
    { linear, always: true },
    ...units.flatMap((unit) => [
      { linear: unit.linear, always: true },
      ...unit.instructions.map((instruction) => ({ linear: instruction.linear, always: false })),
      ...unit.exits.flatMap(({ target }) => (target === undefined ? [] : [{ linear: target, always: true }])),
    ]),
    ...memory.map((line) => ({ linear: line.linear, always: false })),
  ];
}

/** @throws AdapterError, ExpressionError for a place that is none. */
export async function translationOf(debuggee: Debuggee, place: Place): Promise<CustomRequests['ringside/translation'][1]> {
  const linear = await linearOf(debuggee, place);
  await findNames(debuggee, linear);
  const code = await debuggee.client.request('translatedCode', { linear, count: place.count === true });
  const names = new Map<number, string>();
  for (const { linear: at, always } of addressesIn(code)) {
    const symbol = debuggee.sourceMap.symbolAt(at);
    if (symbol && (always || symbol.offset === 0)) names.set(at, debuggee.nameOf(at));
  }
  const instructions = [...code.units.flatMap((unit) => unit.instructions), ...code.memory ?? []];
  return {
    code, names: [...names].map(([at, name]) => ({ linear: at, name })),
    sources: instructions.flatMap(({ linear: at }) => {
      const location = debuggee.sourceMap.locate(at);
      return location ? [{ linear: at, path: location.path, line: location.line }] : [];
    }),
  };
}
