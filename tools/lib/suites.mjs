// Which mocha suites exist and where their bundles go. `unit` is every X.test.ts beside its source; every folder of test/ with *.test.ts
// files is a suite of its own name. test/vscode runs inside VS Code and is not one of these.
import fs from 'node:fs';
import path from 'node:path';
import { inProject, root } from './project.mjs';

/** @returns {{ name: string, files: string[] }[]} source files relative to the root, sorted. */
export function mochaSuites() {
  const suites = [{ name: 'unit', files: testFiles('src') }];
  const folders = fs.existsSync(inProject('test')) ? fs.readdirSync(inProject('test'), { withFileTypes: true }) : [];
  for (const entry of folders) {
    if (!entry.isDirectory() || entry.name === 'vscode') continue;
    const files = testFiles(path.posix.join('test', entry.name));
    if (files.length > 0) suites.push({ name: entry.name, files });
  }
  return suites;
}

/** The bundle that a test's source file is built to. */
export function bundleOf(source) {
  const name = source.replace(/\.ts$/, '.js');
  return name.startsWith('src/') ? `dist/test/unit/${name.slice('src/'.length)}` : `dist/${name}`;
}

function testFiles(folder) {
  if (!fs.existsSync(inProject(folder))) return [];
  return fs.readdirSync(inProject(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join('/'))
    .sort();
}
