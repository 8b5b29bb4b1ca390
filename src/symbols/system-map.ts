/** The text of a Linux kernel's System.map (or of `nm`): `address type name` a line. Lines of any other shape are left out. */

export interface MapSymbol {
  readonly name: string;
  readonly linear: number;
  /** T text, D data, B bss, R read-only, A absolute, …; lower case for local symbols, as nm prints it. */
  readonly type: string;
}

const maximumSymbols = 1_000_000;
const maximumNameLength = 1000;

/** In the order of addresses. */
export function parseSystemMap(text: string): MapSymbol[] {
  const symbols: MapSymbol[] = [];
  // Line by line without splitting: a map may be large, and so may be a file that is none.
  for (let at = 0; at < text.length && symbols.length < maximumSymbols;) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? text.length : Math.min(end, at + maximumNameLength + 40));
    at = end < 0 ? text.length : end + 1;
    const match = /^(?:0x)?([0-9a-fA-F]{1,16}) ([A-Za-z?]) (\S+)\s*(?:\[\S+\])?\s*$/.exec(line);
    if (!match) continue;
    const [, address, type, name] = match;
    const linear = Number.parseInt(address, 16);
    if (name.length > maximumNameLength || !Number.isSafeInteger(linear)) continue;
    symbols.push({ name, linear, type });
  }
  return symbols.sort((a, b) => a.linear - b.linear);
}
