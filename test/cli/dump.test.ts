/**
 * `ringside dump`: every stage of three small guests, compared with what stands in test/data/dump/.
 * RINGSIDE_UPDATE=1 npm run test:suite -- cli dump   writes these files anew after a change of the translator; review them as a diff.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { CODE_CACHE, CODE_CACHE_SIZE } from '../../src/vmm/cpu/layout';
import { dumpStages, dumpStageTitles } from '../../src/vmm/translate/dump';
import { ringside } from './ringside';

const data = path.join(process.cwd(), 'test', 'data', 'dump');

/** The paper's example needs no regions; the loops become some. */
const guests = [
  { name: 'paper-isprime', file: path.join(process.cwd(), 'samples', 'paper-isprime.asm'), translation: 'threaded' },
  { name: 'loop32', file: path.join(data, 'loop32.asm'), translation: 'adaptive' },
  { name: 'loop64', file: path.join(data, 'loop64.asm'), translation: 'adaptive' },
] as const;

/** More than small guests need. */
const CACHE_USED = 0x8000;

/** Numbers that move when anything is added to the instruction table or to memory's layout are told relative to their beginning. */
function stable(text: string): string {
  // Units stand at the cache's beginning, continuations of direct jumps at its end; other numbers in between only look like addresses.
  const end = CODE_CACHE + CODE_CACHE_SIZE;
  const inCache = (address: number): boolean => (address >= CODE_CACHE && address < CODE_CACHE + CACHE_USED) || (address >= end - CACHE_USED && address < end);
  const cache = (address: number): string => (address >= end - CACHE_USED ? `end-${(end - address).toString(16)}` : `cache+${(address - CODE_CACHE).toString(16)}`);
  const regions: string[] = [];
  return text
    .replace(/\bregion (\d+)/g, (_, slot: string) => `region ${(regions.includes(slot) ? regions.indexOf(slot) : regions.push(slot) - 1) + 1}.`)
    .replace(/\b[0-9a-f]{8}\b/g, (digits) => (inCache(parseInt(digits, 16)) ? cache(parseInt(digits, 16)) : digits))
    .replace(/\b(const |offset=)(\d{6,})\b/g, (whole, before: string, digits: string) => (inCache(Number(digits)) ? `${before}${cache(Number(digits))}` : whole))
    .replace(/record [0-9a-f]{6,8}/g, (record) => `record ${cache(parseInt(record.slice(7), 16))}`)
    .replace(/i32\.const \d+(\n +return_call \$goThrough)/g, 'i32.const HANDLER$1');
}

describe('ringside dump', () => {
  for (const { name, file, translation } of guests) {
    it(`prints every stage of ${name}`, async () => {
      const parts: string[] = [];
      for (const stage of dumpStages) {
        const { status, stdout, stderr } = await ringside(['dump', '--stage', stage, '--translation', translation, file]);
        assert.equal(status, 0, stderr);
        parts.push(`=== ${stage}: ${dumpStageTitles[stage]}`, '', stable(stdout).trimEnd(), '');
      }
      const found = parts.join('\n');
      const golden = path.join(data, `${name}.txt`);
      if (process.env.RINGSIDE_UPDATE) fs.writeFileSync(golden, found);
      const expected = fs.readFileSync(golden, 'utf8');
      const different = found.split('\n').findIndex((line, n) => line !== expected.split('\n')[n]);
      assert.ok(found === expected, `line ${different + 1} of ${golden} is ${expected.split('\n')[different]}, now it is ${found.split('\n')[different]}: `
        + 'RINGSIDE_UPDATE=1 npm run test:suite -- cli dump');
    });
  }

  it('refuses what is no stage, and files that are none', async () => {
    assert.notEqual((await ringside(['dump', '--stage', 'wishes', guests[0].file])).status, 0);
    const { status, stderr } = await ringside(['dump', '--stage', 'ir', path.join(data, 'nothing.asm')]);
    assert.notEqual(status, 0);
    assert.match(stderr, /nothing\.asm/);
  });
});
