// Real guests that nobody here wrote, from Debian packages of pinned versions (tools/guests.json): downloaded with apt-get, checked against
// their SHA-256; the files named there are kept in the user's cache directory, never committed. Packages marked "large" are fetched for
// `npm run guests` only, which then runs every check of test/guests/checks.ts. Tests find the files by name through test/support/guests.ts.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { build, describeFailure } from './build.mjs';
import { cacheDirectory, fillOnce } from './lib/cache.mjs';
import { debianMissing, downloadPackage } from './lib/debian.mjs';
import { initramfs } from './lib/initramfs.mjs';
import { isMain } from './lib/main.mjs';
import { inProject } from './lib/project.mjs';
import { run, runOrThrow } from './lib/run.mjs';

/** Architectures for which an initial ramdisk is made of busybox. */
const ramdisks = ['i386', 'amd64'];

/**
 * Fetches what is not there yet.
 * @param {{ large?: boolean }} options whether large packages are wanted, too
 * @returns {Promise<{ index: string, files: Record<string, { path: string } | { missing: string }> }>} `index` is the JSON file of `files`
 */
export async function fetchGuests({ large = false } = {}) {
  const pins = fs.readFileSync(inProject('tools', 'guests.json'), 'utf8');
  const packages = JSON.parse(pins);
  const files = {};
  for (const wanted of packages) {
    const folder = cacheDirectory('guests', `${wanted.package}-${wanted.sha256.slice(0, 16)}`);
    // The folder's name does not tell which files of the package it holds.
    const there = Object.values(wanted.files).every((inside) => fs.existsSync(path.join(folder, inside)));
    let problem;
    if (!there && wanted.large && !large) problem = `${wanted.package} is large; npm run guests fetches it`;
    else if (!there) problem = await fetchPackage(wanted, folder);
    if (problem && !wanted.large) console.log(problem);
    for (const [name, inside] of Object.entries(wanted.files)) files[name] = problem ? { missing: problem } : { path: path.join(folder, inside) };
  }
  for (const architecture of ramdisks) files[`initramfs-${architecture}`] = ramdisk(files[`busybox-${architecture}`], architecture);
  // Checkouts of several versions share the cache.
  const index = cacheDirectory('guests', `index-${createHash('sha256').update(pins).update(JSON.stringify(files)).digest('hex').slice(0, 16)}.json`);
  fs.mkdirSync(path.dirname(index), { recursive: true });
  // `ringside bench --guests` knows only the last one.
  for (const file of [index, cacheDirectory('guests', 'index.json')]) fs.writeFileSync(file, JSON.stringify(files, undefined, 2));
  return { index, files };
}

/** Downloads, checks and unpacks one package into `folder`; what went wrong, in words, or undefined. */
async function fetchPackage(wanted, folder) {
  const label = `${wanted.package} ${wanted.version}`;
  const missing = debianMissing();
  if (missing) return `Guests of ${label} are not available: ${missing}.`;
  try {
    fs.rmSync(folder, { recursive: true, force: true });
    await fillOnce(folder, (partial) => downloadAndUnpack(wanted, label, partial));
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Kernel packages hold hundreds of megabytes of modules: only the files that are named stay. */
async function downloadAndUnpack(wanted, label, folder) {
  const file = await downloadPackage(wanted, folder);
  const digest = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  if (digest !== wanted.sha256) {
    throw new Error(`${label} is not the package that tools/guests.json pins: its SHA-256 is ${digest}, expected ${wanted.sha256}. Check it, then update the pin.`);
  }
  const unpacked = path.join(folder, 'unpacked'), kept = path.join(folder, 'kept');
  await runOrThrow('dpkg-deb', ['--extract', file, unpacked], { quiet: true });
  for (const inside of Object.values(wanted.files)) {
    fs.mkdirSync(path.dirname(path.join(kept, inside)), { recursive: true });
    fs.copyFileSync(path.join(unpacked, inside), path.join(kept, inside));
  }
  return kept;
}

/** The initial ramdisk with this busybox, made when its contents are new. */
function ramdisk(busybox, architecture) {
  if (busybox.missing) return busybox;
  const bytes = initramfs(fs.readFileSync(busybox.path));
  const file = cacheDirectory('guests', `initramfs-${architecture}-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}.gz`);
  if (!fs.existsSync(file)) {
    const partial = `${file}.${process.pid}`;
    fs.writeFileSync(partial, bytes);
    fs.renameSync(partial, file);
  }
  return { path: file };
}

if (isMain(import.meta.url)) {
  const { index, files } = await fetchGuests({ large: true });
  for (const [name, found] of Object.entries(files)) console.log(`${name.padEnd(18)} ${found.path ?? `missing: ${found.missing}`}`);
  try {
    await build({ groups: ['guest-checks'] });
    console.log();
    const { status } = await run(process.execPath, ['--enable-source-maps', inProject('dist/test/guests/run-checks.js'), ...process.argv.slice(2)], { env: { RINGSIDE_GUESTS: index } });
    process.exitCode = status;
  } catch (error) {
    console.error(describeFailure(error));
    process.exitCode = 1;
  }
}
