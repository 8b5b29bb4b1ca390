// Real guests that nobody here wrote, from Debian packages of pinned versions (tools/guests.json): downloaded with apt-get, checked against
// their SHA-256 and unpacked in the user's cache directory, never committed. `npm run guests` fetches them and says where they are.
// Tests find them by name through test/support/guests.ts.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory, fillOnce } from './lib/cache.mjs';
import { isMain } from './lib/main.mjs';
import { inProject } from './lib/project.mjs';
import { onPath, run, runOrThrow } from './lib/run.mjs';

/**
 * Fetches what is not there yet.
 * @returns {Promise<{ index: string, files: Record<string, { path: string } | { missing: string }> }>} `index` is the JSON file of `files`
 */
export async function fetchGuests() {
  const packages = JSON.parse(fs.readFileSync(inProject('tools', 'guests.json'), 'utf8'));
  const files = {};
  for (const wanted of packages) {
    const folder = cacheDirectory('guests', `${wanted.package}-${wanted.sha256.slice(0, 16)}`);
    const problem = fs.existsSync(folder) ? undefined : await fetchPackage(wanted, folder);
    if (problem) console.log(problem);
    for (const [name, inside] of Object.entries(wanted.files)) {
      files[name] = problem ? { missing: problem } : { path: path.join(folder, inside) };
    }
  }
  const index = cacheDirectory('guests', 'index.json');
  fs.mkdirSync(path.dirname(index), { recursive: true });
  fs.writeFileSync(index, JSON.stringify(files, undefined, 2));
  return { index, files };
}

/** Downloads, checks and unpacks one package into `folder`; what went wrong, in words, or undefined. */
async function fetchPackage(wanted, folder) {
  const label = `${wanted.package} ${wanted.version}`;
  if (!onPath('apt-get') || !onPath('dpkg-deb')) return `Guests of ${label} are not available: they come from Debian packages, and apt-get or dpkg-deb is missing here.`;
  try {
    await fillOnce(folder, (partial) => downloadAndUnpack(wanted, label, partial));
    return undefined;
  } catch (error) {
    return error.message;
  }
}

async function downloadAndUnpack(wanted, label, folder) {
  const file = await download(wanted, folder);
  const digest = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  if (digest !== wanted.sha256) {
    throw new Error(`${label} is not the package that tools/guests.json pins: its SHA-256 is ${digest}, expected ${wanted.sha256}. Check it, then update the pin.`);
  }
  const unpacked = path.join(folder, 'unpacked');
  await runOrThrow('dpkg-deb', ['--extract', file, unpacked], { quiet: true });
  return unpacked;
}

async function download({ package: name, version, architecture }, folder) {
  const qualified = architecture === 'all' ? name : `${name}:${architecture}`;
  const attempt = () => run('apt-get', ['download', `${qualified}=${version}`], { cwd: folder, quiet: true });
  let result = await attempt();
  if (result.status !== 0 && process.getuid?.() === 0) {
    await run('apt-get', ['update'], { quiet: true }); // a fresh machine's package lists may be empty or old
    result = await attempt();
  }
  const file = fs.readdirSync(folder).find((entry) => entry.endsWith('.deb'));
  if (result.status === 0 && file) return path.join(folder, file);
  const { output } = await run('apt-cache', ['policy', name], { quiet: true });
  const candidate = /Candidate: (\S+)/.exec(output)?.[1];
  if (candidate && candidate !== '(none)' && candidate !== version) {
    throw new Error(`${name} has moved on: Debian now offers ${candidate}, tools/guests.json pins ${version}. Try the new version, then update version and sha256 there.`);
  }
  throw new Error(`${name} ${version} could not be downloaded with apt-get: ${result.output.trim().split('\n').at(-1)}`);
}

if (isMain(import.meta.url)) {
  const { files } = await fetchGuests();
  for (const [name, found] of Object.entries(files)) console.log(`${name.padEnd(18)} ${found.path ?? 'missing'}`);
  process.exitCode = Object.values(files).some((found) => found.missing) ? 1 : 0;
}
