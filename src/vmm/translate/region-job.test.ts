import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';
import { RegionWorkshop, type CompiledRegion, type RegionCompiler, type RegionJob } from './region-job';

const EAX = 0, EBX = 3;

/** A thread that works when the test says so. What it is given has gone through a message. */
class Bench implements RegionCompiler {
  readonly workshop = new RegionWorkshop();
  readonly waiting: RegionJob[] = [];
  readonly done: CompiledRegion[] = [];
  broken = false;

  submit(job: RegionJob): boolean {
    if (this.broken) return false;
    this.waiting.push(structuredClone(job));
    return true;
  }

  work(): void {
    this.done.push(...this.waiting.splice(0).map((job) => this.workshop.do(job)));
  }

  finished(): readonly CompiledRegion[] {
    return this.done.splice(0);
  }

  close(): void { /* nothing runs */ }
}

describe('regions made by another thread', () => {
  let bench: Bench;
  let engine: BareEngine;
  beforeEach(() => {
    bench = new Bench();
    engine = new BareEngine(undefined, 'adaptive', bench);
  });

  const LOOP = `mov ecx, 1000000
    again: add eax, ecx
    patch: add ebx, 1
      dec ecx
      jnz again
      hlt`;
  const load = (body: string, mode: 'flat' | 'long' = 'flat') => engine.load(program(`bits ${mode === 'long' ? 64 : 32}\norg 0x1000\n${body}`), mode);

  for (const mode of ['flat', 'long'] as const) {
    it(`come into force when they are finished, at an exact count (${mode})`, () => {
      load(LOOP, mode);
      engine.engine.execute(200_000, 'full');
      assert.ok(bench.waiting.length > 0, 'the loop is hot');
      assert.equal(engine.count('regionsTranslated'), 0, 'and runs in threaded code until its region is there');
      bench.work();
      engine.engine.execute(200_001, 'full');
      assert.equal(engine.count('regionsTranslated'), 1);
      assert.equal(engine.engine.now, 400_001);
      engine.toHalt(5_000_000);
      assert.equal(engine.register(EBX), 1_000_000);
      assert.equal(engine.register(EAX) >>> 0, (1_000_000 * 1_000_001 / 2) % 2 ** 32);
      assert.ok(engine.count('regionEntries') > 0);
    });
  }

  it('are not taken when their code has changed meanwhile', () => {
    load(LOOP);
    engine.engine.execute(200_000, 'full');
    const patch = 0x1000 + 5 + 2;
    assert.equal(engine.mmu.read(patch + 2, 1, false), 1);
    engine.mmu.write(patch + 2, 1, 3, false);
    bench.work();
    const before = engine.register(EBX);
    engine.engine.execute(100_000, 'full');
    assert.equal(engine.count('regionsTranslated'), 0, 'the old region is not for the new code');
    assert.equal(engine.register(EBX) - before, 3 * 25_000);
    bench.work();
    engine.engine.execute(400_000, 'full');
    assert.equal(engine.count('regionsTranslated'), 1, 'the new code gets one of its own');
  });

  it('are forgotten with everything else', () => {
    load(LOOP);
    engine.engine.execute(200_000, 'full');
    bench.work();
    engine.engine.flush();
    engine.engine.execute(9_000, 'full');
    assert.equal(engine.count('regionsTranslated'), 0);
  });

  it('are made here when the thread is gone', () => {
    bench.broken = true;
    load(LOOP).toHalt(5_000_000);
    assert.equal(engine.count('regionsTranslated'), 1);
  });
});
