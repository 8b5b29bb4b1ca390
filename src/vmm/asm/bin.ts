/** Flat binaries: gives the sections their places and addresses, and writes every value that waited for them. */
import { limits, type Reporter } from './diagnostics';
import type { Pass } from './pass';
import { fieldSpan, overflows, sizeNames, type Section } from './sections';

export interface PlacedSection {
  readonly section: Section;
  /** Position in the file, as an address counted from the origin. */
  readonly start: number;
  /** Address at run time. */
  readonly address: number;
}

export interface FlatLayout {
  readonly bytes: Uint8Array;
  readonly origin: number;
  readonly sections: readonly PlacedSection[];
}

const defaultAlignment = 4;
const alignUp = (value: number, alignment: number) => Math.ceil(value / alignment) * alignment;

export function layOutFlat(pass: Pass, reporter: Reporter): FlatLayout {
  const origin = Number(pass.originAddress ?? 0n);
  const all = [...pass.sections.values()];
  const placed = new Map<string, PlacedSection>();
  const fail = (message: string) => reporter.report('error', { path: pass.origin.path, line: 1 }, message);
  let fileEnd = origin;
  /** Where the section placed last ends at run time: bss follows it there. */
  let addressEnd = origin;
  const place = (section: Section, first: boolean) => {
    const { attributes } = section;
    const alignment = attributes.align ?? (first ? 1 : defaultAlignment);
    const before = (name: string | undefined) => {
      if (name === undefined) return undefined;
      const other = placed.get(name);
      if (!other) fail(`section ${section.name}: the section \`${name}\` that it follows does not stand before it`);
      return other;
    };
    const follows = before(attributes.follows);
    const vfollows = before(attributes.vfollows);
    const start = attributes.start ?? alignUp(follows ? follows.start + follows.section.position : section.attributes.nobits ? addressEnd : fileEnd, alignment);
    const address = attributes.vstart ?? (vfollows ? alignUp(vfollows.address + vfollows.section.position, alignment) : start);
    placed.set(section.name, { section, start, address });
    if (!attributes.nobits) fileEnd = Math.max(fileEnd, start + section.position);
    addressEnd = address + section.position;
  };
  all.filter((section) => !section.attributes.nobits).forEach((section, i) => place(section, i === 0));
  all.filter((section) => section.attributes.nobits).forEach((section) => place(section, false));

  const inFile = [...placed.values()].filter(({ section }) => !section.attributes.nobits && section.position > 0).sort((a, b) => a.start - b.start);
  inFile.forEach(({ section, start }, i) => {
    if (start < origin) fail(`section ${section.name} starts at ${hex(start)}, before the origin ${hex(origin)}`);
    const next = inFile[i + 1];
    if (next && start + section.position > next.start) fail(`sections ${section.name} and ${next.section.name} overlap at ${hex(next.start)}`);
  });
  if (fileEnd - origin > limits.outputBytes) {
    fail(`the flat binary would be ${fileEnd - origin} bytes long (from ${hex(origin)} to ${hex(fileEnd)}); the limit is ${limits.outputBytes / 1048576} MiB`);
    return { bytes: new Uint8Array(), origin, sections: [...placed.values()] };
  }
  const addresses = new Map([...placed.values()].map(({ section, address }) => [section.id, address]));
  const bytes = new Uint8Array(Math.max(0, fileEnd - origin));
  for (const { section, start, address } of placed.values()) {
    resolve(section, address, addresses, reporter);
    if (section.attributes.nobits || start < origin) continue;
    bytes.set(section.bytes, start - origin);
  }
  return { bytes, origin, sections: [...placed.values()] };
}

function resolve(section: Section, address: number, addresses: ReadonlyMap<number, number>, reporter: Reporter): void {
  for (const field of section.fields) {
    let value = field.value.number;
    for (const [base, coefficient] of field.value.terms ?? []) value += BigInt(addresses.get(base) ?? 0) * coefficient;
    if (field.relative) {
      value -= BigInt(address + field.end);
      if (field.bytes === 1 && overflows(value, 1, true)) {
        reporter.report('error', field.origin, `the short jump reaches 128 bytes; the target is ${value < 0n ? -value : value} bytes away`, fieldSpan(field));
      }
    } else if (overflows(value, field.bytes, field.signed)) {
      reporter.report('warning', field.origin, `address ${hex(Number(value))} does not fit into a ${sizeNames[field.bytes]}: the upper bits are cut off`, fieldSpan(field));
    }
    section.write(field.at, field.bytes, value);
  }
}

const hex = (value: number) => `0x${value.toString(16)}`;
