/** `ringside asm`: NASM syntax to a flat binary or an ELF32 object, with a listing on request. */
import path from 'node:path';
import { assembleFile, diagnosticsText, requireAssembled } from './assemble';
import { writeOutput } from './files';
import { assemblyListing } from './format/assembly-listing';

export interface AsmOptions {
  readonly format: 'bin' | 'elf32';
  readonly output?: string;
  readonly listing?: string;
  readonly define?: Readonly<Record<string, string>>;
  readonly include?: readonly string[];
}

/** @throws CliError when the source has errors or a file cannot be used. */
export function asm(file: string, options: AsmOptions): number {
  const result = requireAssembled(file, assembleFile(file, { format: options.format, defines: options.define, include: options.include }));
  if (result.diagnostics.length > 0) console.error(diagnosticsText(result.diagnostics, { path: file, text: result.text }));
  writeOutput(options.output ?? defaultOutput(file, options.format), result.bytes);
  if (options.listing !== undefined) writeOutput(options.listing, assemblyListing(result, { path: file, text: result.text }));
  return 0;
}

/** hello.asm → hello.bin or hello.o, in the current folder as other assemblers do. */
function defaultOutput(file: string, format: AsmOptions['format']): string {
  const { name } = path.parse(file);
  return `${name}.${format === 'bin' ? 'bin' : 'o'}`;
}
