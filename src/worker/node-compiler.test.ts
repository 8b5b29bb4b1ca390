import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { CompiledRegion, RegionCompiler, RegionJob } from '../vmm/translate/region-job';
import { nodeRegionCompiler } from './node-compiler';

const job = (id: number, codeSize: 32 | 64) => ({ id, context: { codeSize } }) as RegionJob;

describe('compiler thread', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-compiler-'));
  const file = path.join(folder, 'compiler.js');
  let compiler: RegionCompiler;
  before(() => {
    fs.writeFileSync(file, "require('node:worker_threads').workerData.on('message', ({ id }) => require('node:worker_threads').workerData.postMessage({ id }));");
    compiler = nodeRegionCompiler(file)!;
  });
  after(() => {
    compiler.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Submits until the thread takes the job; the number of the one that it took. */
  async function taken(first: number, codeSize: 32 | 64): Promise<number> {
    for (let id = first; id < first + 2000; id++) {
      if (compiler.submit(job(id, codeSize))) return id;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return assert.fail('it never takes a job');
  }

  async function finished(): Promise<readonly CompiledRegion[]> {
    for (let n = 0; n < 2000; n++) {
      const regions = compiler.finished();
      if (regions.length > 0) return regions;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return assert.fail('nothing is finished');
  }

  it('is absent without its bundle', () => assert.equal(nodeRegionCompiler(path.join(folder, 'nothing.js')), undefined));

  it('leaves regions to the machine until it has done one of the kind, which nobody gets', async () => {
    assert.equal(compiler.submit(job(1, 32)), false);
    const id = await taken(2, 32);
    assert.deepEqual(await finished(), [{ id }]);
    assert.equal(compiler.submit(job(10_000, 64)), false, '64-bit code is another kind');
    const long = await taken(10_001, 64);
    assert.deepEqual(await finished(), [{ id: long }]);
    assert.equal(compiler.submit(job(20_000, 32)), true);
    assert.deepEqual(await finished(), [{ id: 20_000 }]);
  });
});
