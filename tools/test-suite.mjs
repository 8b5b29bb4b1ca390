// Builds and runs mocha suites: node tools/test-suite.mjs SUITE [PATTERN] [mocha options]
// SUITE is `unit` or a folder of test/; only files whose path contains PATTERN run. Example: npm run test:unit -- vmm/mmu
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build, describeFailure } from './build.mjs';
import { fetchGuests } from './guests.mjs';
import { isMain } from './lib/main.mjs';
import { inProject } from './lib/project.mjs';
import { run } from './lib/run.mjs';
import { bundleOf, mochaSuites } from './lib/suites.mjs';

const testTimeoutMs = 60_000;
/** A test that never gives the processor back is not stopped by mocha; this ends its whole suite. */
const suiteTimeoutMs = 1_800_000;

/** Suites that import what they test; the others also start the built command line or workers. */
const suitesOfSource = ['unit', 'conformance', 'tools'];

/** Suites that run guests from Debian packages. */
const suitesWithGuests = ['guests', 'cli', 'adapter'];

/**
 * Runs built test files; resolves to the counts and mocha's output. A crash before the end counts as one failure.
 * @param {{ name: string, files: string[], env?: Record<string, string> }} suite
 */
export async function runMocha({ name, files, env = {} }, { quiet = false, options = [] } = {}) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-mocha-'));
  const countsFile = path.join(scratch, 'counts.json');
  try {
    const guests = suitesWithGuests.includes(name) ? { RINGSIDE_GUESTS: (await fetchGuests()).index } : {};
    const { status, output } = await run(process.execPath, [
      '--enable-source-maps', inProject('node_modules/mocha/bin/mocha.js'), '--reporter', inProject('tools/lib/counting-reporter.cjs'),
      '--timeout', String(testTimeoutMs), ...options, ...files.map((file) => inProject(bundleOf(file))),
    ], { quiet, timeoutMs: suiteTimeoutMs, env: { RINGSIDE_COUNTS: countsFile, ...guests, ...env } });
    const counts = fs.existsSync(countsFile) ? JSON.parse(fs.readFileSync(countsFile, 'utf8')) : { passed: 0, failed: 0, skipped: 0 };
    if (status !== 0 && counts.failed === 0) counts.failed = 1;
    return { ...counts, output };
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

if (isMain(import.meta.url)) {
  const [name, ...rest] = process.argv.slice(2);
  const pattern = rest[0]?.startsWith('-') ? undefined : rest.shift();
  const suite = mochaSuites().find((candidate) => candidate.name === name);
  const files = suite?.files.filter((file) => pattern === undefined || file.includes(pattern)) ?? [];
  if (files.length === 0) {
    console.error(suite ? `No test file of suite ${name} has "${pattern}" in its path.`
      : `There is no suite "${name}". Suites: ${mochaSuites().map((candidate) => candidate.name).join(', ')}.`);
    process.exitCode = 2;
  } else {
    const wanted = new Set(files);
    try {
      await build({ groups: suitesOfSource.includes(name) ? ['tests'] : ['product', 'tests'], select: (source) => wanted.has(source) });
      const { failed } = await runMocha({ name, files }, { options: rest });
      process.exitCode = failed > 0 ? 1 : 0;
    } catch (error) {
      console.error(describeFailure(error));
      process.exitCode = 1;
    }
  }
}
