/** What the issue of conformance demands of docs/conformance.md in all; each suite checks its own section (support/report.ts). */
import assert from 'node:assert/strict';
import { documentTotals } from './support/report';

const SILICON_CASES = 2_000_000;

describe('docs/conformance.md', () => {
  it('tells of all suites', () => {
    assert.deepEqual([...documentTotals().bySuite].filter(([, cases]) => cases === 0), []);
  });

  it('counts at least two million cases that a real processor has answered', () => {
    const { silicon } = documentTotals();
    assert.ok(silicon >= SILICON_CASES, String(silicon));
  });
});
