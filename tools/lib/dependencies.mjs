// Keeps node_modules in step with package-lock.json. Plain Node, no dependencies: it is what runs first on a fresh clone.
import fs from 'node:fs';
import path from 'node:path';
import { root } from './project.mjs';
import { runOrThrow } from './run.mjs';

/** Runs `npm ci` unless every package of the lock file is installed in its version. */
export async function ensureDependencies() {
  const missing = firstDifference(root);
  if (missing === undefined) return;
  console.log(`Installing dependencies (${missing}) …`);
  await runOrThrow('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root });
}

/** What is installed differently from the lock file, in words; undefined when nothing is. */
export function firstDifference(folder) {
  const wanted = readPackages(path.join(folder, 'package-lock.json'));
  if (wanted === undefined) throw new Error('package-lock.json is missing or unreadable: restore it from the repository.');
  const installed = readPackages(path.join(folder, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'node_modules is missing';
  for (const [name, entry] of Object.entries(wanted)) {
    if (name === '' || entry.optional) continue; // optional packages may belong to another platform
    const present = installed[name]?.version;
    if (present !== entry.version) return `${name.replace(/^.*node_modules\//, '')} ${present ?? 'is missing'}, wanted ${entry.version}`;
  }
  return undefined;
}

function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
