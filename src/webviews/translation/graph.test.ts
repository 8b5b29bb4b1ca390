import assert from 'node:assert/strict';
import { layOut } from './graph';

describe('the picture of a control-flow graph', () => {
  it('has fall-throughs straight, jumps ahead on the right, loops on the left', () => {
    const { arcs, leftLanes, rightLanes } = layOut([{ from: 0, to: 1 }, { from: 0, to: 2 }, { from: 1, to: 2 }, { from: 2, to: 0 }, { from: 1, to: 1 }]);
    assert.deepEqual(arcs.map(({ side }) => side), ['straight', 'right', 'straight', 'left', 'left']);
    assert.deepEqual([leftLanes, rightLanes], [2, 1]);
    assert.deepEqual(arcs.slice(3).map(({ lane }) => lane), [1, 0], 'the shorter loop lies inside the longer one');
  });

  it('draws the same way twice when there are two', () => {
    assert.deepEqual(layOut([{ from: 0, to: 1 }, { from: 0, to: 1 }]).arcs.map(({ side }) => side), ['straight', 'right']);
  });

  it('stays narrow whatever the graph', () => {
    const edges = Array.from({ length: 40 }, (_, n) => ({ from: n, to: 80 - n }));
    const { rightLanes } = layOut(edges);
    assert.ok(rightLanes <= 12);
  });
});
