import assert from 'node:assert/strict';
import { assemble } from '../../vmm/asm/assembler';
import { ringside, type Contestant } from './contestant';
import { kernels, kernelSource } from './kernels';
import { measure, median } from './measure';
import { benchTable } from './report';

describe('benchmark', () => {
  it('has kernels that assemble and finish their batches with the same number of instructions each', () => {
    for (const kernel of kernels) {
      const small = { ...kernel, iterations: 5 };
      const { ok, diagnostics } = assemble({ path: kernel.name, text: kernelSource(small) }, { format: 'bin', readFile: () => undefined });
      assert.ok(ok, JSON.stringify(diagnostics));
      const guest = ringside.start(small);
      guest.batch();
      const [second, third] = [guest.batch(), guest.batch()];
      guest.end();
      assert.ok(second.instructions! > 5, kernel.name);
      assert.equal(second.instructions, third.instructions, kernel.name);
    }
  });

  it('takes medians', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
  });

  it('keeps the warm-up apart, interleaves the rounds, and compares with the first kernel', () => {
    const order: string[] = [];
    const fake: Contestant = {
      name: 'fake',
      start: ({ name }) => {
        let batch = 0;
        return {
          batch: () => {
            order.push(name);
            batch += 1;
            return { instructions: name === 'alu' ? 40_000_000 : 10_000_000, milliseconds: batch === 1 ? 500 : 100 };
          },
          end: () => order.push(`end ${name}`),
        };
      },
    };
    const measurements = measure(fake, kernels.slice(0, 2), 2, () => undefined);
    assert.deepEqual(order, ['alu', 'alu', 'alu', 'sieve', 'sieve', 'sieve', 'alu', 'sieve', 'alu', 'sieve', 'end alu', 'end sieve']);
    assert.deepEqual(measurements.map(({ millionsPerSecond, warmUpMilliseconds }) => [millionsPerSecond, warmUpMilliseconds]), [[400, 400], [100, 400]]);
    const [, alu, sieve] = benchTable(measurements).split('\n');
    assert.match(alu, /^alu +400\.0 +400\.0–400\.0 +1\.000 +400\.0 ms/);
    assert.match(sieve, /^sieve +100\.0 .* 0\.250 /);
  });
});
