// Debian packages of any architecture, downloaded by apt-get from the sources that this system names, with package lists of our own in the
// cache: the system's configuration, lists and architectures stay as they are, and root is not needed.
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from './cache.mjs';
import { onPath, run } from './run.mjs';

const architectures = ['amd64', 'i386'];

let updated;

/** What is missing here to get Debian packages, in words; undefined when all is there. */
export function debianMissing() {
  return onPath('apt-get') && onPath('dpkg-deb') ? undefined : 'they come from Debian packages, and apt-get or dpkg-deb is missing here';
}

/**
 * Downloads one package of exactly this version into `folder`.
 * @returns {Promise<string>} the path of the .deb
 */
export async function downloadPackage({ package: name, version, architecture }, folder) {
  const qualified = architecture === 'all' ? name : `${name}:${architecture}`;
  const attempt = () => apt('apt-get', ['download', `${qualified}=${version}`], folder);
  let result = await attempt();
  if (result.status !== 0) {
    await (updated ??= updateLists());
    result = await attempt();
  }
  const file = fs.readdirSync(folder).find((entry) => entry.endsWith('.deb'));
  if (result.status === 0 && file) return path.join(folder, file);
  const { output } = await apt('apt-cache', ['policy', qualified]);
  const candidate = /Candidate: (\S+)/.exec(output)?.[1];
  if (candidate && candidate !== '(none)' && candidate !== version) {
    throw new Error(`${name} has moved on: Debian now offers ${candidate}, tools/guests.json pins ${version}. Try the new version, then update version and sha256 there.`);
  }
  if (/Unable to locate package/.test(result.output)) {
    throw new Error(`${name} is no longer offered for ${architecture} by this system's package sources. tools/guests.json pins ${version}: look for its successor there (Debian 12) and update the row.`);
  }
  throw new Error(`${name} ${version} could not be downloaded with apt-get: ${result.output.trim().split('\n').at(-1)}`);
}

function apt(command, args, cwd) {
  const lists = cacheDirectory('apt', 'lists'), cache = cacheDirectory('apt', 'cache');
  for (const folder of [path.join(lists, 'partial'), path.join(cache, 'archives', 'partial')]) fs.mkdirSync(folder, { recursive: true });
  const options = {
    'APT::Architecture': architectures[0], 'Dir::State::Lists': lists, 'Dir::Cache': cache, 'Acquire::Languages': 'none', 'APT::Sandbox::User': 'root',
  };
  return run(command, [
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]), ...architectures.flatMap((one) => ['-o', `APT::Architectures::=${one}`]), ...args,
  ], { cwd, quiet: true });
}

/** Sources that do not answer, or have nothing for an architecture, do not matter: what is missing is told when it is wanted. */
function updateLists() {
  return apt('apt-get', ['update']);
}
