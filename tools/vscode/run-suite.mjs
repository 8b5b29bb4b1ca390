// Runs the suite of test/vscode inside a real VS Code:
//   node tools/vscode/run-suite.mjs [--launcher=server|web|electron] [--grep=TEXT] [--vsix=FILE] [--no-build]
//   server    the extension in the Node extension host of VS Code's server build, the workbench in headless Chromium
//   web       the same workbench, the extension's browser entry in the web extension host, as on vscode.dev
//   electron  desktop VS Code, downloaded by @vscode/test-electron
// The default is VSCODE_TEST (a list with commas), else server,web where the server build runs (Linux on x64), else electron.
// --vsix tests an installed package instead of this folder.
// The suite gets a copy of samples/ as its workspace, with guests from Debian packages (tools/guests.mjs) in guests/ and the address of the
// hook server in .testhook.json. What VS Code and the extension write to the console is kept in artifacts/logs/.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fetchGuests } from '../guests.mjs';
import { extendedRamdisk } from '../lib/initramfs.mjs';
import { ensureDependencies } from '../lib/dependencies.mjs';
import { isMain } from '../lib/main.mjs';
import { inProject, root } from '../lib/project.mjs';
import { launchChromium } from './chromium.mjs';
import { startHookServer } from './hook-server.mjs';
import { serverRunsHere } from './install.mjs';
import { workbenchAddress } from './page.mjs';
import { startVscodeServer } from './server.mjs';
import { startWebFront } from './web-front.mjs';

const bundles = { node: '/dist/test/vscode/index.js', web: '/dist/test/vscode/web.js' };
const workbenchTimeoutMs = 60_000;
const defaultTimeoutMs = 300_000;
const windowSize = { width: 1400, height: 900 };

/** Drivers that the 686 kernel needs for a virtio console and a shared folder, in the order in which they need each other: a ramdisk with them in /m, and /drivers to load them. */
const virtioModules = ['virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_console', 'netfs', 'fscache', '9pnet', '9pnet_virtio', '9p'];

function addVirtioRamdisk(guests) {
  const file = (name) => path.join(guests, name);
  if (!['initramfs-i386', ...virtioModules.map((name) => `${name}.ko`)].every((name) => fs.existsSync(file(name)))) return;
  const script = `#!/bin/sh\n${virtioModules.map((name) => `insmod /m/${name}.ko || exit 1`).join('\n')}\n`;
  fs.writeFileSync(file('initramfs-virtio'), extendedRamdisk(fs.readFileSync(file('initramfs-i386')), [
    { path: 'm', directory: true }, ...virtioModules.map((name) => ({ path: `m/${name}.ko`, bytes: fs.readFileSync(file(`${name}.ko`)) })),
    { path: 'drivers', bytes: Buffer.from(script), executable: true },
  ]));
}

/**
 * @param {'server' | 'web' | 'electron'} launcher
 * @param {{ extension?: string, tests?: string, vsix?: string, grep?: string, timeoutMs?: number, log?: (text: string) => void }} options
 * `extension` and `tests` are absolute; the defaults are this project and its suite.
 * @returns {Promise<{ passed: number, failed: number, skipped: number }>}
 */
export async function runVscodeSuite(launcher, { extension = root, tests, vsix, grep, timeoutMs = defaultTimeoutMs, log = console.log } = {}) {
  const launch = launchers[launcher];
  if (!launch) throw new Error(`unknown launcher ${launcher}; there are ${Object.keys(launchers).join(', ')}`);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-suite-'));
  const workspace = path.join(scratch, 'samples');
  fs.mkdirSync(workspace);
  if (fs.existsSync(inProject('samples'))) fs.cpSync(inProject('samples'), workspace, { recursive: true });
  fs.mkdirSync(path.join(workspace, 'guests'));
  for (const [name, found] of Object.entries((await fetchGuests()).files)) {
    if (found.path) fs.copyFileSync(found.path, path.join(workspace, 'guests', name));
  }
  addVirtioRamdisk(path.join(workspace, 'guests'));

  const screenshots = inProject('artifacts', 'screenshots', vsix ? `${launcher}-vsix` : launcher);
  fs.rmSync(screenshots, { recursive: true, force: true });
  const logFile = inProject('artifacts', 'logs', `${path.basename(screenshots)}.log`);
  fs.mkdirSync(path.dirname(logFile), { recursive: true });
  fs.writeFileSync(logFile, '');
  const keep = (text) => fs.appendFileSync(logFile, `${text}\n`);
  let counts;
  const stage = { page: undefined };
  const hook = await startHookServer({ page: () => stage.page, screenshots, onPrint: log, onResults: (results) => { counts = results; } });
  fs.writeFileSync(path.join(workspace, '.testhook.json'), JSON.stringify({ url: hook.url, launcher, grep }));
  try {
    const status = await launch({
      stage, log, keep, scratch, workspace, screenshots, timeoutMs, vsix, extension,
      tests: tests ?? path.join(root, launcher === 'web' ? bundles.web : bundles.node),
    });
    counts ??= { passed: 0, failed: 0, skipped: 0 };
    if (status !== 0 && counts.failed === 0) {
      log(`The suite ended with status ${status} without reporting a failed test.`);
      counts.failed = 1;
    }
    if (counts.passed + counts.failed + counts.skipped === 0) {
      log('The suite ran no tests.');
      counts.failed = 1;
    }
    if (counts.failed > 0) log(`The log of VS Code: ${path.relative(root, logFile)}`);
    return { passed: counts.passed, failed: counts.failed, skipped: counts.skipped };
  } finally {
    hook.close();
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What to launch when nobody says it. */
export function defaultLaunchers() {
  return (process.env.VSCODE_TEST ?? (serverRunsHere ? 'server,web' : 'electron')).split(',');
}

const launchers = {
  async server({ stage, log, keep, scratch, workspace, screenshots, timeoutMs, vsix, extension, tests }) {
    const server = await startVscodeServer({ vsix });
    try {
      // An installed package is what is tested; VS Code still wants some extension 'under development' before it runs a suite.
      const developed = vsix ? emptyExtension(scratch) : extension;
      const address = workbenchAddress({ authority: server.authority, folder: workspace, extension: developed, tests });
      return await inBrowser({ stage, log, keep, address, screenshots, timeoutMs });
    } finally {
      keep(server.log());
      await server.stop();
    }
  },

  async web({ stage, log, keep, workspace, screenshots, timeoutMs, extension, tests }) {
    const server = await startVscodeServer();
    const front = await startWebFront({ serverPort: server.port, extension, tests: `/${path.relative(extension, tests)}` });
    try {
      const address = workbenchAddress({ authority: server.authority, front: front.authority, folder: workspace });
      return await inBrowser({ stage, log, keep, address, screenshots, timeoutMs });
    } finally {
      front.close();
      keep(server.log());
      await server.stop();
    }
  },

  async electron({ log, scratch, workspace, extension, tests }) {
    const { runTests } = await import('@vscode/test-electron');
    const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    try {
      return await runTests({
        extensionDevelopmentPath: extension, extensionTestsPath: tests,
        launchArgs: [workspace, '--disable-extensions', '--disable-workspace-trust', '--user-data-dir', path.join(scratch, 'user'), ...asRoot],
      });
    } catch (error) {
      log(`Desktop VS Code could not run the suite: ${error.message}`);
      return 1;
    }
  },
};

/** Opens the workbench and waits for the suite's exit code; -1 when it did not end in time. */
async function inBrowser({ stage, log, keep, address, screenshots, timeoutMs }) {
  const browser = await launchChromium();
  try {
    const page = await (await browser.newContext({ viewport: windowSize })).newPage();
    stage.page = page;
    const finished = new Promise((resolve) => { page.exposeFunction('codeAutomationExit', (code) => resolve(code)); });
    await page.exposeFunction('codeAutomationLog', (_kind, args) => keep(args.map(asText).join(' ')));
    page.on('pageerror', (error) => keep(`[workbench] ${error.stack}`));
    page.on('crash', () => log('[workbench] the page crashed'));
    await page.goto(address);
    await page.waitForSelector('.monaco-workbench', { timeout: workbenchTimeoutMs });
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(() => resolve(-1), timeoutMs); });
    const code = await Promise.race([finished, late]);
    clearTimeout(timer);
    if (code === -1) {
      fs.mkdirSync(screenshots, { recursive: true });
      await page.screenshot({ path: path.join(screenshots, 'timeout.png') });
      log(`The suite did not end within ${timeoutMs / 1000} s ; ${path.relative(root, screenshots)}/timeout.png shows its window.`);
    }
    return code;
  } finally {
    stage.page = undefined;
    await browser.close();
  }
}

function asText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function emptyExtension(scratch) {
  const folder = path.join(scratch, 'empty-extension');
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'empty', publisher: 'ringside', version: '0.0.0', engines: { vscode: '*' } }));
  return folder;
}

if (isMain(import.meta.url)) {
  const { values } = parseArgs({
    options: { launcher: { type: 'string' }, grep: { type: 'string' }, vsix: { type: 'string' }, 'no-build': { type: 'boolean' } },
  });
  await ensureDependencies();
  if (!values['no-build']) {
    const { build } = await import('../build.mjs');
    await build({ groups: ['product', 'vscode-tests'] });
  }
  let failed = 0;
  for (const launcher of values.launcher?.split(',') ?? defaultLaunchers()) {
    console.log(`VS Code suite, ${launcher}`);
    try {
      const counts = await runVscodeSuite(launcher, { grep: values.grep, vsix: values.vsix && path.resolve(values.vsix) });
      console.log(`${launcher}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
      failed += counts.failed;
    } catch (error) {
      console.error(`${launcher}: ${error.message}`);
      failed++;
    }
  }
  process.exit(failed > 0 ? 1 : 0);
}
