// npm start: installs, builds, and opens VS Code on samples/ with the extension loaded. Desktop VS Code when there is one, else VS Code's
// server build on localhost.
//   npm start                   desktop if `code` is there, else the server
//   npm start -- --server       the server in any case   [--port=N]
//   npm start -- --headless     no VS Code: the default sample in this terminal, with its registers and counters
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { build, describeFailure } from './build.mjs';
import { cacheDirectory } from './lib/cache.mjs';
import { inProject, root } from './lib/project.mjs';
import { onPath, run } from './lib/run.mjs';
import { serverRunsHere } from './vscode/install.mjs';
import { workbenchAddress } from './vscode/page.mjs';
import { startVscodeServer } from './vscode/server.mjs';

const defaultSample = 'samples/hello.asm';
const defaultPort = 8714;

const { values } = parseArgs({ options: { headless: { type: 'boolean' }, server: { type: 'boolean' }, port: { type: 'string' } } });

try {
  await build({ groups: ['product'] });
  if (values.headless) process.exitCode = await runSample();
  else if (!values.server && desktopRunsHere()) process.exitCode = await openDesktop();
  else await serve(Number(values.port ?? defaultPort));
} catch (error) {
  console.error(describeFailure(error));
  process.exitCode = 1;
}

async function runSample() {
  process.on('SIGINT', () => undefined); // Ctrl-C is for the guest's machine, which ends with its counters
  const { status } = await run(process.execPath, [inProject('dist/cli.js'), 'run', defaultSample, '--registers', '--counters', 'table']);
  return status;
}

/** `code` may also be the remote command line inside a terminal of VS Code's server, or have no display to open on. */
function desktopRunsHere() {
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return false;
  return onPath('code') && spawnSync('code', ['--version'], { stdio: 'ignore', shell: process.platform === 'win32' }).status === 0;
}

async function openDesktop() {
  // VS Code refuses to run as root unless told where to keep its data.
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox', '--user-data-dir', cacheDirectory('vscode-user')] : [];
  const { status } = await run('code', ['--new-window', `--extensionDevelopmentPath=${root}`, inProject('samples'), ...asRoot]);
  if (status === 0) console.log('VS Code is open on samples/. Open hello.asm and press F5.');
  return status;
}

async function serve(port) {
  if (!serverRunsHere) {
    throw new Error('There is no `code` command on the PATH. Install desktop VS Code and its command (Command Palette: "Shell Command: Install \'code\' command in PATH"), then run npm start again.');
  }
  const server = await startVscodeServer({ port, dataDirectory: cacheDirectory('vscode-data') });
  const address = workbenchAddress({ authority: server.authority, folder: inProject('samples'), extension: root });
  console.log(`\nVS Code runs at\n\n  ${address}\n\nOpen it in a browser on this machine, open hello.asm and press F5. Ctrl-C ends it.`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await server.stop();
}
