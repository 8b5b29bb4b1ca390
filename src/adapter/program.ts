/**
 * From a launch configuration to a machine's configuration and a source map: reads the files, finds out what the program is,
 * and assembles it if it is source text.
 */
import type { DiagnosticJson } from '../protocol/dap';
import type { ImageField, MachineConfiguration, NamedFile } from '../protocol/messages';
import { readDwarfLines } from '../symbols/dwarf-lines';
import { isElf, readElfSymbols } from '../symbols/elf';
import { imageParts as partNames } from '../vmm/machine/images/open';
import { AdapterError, messageOf } from './adapter-error';
import { assembleBuiltin } from './builtin-assembler';
import type { LaunchConfig } from './launch-config';
import type { AdapterServices, Assembly } from './services';
import { readSharedFolder } from './shared-folder';
import { emptySourceMap, SourceMap } from './source-map';
import type { LineRow, SymbolRow } from './source-map';
import { readSystemMap } from '../symbols/system-map';
import { symbolRows } from './kernel-symbols';
import { baseName } from './sources';

export interface Program {
  readonly configuration: MachineConfiguration;
  readonly sourceMap: SourceMap;
  readonly diagnostics: readonly DiagnosticJson[];
}

/** The program has errors: each is a diagnostic. */
export class AssemblyError extends AdapterError {
  constructor(readonly diagnostics: readonly DiagnosticJson[]) {
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    const first = errors[0];
    super(`${first ? diagnosticText(first) : 'The program could not be assembled'}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`);
  }
}

export function diagnosticText({ path, line, column, severity, message }: DiagnosticJson): string {
  return `${path}:${line}:${column}: ${severity}: ${message}`;
}

const sourceExtensions = /\.(?:asm|nasm|s|inc)$/i;
const bootSignatureOffset = 510;
const bootSectorAddress = 0x7c00;

export async function loadProgram(config: LaunchConfig, services: AdapterServices): Promise<Program> {
  const file = async (field: string, path: string): Promise<Uint8Array> => {
    try {
      return await services.files.readFile(path);
    } catch (error) {
      throw new AdapterError(`launch.json: "${field}": ${path} cannot be read: ${messageOf(error)}`);
    }
  };
  const imageParts: Partial<Record<ImageField, readonly NamedFile[]>> = {};
  const disk = async (attribute: string, field: ImageField, path: string, backed = false): Promise<Uint8Array> => {
    const bytes = await file(attribute, path);
    imageParts[field] = await partsOf(attribute, path, bytes, backed, file);
    return bytes;
  };
  const backed = config.hdaBacking !== undefined;
  const rest = {
    name: baseName(config.program), memoryMiB: config.memory, mmu: config.mmu, pace: config.pace, stopOnEntry: config.stopOnEntry,
    ...(config.kernelCommandLine !== undefined && { commandLine: config.kernelCommandLine }),
    processors: config.processors, ...(config.cpu !== undefined && { cpuModel: config.cpu }),
    clearVirtualInterruptFlagOnEntry: config.clearVirtualInterruptFlagOnEntry,
    ...(config.instructionsPerSecond !== undefined && { instructionsPerSecond: config.instructionsPerSecond }),
    ...(config.maxInstructions !== undefined && { maxInstructions: config.maxInstructions }),
    ...(config.initrd !== undefined && { initrd: await file('initrd', config.initrd) }),
    ...(config.modules.length > 0 && { modules: await Promise.all(config.modules.map(async (path) => ({ name: path, bytes: await file('modules', path) }))) }),
    ...(config.fda !== undefined && { floppy: await file('fda', config.fda) }),
    ...(config.bios !== undefined && { bios: await file('bios', config.bios) }),
    ...(config.vgaBios !== undefined && { vgaBios: await file('vgaBios', config.vgaBios) }),
    ...(config.hda !== undefined && { hardDisk: await disk('hda', 'hardDisk', config.hda, backed) }),
    ...(config.hdaBacking !== undefined && { hardDiskBacking: await disk('hdaBacking', 'hardDiskBacking', config.hdaBacking) }),
    ...(config.hdb !== undefined && { secondDisk: await disk('hdb', 'secondDisk', config.hdb) }),
    ...(config.virtioDisks.length > 0 && { virtioDisks: await Promise.all(config.virtioDisks.map((path, n) => disk('virtioDisks', `virtioDisks[${n}]`, path))) }),
    ...(config.virtioConsole && { virtioConsole: true }), network: config.network,
    ...(config.sharedFolder !== undefined && { sharedFolder: await readSharedFolder(config.sharedFolder, services.files) }),
    ...(config.cdrom !== undefined && { cdrom: await file('cdrom', config.cdrom) }), imageParts,
  };
  if (sourceExtensions.test(config.program)) {
    const assembly = await assemble(config, services);
    if (assembly.diagnostics.some(({ severity }) => severity === 'error')) throw new AssemblyError(assembly.diagnostics);
    if (assembly.image.length === 0) throw new AdapterError(`${config.program} assembles to nothing`, 'A program needs at least one instruction.');
    const boot = bootOf(assembly, config);
    return { configuration: { ...rest, ...boot }, sourceMap: placed(assembly, boot.loadAddress ?? bootSectorAddress), diagnostics: assembly.diagnostics };
  }
  const image = await file('program', config.program);
  if (image.length === 0) throw new AdapterError(`launch.json: "program": ${config.program} is empty`);
  const symbols = config.symbols === undefined ? [] : symbolsOf(config.symbols, await file('symbols', config.symbols));
  if (isElf(image)) {
    const sourceMap = new SourceMap(besideProgram(readDwarfLines(image), config.program), readElfSymbols(image));
    return { configuration: { ...rest, image, boot: 'auto' }, sourceMap: sourceMap.withSymbols(symbols), diagnostics: [] };
  }
  const flat = config.loadAddress !== undefined;
  if (!flat) imageParts.image = await partsOf('program', config.program, image, backed, file);
  return {
    configuration: { ...rest, image, boot: flat ? 'flat' : 'auto', ...(flat && { loadAddress: config.loadAddress, entry: config.entry ?? config.loadAddress }) },
    sourceMap: emptySourceMap.withSymbols(symbols), diagnostics: [],
  };
}

/** The files beside an image that it names. @throws AdapterError that names the attribute */
async function partsOf(attribute: string, path: string, bytes: Uint8Array, backed: boolean, read: (attribute: string, path: string) => Promise<Uint8Array>): Promise<readonly NamedFile[]> {
  try {
    const parts = partNames(path, bytes, backed);
    let next = parts.next();
    while (next.done !== true) next = parts.next(await read(attribute, besideOf(path, next.value)));
    return next.value;
  } catch (error) {
    throw error instanceof AdapterError ? error : new AdapterError(`launch.json: "${attribute}": ${messageOf(error)}`);
  }
}

/** A System.map or an ELF file. */
function symbolsOf(path: string, bytes: Uint8Array): readonly SymbolRow[] {
  const symbols = isElf(bytes) ? readElfSymbols(bytes) : symbolRows(readSystemMap(bytes) ?? []);
  if (symbols.length > 0) return symbols;
  throw new AdapterError(`launch.json: "symbols": ${path} has no symbols`, 'Name a System.map (address, type and name on each line) or an ELF file that is not stripped.');
}

async function assemble(config: LaunchConfig, services: AdapterServices): Promise<Assembly> {
  if (config.assembler === 'builtin') return assembleBuiltin(config.program, services.files);
  if (!services.nasm) throw new AdapterError('launch.json: "assembler": nasm cannot be started here', 'Use "builtin".');
  return services.nasm(config.nasm)(config.program, services.files);
}

/** A boot sector boots as one; other output is loaded where it was assembled for. */
function bootOf({ image, origin }: Assembly, config: LaunchConfig): Pick<MachineConfiguration, 'image' | 'boot' | 'loadAddress' | 'entry'> {
  const signature = image[bootSignatureOffset] === 0x55 && image[bootSignatureOffset + 1] === 0xaa;
  if (signature && config.loadAddress === undefined && (origin === bootSectorAddress || origin === 0)) return { image, boot: 'disk' };
  const loadAddress = config.loadAddress ?? (origin === 0 ? bootSectorAddress : origin);
  return { image, boot: 'flat', loadAddress, entry: config.entry ?? loadAddress };
}

/** Code that was assembled for another place than where it is loaded (org 0 for segment 0x7C0) is found where it is. */
function placed({ origin, lines, symbols }: Assembly, loadAddress: number): SourceMap {
  const shift = loadAddress - origin;
  if (shift === 0) return new SourceMap(lines, symbols);
  return new SourceMap(
    lines.map((row) => ({ ...row, linear: row.linear + shift })), symbols.map((symbol) => (symbol.number ? symbol : { ...symbol, linear: symbol.linear + shift })),
  );
}

/** A name in the folder of a file. */
function besideOf(path: string, name: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1) + name;
}

/** Debug information older than DWARF 5 names sources relative to the folder of the compiler, which is mostly the program's. */
function besideProgram(rows: readonly LineRow[], program: string): LineRow[] {
  return rows.map((row) => (/^(?:[/\\]|[A-Za-z]:)/.test(row.path) ? row : { ...row, path: besideOf(program, row.path) }));
}
