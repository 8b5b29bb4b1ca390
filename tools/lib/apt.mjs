// Debian packages that the tests need: installed when we may (root on a Debian-like system), else named precisely.
import { onPath, run } from './run.mjs';

let updated;

/**
 * Makes sure that one of `commands` is on the PATH, installing `packages` when it is missing and this process may.
 * @returns {Promise<string | undefined>} the command found, or undefined after printing what to install.
 */
export async function ensureCommand(commands, packages, purpose) {
  const found = () => commands.find(onPath);
  if (found()) return found();
  if (process.getuid?.() === 0 && onPath('apt-get')) {
    console.log(`Installing ${packages.join(', ')} (${purpose}) …`);
    await install(packages);
    if (found()) return found();
  }
  console.log(`${commands[0]} is missing (${purpose}). Install it, on Debian or Ubuntu with: sudo apt-get install ${packages.join(' ')}`);
  return undefined;
}

async function install(packages) {
  const attempt = () => run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { quiet: true, env: { DEBIAN_FRONTEND: 'noninteractive' } });
  // A fresh machine's package list may be empty or old: try what is there, then update once.
  if ((await attempt()).status === 0) return;
  updated ??= run('apt-get', ['update'], { quiet: true });
  await updated;
  const { status, output } = await attempt();
  if (status !== 0) console.log(output);
}
