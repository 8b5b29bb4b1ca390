// Builds everything that runs: node tools/build.mjs [--production] [--watch] [--only=product,tests,vscode-tests]
//   product       the two extension entries, their workers, the webviews, the command line
//   tests         one bundle per mocha test file
//   guest-checks  what npm run guests runs
//   start-time    the measurement of tools/vscode/measure-start.mjs
//   vscode-tests  the suite that runs inside VS Code, for the Node and for the web extension host
import fs from 'node:fs';
import { ensureDependencies } from './lib/dependencies.mjs';
import { isMain } from './lib/main.mjs';
import { inProject, root } from './lib/project.mjs';
import { bundleOf, mochaSuites } from './lib/suites.mjs';

/** @vscode/debugadapter reaches for these Node modules in parts that a browser never runs. */
const absentInBrowser = ['url', 'net', 'fs', 'os'];

const browserShims = {
  name: 'browser-shims',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(${absentInBrowser.join('|')})$`) }, ({ path: name }) => ({ path: name, namespace: 'absent' }));
    build.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** The VS Code suite asserts with Node's module; in the web extension host the npm package of the same interface stands in. */
const browserAssert = {
  name: 'browser-assert',
  setup(build) {
    build.onResolve({ filter: /^node:assert\/strict$/ }, () => ({ path: 'strict', namespace: 'assert' }));
    build.onLoad({ filter: /.*/, namespace: 'assert' }, () => ({ contents: "module.exports = require('assert').strict;", resolveDir: root }));
  },
};

/** What that package asks of Node's `process`, visible in the suite's own bundle only. */
const processForAssert = 'const process = { env: {}, stderr: {}, nextTick: queueMicrotask, emitWarning() {} };';

const node = { platform: 'node', format: 'cjs', target: 'node20' };
const browser = { platform: 'browser', format: 'iife', target: 'es2022' };
const webExtension = { ...browser, format: 'cjs', alias: { path: 'path-browserify' }, plugins: [browserShims] };

/** Every bundle of the product, in the order of the design's rooms. */
const productBundles = [
  { entry: 'src/extension/node.ts', out: 'dist/extension.js', options: { ...node, external: ['vscode'] } },
  { entry: 'src/worker/node-worker.ts', out: 'dist/worker.js', options: node },
  { entry: 'src/worker/node-compiler-worker.ts', out: 'dist/compiler.js', options: node },
  { entry: 'src/extension/browser.ts', out: 'dist/web/extension.js', options: { ...webExtension, external: ['vscode'] } },
  { entry: 'src/worker/browser-worker.ts', out: 'dist/web/worker.js', options: browser },
  { entry: 'src/cli/main.ts', out: 'dist/cli.js', options: { ...node, external: ['v86'], banner: { js: '#!/usr/bin/env node' } } },
  ...webviewBundles(),
];

const guestCheckBundles = [{ entry: 'test/guests/run-checks.ts', out: 'dist/test/guests/run-checks.js', options: node }];

const vscodeTestBundles = [
  { entry: 'test/vscode/index.ts', out: 'dist/test/vscode/index.js', options: { ...node, external: ['vscode', 'mocha'] } },
  {
    entry: 'test/vscode/web.ts', out: 'dist/test/vscode/web.js',
    options: { ...webExtension, external: ['vscode'], plugins: [browserShims, browserAssert], banner: { js: processForAssert } },
  },
];

const startTimeBundles = [{ entry: 'test/vscode/start-time.ts', out: 'dist/test/vscode/start-time.js', options: { ...node, external: ['vscode'] } }];

const bundlesOf = { 'start-time': startTimeBundles, product: productBundles, 'guest-checks': guestCheckBundles, 'vscode-tests': vscodeTestBundles };

function webviewBundles() {
  if (!fs.existsSync(inProject('src/webviews'))) return [];
  return fs.readdirSync(inProject('src/webviews')).sort()
    .filter((name) => fs.existsSync(inProject('src/webviews', name, 'main.ts')))
    .map((name) => ({ entry: `src/webviews/${name}/main.ts`, out: `dist/webviews/${name}.js`, options: browser }));
}

/** esbuild configurations of one group; `select` limits the tests to source files that it accepts. */
function configurations(group, { production, select = () => true }) {
  const common = {
    absWorkingDir: root, bundle: true, logLevel: 'warning', legalComments: production ? 'eof' : 'none',
    minify: production, sourcemap: production ? false : 'linked', loader: { '.html': 'text', '.svg': 'text', '.asm': 'text', '.inc': 'text', '.md': 'text' },
  };
  if (group === 'tests') {
    const files = mochaSuites().flatMap((suite) => suite.files).filter(select);
    if (files.length === 0) return [];
    const entryPoints = files.map((file) => ({ in: file, out: bundleOf(file).replace(/^dist\/test\//, '').replace(/\.js$/, '') }));
    // Packages stay outside: some (iced-x86) load files that stand beside them.
    return [{ ...common, ...node, minify: false, sourcemap: 'linked', packages: 'external', entryPoints, outdir: 'dist/test' }];
  }
  return bundlesOf[group].map(({ entry, out, options }) => ({ ...common, ...options, entryPoints: [entry], outfile: out }));
}

/**
 * @param {{ groups?: string[], production?: boolean, watch?: boolean, select?: (source: string) => boolean }} options
 * @throws when a bundle cannot be built; esbuild has printed why.
 */
export async function build({ groups = ['product', 'tests', 'vscode-tests'], production = false, watch = false, select } = {}) {
  await ensureDependencies();
  const esbuild = await import('esbuild');
  if (production) removeProduct();
  const all = groups.flatMap((group) => configurations(group, { production, select }));
  if (watch) {
    for (const configuration of all) await (await esbuild.context({ ...configuration, logLevel: 'info' })).watch();
    return;
  }
  // Every bundle is tried, so that one run shows every error.
  const results = await Promise.allSettled(all.map((configuration) => esbuild.build(configuration)));
  const failure = results.find(({ status }) => status === 'rejected');
  if (failure) throw failure.reason;
  const cli = inProject('dist/cli.js');
  if (fs.existsSync(cli)) fs.chmodSync(cli, 0o755);
}

/** What is shipped must be what was just built: no bundle or source map of an earlier build stays. Test bundles do not matter. */
function removeProduct() {
  for (const { out } of productBundles) {
    for (const file of [out, `${out}.map`]) fs.rmSync(inProject(file), { force: true });
  }
  fs.rmSync(inProject('dist/webviews'), { recursive: true, force: true });
}

/** esbuild has already printed its errors, with the source lines. */
export function describeFailure(error) {
  return error.errors ? 'The build failed.' : error.message;
}

if (isMain(import.meta.url)) {
  const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length).split(',');
  const production = process.argv.includes('--production');
  try {
    await build({ groups: only, production, watch: process.argv.includes('--watch') });
  } catch (error) {
    console.error(describeFailure(error));
    process.exitCode = 1;
  }
}
