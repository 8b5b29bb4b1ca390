// Starts VS Code's server on this machine, reachable from this machine only.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { run } from '../lib/run.mjs';
import { installVscodeServer } from './install.mjs';

const startTimeoutMs = 60_000;

/** Settings for a VS Code that should show the extension and nothing else. */
const quietSettings = {
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'security.workspace.trust.enabled': false,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'chat.disableAIFeatures': true,
  'git.enabled': false,
  'files.exclude': { '**/.testhook.json': true },
  'typescript.disableAutomaticTypeAcquisition': true,
};

/**
 * @param {{ port?: number, vsix?: string, dataDirectory?: string }} options
 * `vsix` is installed before the start. Settings and state live in `dataDirectory` and stay there; without one they end with the server.
 * @returns {Promise<{ port: number, authority: string, log: () => string, stop: () => Promise<void> }>}
 */
export async function startVscodeServer({ port, vsix, dataDirectory } = {}) {
  const { node, server } = await installVscodeServer();
  const data = dataDirectory ?? fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-vscode-'));
  const user = path.join(data, 'data', 'User');
  fs.mkdirSync(user, { recursive: true });
  const settings = path.join(user, 'settings.json');
  if (!fs.existsSync(settings)) fs.writeFileSync(settings, JSON.stringify(quietSettings, undefined, 2));

  const common = ['--accept-server-license-terms', '--server-data-dir', data];
  if (vsix) {
    const { status, output } = await run(node, [server, '--install-extension', vsix, '--force', ...common], { quiet: true });
    if (status !== 0) throw new Error(`VS Code refused ${vsix}:\n${output}`);
  }

  port = await freePort(port);
  const child = spawn(node, [
    server, ...common, '--host', '127.0.0.1', '--port', String(port), '--without-connection-token', '--telemetry-level', 'off',
    '--enable-smoke-test-driver', // else a built workbench ignores extensionDevelopmentPath and extensionTestsPath
    '--disable-workspace-trust', // else starting a debug session waits for an answer to a dialog
  ], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnvironment() });

  let log = '';
  let exited = false;
  const listening = new Promise((resolve, reject) => {
    const collect = (chunk) => {
      log += chunk;
      if (log.includes('Extension host agent listening')) resolve();
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    child.on('error', reject);
    child.on('exit', (status) => {
      exited = true;
      reject(new Error(`VS Code's server ended with status ${status}:\n${log}`));
    });
    setTimeout(() => reject(new Error(`VS Code's server did not start within ${startTimeoutMs / 1000} s:\n${log}`)), startTimeoutMs).unref();
  });

  const killAll = (signal) => {
    try {
      process.kill(-child.pid, signal); // the whole group: extension hosts are the server's children
    } catch {
      // already gone
    }
  };
  const onExit = () => {
    killAll('SIGKILL');
    if (!dataDirectory) fs.rmSync(data, { recursive: true, force: true, maxRetries: 3 });
  };
  process.on('exit', onExit);
  const stop = async () => {
    process.off('exit', onExit);
    killAll('SIGTERM');
    for (let waited = 0; !exited && waited < 3000; waited += 50) await new Promise((resolve) => setTimeout(resolve, 50));
    onExit();
  };

  try {
    await listening;
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, authority: `127.0.0.1:${port}`, log: () => log, stop };
}

/** VS Code's own Node must not inherit options that were meant for ours, nor believe that it runs inside another VS Code. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env)
    .filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('VSCODE_') && !name.startsWith('npm_')));
}

/** The preferred port, or any other when it is taken. */
function freePort(preferred = 0) {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.on('error', (error) => {
      if (preferred === 0) reject(error);
      else resolve(freePort());
    });
    probe.listen(preferred, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
