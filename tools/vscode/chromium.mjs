// The browser that shows the workbench in tests: Debian's Chromium or any Chrome that is installed, driven by playwright-core.
import fs from 'node:fs';
import { ensureCommand } from '../lib/apt.mjs';
import { onPath } from '../lib/run.mjs';
import { execFileSync } from 'node:child_process';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Quiet and self-contained: no sandbox (tests may run as root), no GPU, nothing that talks to the network by itself. */
const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];

/** Launches a headless browser. @throws with what to install when there is none. */
export async function launchChromium() {
  const executablePath = process.env.CHROMIUM ?? await find();
  if (!executablePath || !fs.existsSync(executablePath)) {
    throw new Error('The VS Code suites need Chromium or Chrome: install it, or name it in the environment variable CHROMIUM.');
  }
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath, headless: true, args: flags });
}

async function find() {
  const name = names.find(onPath) ?? await ensureCommand(names, ['chromium'], 'shows VS Code in tests');
  return name && execFileSync('which', [name], { encoding: 'utf8' }).trim();
}
