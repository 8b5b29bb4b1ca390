/** Assembles with the nasm program: image, line map from its listing, symbols and origin from its map file, messages from its standard error. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseNasmListing, parseNasmMap, parseNasmMessages } from '../symbols/nasm';
import { AdapterError } from './adapter-error';
import type { Assembler } from './services';

const timeLimitMilliseconds = 30_000;

/** @param program nasm's path, or a name to look for on the PATH. */
export function nasmAssembler(program: string): Assembler {
  return async (file) => {
    const scratch = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'ringside-nasm-'));
    try {
      const [image, listing, map] = ['image.bin', 'listing.txt', 'map.txt'].map((name) => path.join(scratch, name)) as [string, string, string];
      const messages = await run(program, [
        '-f', 'bin', '-o', image, '-l', listing, '--before', `[map symbols sections ${map}]`, '-I', `${path.dirname(file)}${path.sep}`, file,
      ]);
      const diagnostics = parseNasmMessages(messages, file);
      if (!fs.existsSync(image)) {
        const none = { image: new Uint8Array(), origin: 0, lines: [], symbols: [], diagnostics };
        return diagnostics.some(({ severity }) => severity === 'error') ? none
          : { ...none, diagnostics: [...diagnostics, { path: file, line: 1, column: 1, severity: 'error', message: `nasm made no output: ${messages.trim() || 'without a word'}` }] };
      }
      const layout = parseNasmMap(await text(map));
      const lines = parseNasmListing(await text(listing), file, layout, (name) => path.resolve(path.dirname(file), name));
      return { image: await fs.promises.readFile(image), origin: layout.origin, lines, symbols: layout.symbols, diagnostics };
    } finally {
      await fs.promises.rm(scratch, { recursive: true, force: true });
    }
  };
}

async function text(file: string): Promise<string> {
  return fs.existsSync(file) ? fs.promises.readFile(file, 'utf8') : '';
}

/** @returns standard error. */
function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: timeLimitMilliseconds, maxBuffer: 0x100_0000 }, (error, _output, messages) => {
      if (error && (error as NodeJS.ErrnoException).code === 'ENOENT') {
        reject(new AdapterError(`launch.json: "nasm": "${program}" cannot be started`, 'Install nasm, give its path, or set "assembler" to "builtin".'));
      } else if (error?.killed) {
        reject(new AdapterError(`nasm took longer than ${timeLimitMilliseconds / 1000} seconds`));
      } else {
        resolve(messages);
      }
    });
  });
}
