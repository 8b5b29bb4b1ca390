/** The built-in assembler over files: reading with include folders, and its messages with the source line that they mean. */
import fs from 'node:fs';
import path from 'node:path';
import { assemble, type AssemblyResult, type Diagnostic } from '../vmm/asm/assembler';
import { CliError } from './errors';
import { readInput } from './files';

export interface AssembleFileOptions {
  readonly format: 'bin' | 'elf32';
  readonly defines?: Readonly<Record<string, string>>;
  /** Folders in which %include and incbin also look. */
  readonly include?: readonly string[];
}

export interface AssembledFile extends AssemblyResult {
  readonly text: string;
}

export function assembleFile(file: string, options: AssembleFileOptions): AssembledFile {
  const text = new TextDecoder().decode(readInput(file));
  const result = assemble({ path: file, text }, {
    format: options.format, defines: options.defines,
    readFile: (name) => readIncluded([name, ...(path.isAbsolute(name) ? [] : (options.include ?? []).map((folder) => path.join(folder, name)))]),
  });
  return { ...result, text };
}

function readIncluded(candidates: readonly string[]): Uint8Array | undefined {
  const found = candidates.find((candidate) => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile());
  return found === undefined ? undefined : readInput(found);
}

/** All messages, each with its line and a mark below the words that it means; ends without a newline. */
export function diagnosticsText(diagnostics: readonly Diagnostic[], main: { readonly path: string; readonly text: string }): string {
  const sources = new Map([[main.path, main.text.split('\n')]]);
  const linesOf = (file: string): string[] => {
    let lines = sources.get(file);
    if (!lines) {
      const bytes = readIncluded([file]);
      lines = bytes ? new TextDecoder().decode(bytes).split('\n') : [];
      sources.set(file, lines);
    }
    return lines;
  };
  return diagnostics.map(({ severity, path: file, line, column, endColumn, message }) => {
    const source = linesOf(file)[line - 1]?.replace(/\r$/, '');
    const excerpt = source?.trim() && endColumn > column
      ? `\n    ${source}\n    ${source.slice(0, column - 1).replace(/[^\t]/g, ' ')}${'^'.repeat(Math.min(endColumn, source.length + 1) - column || 1)}` : '';
    return `${file}:${line}:${column}: ${severity}: ${message}${excerpt}`;
  }).join('\n');
}

/** @throws CliError with all messages when the source has errors. */
export function requireAssembled(file: string, result: AssembledFile): AssembledFile {
  if (result.ok) return result;
  const count = result.diagnostics.filter(({ severity }) => severity === 'error').length;
  throw new CliError(`${file} has ${count === 1 ? 'an error' : `${count} errors`}:\n${diagnosticsText(result.diagnostics, { path: file, text: result.text })}`);
}
