/** What must hold for the repository itself, so that a fresh clone works anywhere. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const lockFiles = ['package-lock.json', 'tools/vscode/package-lock.json'];

describe('the repository', () => {
  for (const file of lockFiles) {
    it(`records no registry in ${file}`, () => {
      const { packages } = JSON.parse(fs.readFileSync(file, 'utf8')) as { packages: Record<string, { resolved?: string; integrity?: string }> };
      const installed = Object.entries(packages).filter(([name]) => name !== '');
      assert.ok(installed.length > 50);
      assert.deepEqual(installed.filter(([, entry]) => entry.resolved !== undefined).map(([name]) => name), []);
    });
  }

  it('has lock files that agree with their package.json', () => {
    for (const file of lockFiles) {
      const lock = JSON.parse(fs.readFileSync(file, 'utf8')) as { packages: Record<string, Record<string, unknown>> };
      const manifest = JSON.parse(fs.readFileSync(file.replace('package-lock', 'package'), 'utf8')) as Record<string, unknown>;
      assert.deepEqual(lock.packages['']['dependencies'] ?? {}, manifest['dependencies'] ?? {}, file);
      assert.deepEqual(lock.packages['']['devDependencies'] ?? {}, manifest['devDependencies'] ?? {}, file);
    }
  });

  it('needs no packages at run time: what runs is bundled', () => {
    const manifest = JSON.parse(fs.readFileSync('package.json', 'utf8')) as { dependencies?: object };
    assert.equal(manifest.dependencies, undefined);
  });
});

describe('the check of installed packages', () => {
  let firstDifference: (folder: string) => string | undefined;
  let folder: string;
  before(async () => {
    ({ firstDifference } = (await import(pathToFileURL(path.resolve('tools/lib/dependencies.mjs')).href)) as { firstDifference: typeof firstDifference });
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-dependencies-'));
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  const write = (name: string, packages: object) => {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), JSON.stringify({ packages }));
  };

  it('asks for an installation on a fresh clone', () => {
    write('package-lock.json', { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0', optional: true } });
    assert.equal(firstDifference(folder), 'node_modules is missing');
  });

  it('is content with the locked versions, whatever optional packages are there', () => {
    write('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.0' } });
    assert.equal(firstDifference(folder), undefined);
  });

  it('names the package whose version differs', () => {
    write('node_modules/.package-lock.json', { 'node_modules/a': { version: '0.9.0' } });
    assert.equal(firstDifference(folder), 'a 0.9.0, wanted 1.0.0');
    write('node_modules/.package-lock.json', {});
    assert.equal(firstDifference(folder), 'a is missing, wanted 1.0.0');
  });
});
