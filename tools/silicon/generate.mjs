// npm run silicon:generate. Bundles generate.ts (it reads the instruction table) and runs it.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { inProject } from '../lib/project.mjs';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-silicon-'));
try {
  const outfile = path.join(scratch, 'generate.cjs');
  await build({ entryPoints: [inProject('tools/silicon/generate.ts')], bundle: true, platform: 'node', format: 'cjs', target: 'node20', outfile, logLevel: 'warning' });
  execFileSync(process.execPath, [outfile, inProject('tools/silicon/harness.c'), inProject('test/data/silicon'), ...process.argv.slice(2)], { stdio: 'inherit' });
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}
