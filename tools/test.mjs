// npm test: everything, from a fresh clone. Installs, builds, then type check, lint, every mocha suite, the suites inside VS Code and the
// package. A step that is not a suite counts as one check. Full outputs are kept in artifacts/logs/; the last line sums up.
import fs from 'node:fs';
import path from 'node:path';
import { build, describeFailure } from './build.mjs';
import { ensureCommand } from './lib/apt.mjs';
import { ensureDependencies } from './lib/dependencies.mjs';
import { inProject, root } from './lib/project.mjs';
import { run } from './lib/run.mjs';
import { mochaSuites } from './lib/suites.mjs';
import { makePackage } from './package.mjs';
import { runMocha } from './test-suite.mjs';
import { installVscodeServer, serverRunsHere } from './vscode/install.mjs';
import { defaultLaunchers, runVscodeSuite } from './vscode/run-suite.mjs';

const logs = inProject('artifacts', 'logs');
const total = { passed: 0, failed: 0, skipped: 0 };
const started = Date.now();

/** Two steps at a time use the machine well; suites that measure time come after them, alone. */
const lanes = 2;
const measuringSuites = ['performance'];
/** What of the VS Code suite also runs against the installed package. */
const packageSmokeTest = 'the extension';

/** Tests that run once more, with a region for everything that runs or with regions that come and go: nobody may notice. */
const translations = [
  { name: 'unit, regions at once', pattern: /^src\/vmm\/translate\//, translation: 'eager' },
  { name: 'unit, regions at random', pattern: /^src\/vmm\/machine\/(exactness|boundaries|machine|long-mode)\.test/, translation: 'random' },
];

function repeated(suites) {
  const { files } = suites.find(({ name }) => name === 'unit');
  return translations.map(({ name, pattern, translation }) => ({ name, files: files.filter((file) => pattern.test(file)), env: { RINGSIDE_TRANSLATION: translation } }));
}

/** A step returns counts and, when something failed, what to print. A step that throws has failed. */
async function step(name, action) {
  const begin = Date.now();
  let result;
  try {
    result = await action();
  } catch (error) {
    result = { check: true, passed: 0, failed: 1, skipped: 0, details: error.errors ? describeFailure(error) : error.stack };
  }
  for (const key of Object.keys(total)) total[key] += result[key];
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  const counts = result.check ? (result.failed ? 'failed' : 'passed') : `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
  console.log(`${result.failed ? '✘' : '✔'} ${name}: ${counts} (${seconds} s)`);
  if (result.details) console.log(result.details.replace(/^/gm, '    '));
}

/** A program that succeeds or fails as a whole. */
async function check(command, args) {
  const { status, output } = await run(command, args, { quiet: true });
  return { check: true, passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0, details: status === 0 ? undefined : output.trim() };
}

async function suite(one) {
  const { passed, failed, skipped, output } = await runMocha(one, { quiet: true, options: ['--no-color'] });
  fs.writeFileSync(path.join(logs, `${one.name}.log`), output);
  return { passed, failed, skipped, details: [...skippedTitles(output), ...(failed > 0 ? [failuresOf(output)] : [])].join('\n') };
}

async function vscodeSuite(launcher, options) {
  const lines = [];
  const counts = await runVscodeSuite(launcher, { ...options, log: (text) => lines.push(text) });
  const telling = counts.failed > 0 ? lines : lines.filter((line) => /^\s+- /.test(line));
  return { ...counts, details: telling.join('\n') };
}

/** The part of mocha's output that follows the counts; all of it when mocha did not get that far. */
function failuresOf(output) {
  const counts = output.search(/^ {2}\d+ passing/m);
  return (counts < 0 ? output.slice(-20_000) : output.slice(counts)).trimEnd();
}

function skippedTitles(output) {
  const listing = output.split(/^ {2}\d+ passing/m)[0]; // what follows may quote anything
  return [...listing.matchAll(/^ +- (.+)$/gm)].map(([, title]) => `skipped: ${title}`);
}

async function inLanes(steps) {
  const waiting = [...steps];
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await step(...next);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Programs that the tests call; one after the other, since Debian's package manager runs once at a time. */
async function preparePrograms() {
  await ensureCommand(['nasm'], ['nasm'], 'the assembler is compared with it');
  if (!process.env.CHROMIUM && serverRunsHere) await ensureCommand(['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'], ['chromium'], 'shows VS Code in tests');
}

await ensureDependencies();
fs.rmSync(inProject('artifacts'), { recursive: true, force: true });
fs.mkdirSync(logs, { recursive: true });

const launchers = defaultLaunchers();
const server = launchers.includes('electron') && launchers.length === 1 ? undefined : installVscodeServer();
server?.catch(() => undefined); // reported by the suites that need it
await Promise.all([
  preparePrograms(),
  step('build', async () => { await build(); return { check: true, passed: 1, failed: 0, skipped: 0 }; }),
]);

const suites = mochaSuites();
await inLanes([
  ['type check', () => check(process.execPath, [inProject('node_modules/typescript/bin/tsc'), '--noEmit', '-p', root])],
  ['lint', () => check(process.execPath, [inProject('node_modules/eslint/bin/eslint.js'), root])],
  ...[...suites.filter(({ name }) => !measuringSuites.includes(name)), ...repeated(suites)].map((one) => [one.name, () => suite(one)]),
]);
for (const one of suites.filter(({ name }) => measuringSuites.includes(name))) await step(one.name, () => suite(one));

await server?.catch(() => undefined);
for (const launcher of launchers) await step(`VS Code, ${launcher}`, () => vscodeSuite(launcher));
let vsix;
await step('package', async () => {
  vsix = await makePackage({ quiet: true });
  return { check: true, passed: 1, failed: 0, skipped: 0, details: vsix.summary };
});
if (vsix && launchers.includes('server')) await step('VS Code, installed package', () => vscodeSuite('server', { vsix: vsix.file, grep: packageSmokeTest }));

console.log(`\n${((Date.now() - started) / 60_000).toFixed(1)} minutes. Logs and screenshots are in artifacts/.`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);
