// npm run package: an installable ringside-VERSION.vsix with what runs and nothing else (.vscodeignore lists it).
import fs from 'node:fs';
import { build, describeFailure } from './build.mjs';
import { isMain } from './lib/main.mjs';
import { inProject, root } from './lib/project.mjs';
import { runOrThrow } from './lib/run.mjs';

/** Bundles are complete (--no-dependencies); the package lives beside its sources and in no marketplace. */
const flags = ['--no-dependencies', '--allow-missing-repository', '--no-rewrite-relative-links'];

/** @returns {Promise<{ file: string, bytes: number, summary: string }>} */
export async function makePackage({ quiet = false } = {}) {
  await build({ groups: ['product'], production: true });
  const { name, version } = JSON.parse(fs.readFileSync(inProject('package.json'), 'utf8'));
  const file = inProject(`${name}-${version}.vsix`);
  fs.rmSync(file, { force: true });
  await runOrThrow(process.execPath, [inProject('node_modules/@vscode/vsce/vsce'), 'package', ...flags, '--out', file], { cwd: root, quiet });
  const bytes = fs.statSync(file).size;
  return { file, bytes, summary: `${name}-${version}.vsix: ${(bytes / 1024).toFixed(0)} KiB` };
}

if (isMain(import.meta.url)) {
  try {
    const { summary } = await makePackage();
    console.log(summary);
  } catch (error) {
    console.error(describeFailure(error));
    process.exitCode = 1;
  }
}
