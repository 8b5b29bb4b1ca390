import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isBackward } from './region-graph';
import { shapeOf } from './region-shape';

const block = (taken: number, next = -1, targets: number[] = []) => ({ taken, next, targets });

describe('the shape of a region', () => {
  it('needs no hall for loops with one entry', () => {
    const { hall, loops, order } = shapeOf([block(1), block(2, 1), block(-1, 0)], [0]);
    assert.deepEqual({ hall, loops, order }, { hall: -1, loops: [true, true, false], order: [0, 1, 2] });
  });

  it('leads into a loop with two entries through the hall', () => {
    const shape = shapeOf([block(1, 2), block(2), block(1, 3), block(-1)], [0]);
    assert.equal(shape.hall, 4);
    assert.equal(shape.doors[0], 0);
    assert.ok(shape.door(1, 2) > 0 || shape.door(2, 1) > 0);
  });

  it('is reducible for every graph and every choice of entries, with each edge forward, to a dominator, or through a door', () => {
    const target = fc.integer({ min: -1, max: 11 });
    const graph = fc.array(fc.record({ taken: target, next: target, targets: fc.array(target.filter((to) => to >= 0), { maxLength: 3 }) }), { minLength: 12, maxLength: 12 });
    fc.assert(fc.property(graph, fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { maxLength: 3 }), (blocks, others) => {
      const entries = [0, ...others];
      const shape = shapeOf(blocks, entries);
      assert.deepEqual(shape.graph.irreducible, []);
      assert.deepEqual(shape.doors.slice(0, entries.length), entries);
      const reached = new Set(entries);
      for (const from of reached) {
        const { taken, next, targets } = blocks[from];
        for (const to of [taken, next, ...targets]) {
          if (to < 0) continue;
          reached.add(to);
          const door = shape.door(from, to);
          if (door >= 0) assert.equal(shape.doors[door], to);
          else assert.ok(shape.graph.position[to] > shape.graph.position[from] || shape.graph.loopHeader[to]);
          assert.equal(shape.backward(from, to), door >= 0 || isBackward(shape.graph, from, to));
        }
      }
      assert.deepEqual([...shape.order].sort((a, b) => a - b), [...reached].sort((a, b) => a - b));
    }));
  });
});
