/** RINGSIDE_UPDATE=1 npm run test:unit -- manifest   writes these parts of package.json anew after a change of the rows. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { commandRows } from './commands';
import { activationEvents, capabilities, contributes } from './contributes';

const file = path.join(process.cwd(), 'package.json');
const read = (): Record<string, unknown> => JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('manifest', () => {
  it('declares what the rows say', () => {
    const expected = { activationEvents, capabilities, contributes: contributes() };
    if (process.env.RINGSIDE_UPDATE) {
      const { devDependencies, ...rest } = read();
      fs.writeFileSync(file, `${JSON.stringify({ ...rest, ...expected, devDependencies }, undefined, 2)}\n`);
    }
    const manifest = read();
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(manifest[name], plain(value), `${name}: run RINGSIDE_UPDATE=1 npm run test:unit -- manifest`);
    }
  });

  it('names files that exist and commands that are declared', () => {
    const text = JSON.stringify(contributes());
    for (const [, name] of text.matchAll(/"(?:\.\/)?((?:media|syntaxes)\/[^"]+)"/g)) assert.ok(fs.existsSync(path.join(process.cwd(), name)), name);
    const ids = new Set<string>(commandRows.map((row) => row.id));
    for (const [, id] of text.matchAll(/command:ringside\.(\w+)|onCommand:ringside\.(\w+)/g)) if (id) assert.ok(ids.has(id), id);
    assert.equal(ids.size, commandRows.length);
  });
});
