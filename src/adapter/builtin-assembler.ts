/**
 * The built-in assembler over files that are read asynchronously: it is run, notes the files that it misses, and is run again when
 * they have been fetched, until it misses nothing new.
 */
import { assemble } from '../vmm/asm/assembler';
import type { AssemblyResult, Diagnostic } from '../vmm/asm/assembler';
import type { DiagnosticJson } from '../protocol/dap';
import { AdapterError, messageOf } from './adapter-error';
import type { Assembly, FileAccess } from './services';
import type { LineRow } from './source-map';

/** Includes nested deeper than this are a circle, which the assembler reports itself. */
const maximumRounds = 200;

export async function assembleBuiltin(path: string, files: FileAccess): Promise<Assembly> {
  let text: string;
  try {
    text = new TextDecoder().decode(await files.readFile(path));
  } catch (error) {
    throw new AdapterError(`launch.json: "program": ${path} cannot be read: ${messageOf(error)}`);
  }
  const known = new Map<string, Uint8Array | undefined>();
  for (let round = 0; ; round++) {
    const missing = new Set<string>();
    const result = assemble({ path, text }, {
      format: 'bin',
      readFile: (name) => {
        if (!known.has(name)) missing.add(name);
        return known.get(name);
      },
    });
    if (missing.size === 0 || round >= maximumRounds) return convert(result);
    await Promise.all([...missing].map(async (name) => {
      known.set(name, await files.readFile(name).catch(() => undefined));
    }));
  }
}

function convert({ bytes, origin, lines, symbols, diagnostics }: AssemblyResult): Assembly {
  return {
    image: bytes, origin, diagnostics: diagnostics.map(diagnostic),
    lines: lines.flatMap((line): LineRow[] => {
      const rows: LineRow[] = [{ linear: line.address, length: line.length, path: line.path, line: line.line, kind: line.kind }];
      // A line that calls a macro stands for what the macro's lines became.
      for (let { call } = line; call; call = call.call) {
        if (call.path === line.path && call.line === line.line) continue;
        rows.push({ linear: line.address, length: line.length, path: call.path, line: call.line, kind: line.kind, caller: true });
      }
      return rows;
    }),
    symbols: symbols.filter(({ kind }) => kind === 'label' || kind === 'equ').map(({ name, value, kind }) => ({ name, linear: value, ...(kind === 'equ' && { number: true }) })),
  };
}

function diagnostic({ path, line, column, endColumn, severity, message }: Diagnostic): DiagnosticJson {
  return { path, line, column, ...(endColumn > column && { endColumn }), severity, message };
}
