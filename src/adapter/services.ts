/** What the adapter needs from where it runs: files, a worker, perhaps an assembler program. VS Code, a browser and tests each bring their own. */
import type { ClientChannel } from '../protocol/channel';
import type { MachineClient } from '../protocol/client';
import type { DiagnosticJson, MachineDescription } from '../protocol/dap';
import type { LineRow, SymbolRow } from './source-map';

export interface FolderEntry {
  readonly name: string;
  readonly folder: boolean;
  /** Of a file. */
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

export interface FileAccess {
  /** Path or URI, as it stands in the launch configuration or an %include. Rejects when there is no such file. */
  readFile(path: string): Promise<Uint8Array>;
  /** Writes a file, or puts a new content into its place: an interruption leaves the old one or the new one. Absent where files cannot be written. */
  replaceFile?(path: string, bytes: Uint8Array): Promise<void>;
  /** Files and folders in a folder, without symbolic links; absent where folders cannot be read. */
  readFolder?(path: string): Promise<readonly FolderEntry[]>;
}

/** An assembled program. */
export interface Assembly {
  readonly image: Uint8Array;
  /** Linear address of the first byte. */
  readonly origin: number;
  readonly lines: readonly LineRow[];
  readonly symbols: readonly SymbolRow[];
  /** Errors among them mean that the image is not usable. */
  readonly diagnostics: readonly DiagnosticJson[];
}

export type Assembler = (path: string, files: FileAccess) => Promise<Assembly>;

export interface AdapterServices {
  readonly files: FileAccess;
  launchMachine(): ClientChannel;
  /** The nasm program; absent where no program can be started. */
  nasm?(program: string): Assembler;
  /** A machine was created. Views in the same process may talk to it directly; it ends with the session. */
  onMachine?(client: MachineClient, description: MachineDescription): void;
}
