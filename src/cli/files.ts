/** Reading and writing files for people: bounded, and with errors that name the file and the reason. */
import fs from 'node:fs';
import { CliError } from './errors';

/** Images are held in memory as a whole. */
const MAXIMUM_FILE_BYTES = 1 << 30;
/** Pipes and devices tell no size; they are read in pieces of this many bytes. */
const CHUNK_BYTES = 1 << 20;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist', EACCES: 'access is denied', EPERM: 'access is denied', EISDIR: 'it is a directory', ENOTDIR: 'a part of its path is no directory',
  ENOSPC: 'the disk is full', EROFS: 'the file system is read-only', EMFILE: 'too many files are open', ELOOP: 'its symbolic links form a circle',
};

/** Why a file operation failed, in words. */
export function fileReason(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return (code !== undefined ? reasons[code] : undefined) ?? message ?? String(error);
}

/** @throws CliError when the file cannot be read or is larger than the bound. */
export function readInput(path: string): Uint8Array {
  let file: number;
  try {
    file = fs.openSync(path, 'r');
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${fileReason(error)}`);
  }
  try {
    const stat = fs.fstatSync(file);
    if (stat.isDirectory()) throw new CliError(`${path} cannot be read: it is a directory`);
    if (stat.size > MAXIMUM_FILE_BYTES) throw tooLarge(path);
    return readAll(file, path);
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(`${path} cannot be read: ${fileReason(error)}`);
  } finally {
    fs.closeSync(file);
  }
}

function readAll(file: number, path: string): Uint8Array {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const count = fs.readSync(file, chunk);
    if (count === 0) return new Uint8Array(Buffer.concat(chunks, total));
    total += count;
    if (total > MAXIMUM_FILE_BYTES) throw tooLarge(path);
    chunks.push(chunk.subarray(0, count));
  }
}

function tooLarge(path: string): CliError {
  return new CliError(`${path} is larger than ${MAXIMUM_FILE_BYTES / (1 << 20)} MiB, the limit for images`, 'Images are held in memory; use a smaller one.');
}

/** `-` is standard output. @throws CliError */
export function writeOutput(path: string, content: Uint8Array | string): void {
  try {
    if (path === '-') fs.writeSync(1, content as Uint8Array);
    else fs.writeFileSync(path, content);
  } catch (error) {
    throw new CliError(`${path} cannot be written: ${fileReason(error)}`);
  }
}

/**
 * Puts a new content into the place of a file: an interruption leaves the old one or the new one. A link stays one, and the file keeps its rights.
 * @throws CliError
 */
export function replaceFile(path: string, content: Uint8Array): void {
  let beside: string | undefined;
  try {
    const target = fs.realpathSync(path);
    const { mode } = fs.statSync(target);
    fs.accessSync(target, fs.constants.W_OK);
    for (let n = 1; beside === undefined; n++) beside = writeNew(`${target}.new${n === 1 ? '' : n}`, content, mode);
    fs.renameSync(beside, target);
  } catch (error) {
    throw new CliError(`${path} cannot be written back: ${fileReason(error)}`, beside !== undefined ? `What the guest changed is in ${beside}.` : undefined);
  }
}

/** Undefined when there is such a file, which is somebody else's. Half a file does not stay. */
function writeNew(path: string, content: Uint8Array, mode: number): string | undefined {
  let file: number;
  try {
    file = fs.openSync(path, 'wx', mode);
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return undefined;
    throw error;
  }
  try {
    for (let at = 0; at < content.length;) at += fs.writeSync(file, content, at);
    fs.fsyncSync(file);
    return path;
  } catch (error) {
    fs.rmSync(path, { force: true });
    throw error;
  } finally {
    fs.closeSync(file);
  }
}
