/** Values of options: text to number, with an error that says what is expected. */
import { InvalidArgumentError } from 'commander';

/** Whole numbers with an optional 0x, k, M, G: 16, 0x7C00, 250M. */
const numberSyntax = /^(?:0x([0-9a-f]+)|([0-9]+)([kmg]?))$/i;
const suffixes: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

function wholeNumber(text: string): number | undefined {
  const match = numberSyntax.exec(text.trim());
  if (!match) return undefined;
  const value = match[1] !== undefined ? parseInt(match[1], 16) : Number(match[2]) * suffixes[match[3].toLowerCase()];
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A parser for commander of whole numbers in a range. */
export function whole(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = wholeNumber(text);
    if (value === undefined || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`It has to be a whole number from ${minimum} to ${maximum}.`);
    }
    return value;
  };
}

/** Addresses of 32 bits, as 0x7C00 or 7C00h or decimal. */
export function address(text: string): number {
  const hexadecimal = /^([0-9][0-9a-f]*)h$/i.exec(text.trim());
  const value = hexadecimal ? parseInt(hexadecimal[1], 16) : wholeNumber(text);
  if (value === undefined || value > 0xffff_ffff) throw new InvalidArgumentError('It has to be an address such as 0x7C00.');
  return value;
}

/** Seconds, fractions allowed. */
export function seconds(text: string): number {
  const value = /^[0-9]+(?:\.[0-9]+)?$/.test(text.trim()) ? Number(text) : NaN;
  if (!(value > 0 && value <= 1e6)) throw new InvalidArgumentError('It has to be a number of seconds above 0, such as 10 or 0.5.');
  return value;
}

/** Collects an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** NAME or NAME=VALUE, as for `nasm -D`. */
export function define(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const match = /^([A-Za-z_.?@][\w.?@$#~]*)(?:=(.*))?$/s.exec(text);
  if (!match) throw new InvalidArgumentError('It has to be NAME or NAME=VALUE.');
  return { ...before, [match[1]]: match[2] ?? '' };
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', e: '\x1b', b: '\b', '\\': '\\' };

/** Text with \n, \t, \e (Esc), \b and \\. */
export function typedText(text: string): string {
  return text.replace(/\\(.)/gs, (_, letter: string) => {
    if (escapes[letter] === undefined) throw new InvalidArgumentError(`It contains \\${letter}; it may contain \\n, \\t, \\e (Esc), \\b and \\\\.`);
    return escapes[letter];
  });
}
