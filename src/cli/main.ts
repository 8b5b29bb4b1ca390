/** Entry of the command line: parses, runs, and turns errors into a message and an exit status. */
import fs from 'node:fs';
import path from 'node:path';
import { CommanderError } from 'commander';
import { MachineError } from '../vmm/machine/api';
import { CliError } from './errors';
import { createProgram } from './program';

const BAD_INPUT = 2;
const INTERNAL_ERROR = 1;

/** The bundle stands in dist/, beside the manifest that it was built with. */
function version(): string {
  const manifest = JSON.parse(fs.readFileSync(path.join(__dirname, '..', 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

async function main(argv: readonly string[]): Promise<number> {
  let status = 0;
  const program = createProgram(version(), (code) => { status = code; });
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_INPUT;
    if (error instanceof CliError || error instanceof MachineError) {
      console.error(`ringside: ${error.message}${error.advice ? `\n  ${error.advice}` : ''}`);
      return BAD_INPUT;
    }
    if ((error as { code?: string }).code === 'EPIPE') return BAD_INPUT;
    console.error(`ringside: internal error, please report it:\n${error instanceof Error ? error.stack : String(error)}`);
    return INTERNAL_ERROR;
  }
}

void main(process.argv.slice(2)).then((status) => { process.exitCode = status; });
