/** Assertions for suites that also run in the web extension host, where node:assert is not. */

function show(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one)) ?? String(value);
}

export function ok(value: unknown, message: string): asserts value {
  if (!value) throw new Error(message);
}

export function equal(actual: unknown, expected: unknown, message = 'values differ'): void {
  if (show(actual) !== show(expected)) throw new Error(`${message}: got ${show(actual)}, expected ${show(expected)}`);
}

export function match(text: string | undefined, pattern: RegExp, message = 'text does not match'): void {
  if (text === undefined || !pattern.test(text)) throw new Error(`${message}: ${pattern} does not match ${show(text?.slice(0, 1500))}`);
}

/** Polls until the value is truthy, and returns it. */
export async function eventually<T>(what: string, get: () => T | Promise<T>, milliseconds = 10_000): Promise<NonNullable<T>> {
  const end = Date.now() + milliseconds;
  for (;;) {
    const value = await get();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
