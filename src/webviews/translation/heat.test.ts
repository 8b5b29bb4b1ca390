import assert from 'node:assert/strict';
import { heatStep } from './heat';

describe('the heat margin', () => {
  it('has a step for every power of ten below the most', () => {
    assert.deepEqual([1_000_000, 999_999, 100_001, 100_000, 1000, 1].map((count) => heatStep(count, 1_000_000)), [5, 5, 5, 4, 2, 1]);
  });

  it('is empty for what was never executed, and where nobody counts', () => {
    assert.deepEqual([heatStep(0, 10), heatStep(null, 10), heatStep(0, 0)], [0, 0, 0]);
  });
});
