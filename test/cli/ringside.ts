/** Starts the built command line as a person does, and waits for its end. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly input?: string | Uint8Array;
  /** Leaves standard input open. */
  readonly openInput?: boolean;
  /** Called with all output so far whenever there is more; may send signals or input. */
  onOutput?(child: { signal(name: NodeJS.Signals): void; type(text: string): void; closeOutput(): void }, stdout: string, stderr: string): void;
  readonly cwd?: string;
  /** Ended then; 50 seconds unless given. */
  readonly longestMilliseconds?: number;
}

const cli = path.join(process.cwd(), 'dist', 'cli.js');
const LONGEST_MILLISECONDS = 50_000;

export async function ringside(parameters: readonly string[], options: StartOptions = {}): Promise<Result> {
  const child = spawn(process.execPath, [cli, ...parameters], { cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  const control = {
    signal: (name: NodeJS.Signals): void => { child.kill(name); }, type: (text: string): void => { child.stdin.write(text); },
    closeOutput: (): void => { child.stdout.destroy(); },
  };
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('latin1');
    options.onOutput?.(control, stdout, stderr);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
    options.onOutput?.(control, stdout, stderr);
  });
  if (!options.openInput) child.stdin.end(options.input);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.longestMilliseconds ?? LONGEST_MILLISECONDS);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  // Guests write bytes; our own reports are UTF-8.
  return { status, stdout: Buffer.from(stdout, 'latin1').toString('utf8'), stderr };
}

/** A folder for the files of a test; removed afterwards. */
export async function inFolder<T>(files: Readonly<Record<string, string | Uint8Array>>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-cli-'));
  try {
    for (const [name, content] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), content);
    return await use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A boot sector program around some lines of 16-bit code. */
export function bootSector(code: string): string {
  return `bits 16\norg 0x7c00\n${code}\ntimes 510 - ($ - $$) db 0\ndw 0xaa55\n`;
}
