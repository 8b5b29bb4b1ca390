import assert from 'node:assert/strict';
import fc from 'fast-check';
import { changedRuns } from './screen-difference';

const screen = (cells: Uint8Array, columns = 8, rows = cells.length / 16) => ({ kind: 'text' as const, colours: [], blinks: true, cell: { width: 9, height: 16 }, columns, rows, cells, cursor: { visible: true, column: 0, row: 0 } });

describe('screen differences', () => {
  it('rebuild the new screen from the old one', () => {
    const cells = fc.uint8Array({ minLength: 160, maxLength: 160, max: 1 });
    fc.assert(fc.property(cells, cells, (before, now) => {
      const rebuilt = before.slice();
      for (const run of changedRuns(screen(before), screen(now))) rebuilt.set(run.cells, run.start * 2);
      assert.deepEqual(rebuilt, now);
    }));
  });

  it('are empty for the same screen, short for a small change, everything for another size', () => {
    const before = new Uint8Array(160), now = before.slice();
    assert.deepEqual(changedRuns(screen(before), screen(now)), []);
    now[20] = 65;
    now[26] = 66;
    now[120] = 67;
    assert.deepEqual(changedRuns(screen(before), screen(now)).map((run) => [run.start, run.cells.length]), [[10, 8], [60, 2]]);
    assert.equal(changedRuns(screen(before, 4, 20), screen(now))[0].cells.length, 160);
    assert.equal(changedRuns(undefined, screen(now))[0].cells.length, 160);
  });
});
