import assert from 'node:assert/strict';
import { codePage437 } from '../../protocol/codepage437';
import { cellShape } from './boxes';

describe('line-drawing characters', () => {
  /** Which edges of the cell the ink touches: top, right, bottom, left. */
  const edges = (code: number): string => {
    const touched = new Set<string>();
    for (const [x, y, w, h] of cellShape(code, 9, 16)!.rectangles) {
      if (y === 0) touched.add('t');
      if (x + w === 9) touched.add('r');
      if (y + h === 16) touched.add('b');
      if (x === 0) touched.add('l');
    }
    return [...'trbl'].filter((edge) => touched.has(edge)).join('');
  };

  it('reach exactly the edges that their Unicode pictures reach', () => {
    const expected: Record<string, string> = {
      '│': 'tb', '┤': 'tbl', '╢': 'tbl', '┐': 'bl', '└': 'tr', '┴': 'trl', '┬': 'rbl', '├': 'trb', '─': 'rl', '┼': 'trbl', '║': 'tb', '╗': 'bl',
      '╝': 'tl', '╚': 'tr', '╔': 'rb', '╩': 'trl', '╦': 'rbl', '╠': 'trb', '═': 'rl', '╬': 'trbl', '┘': 'tl', '┌': 'rb', '╫': 'trbl', '╒': 'rb', '╙': 'tr',
    };
    for (const [character, reach] of Object.entries(expected)) assert.equal(edges(codePage437.indexOf(character)), reach, character);
  });

  it('have a shape for every code from B0 to DF, inside the cell, and none elsewhere', () => {
    for (let code = 0; code < 256; code++) {
      const shape = cellShape(code, 9, 16);
      assert.equal(shape !== undefined, code >= 0xb0 && code <= 0xdf, code.toString(16));
      for (const [x, y, w, h] of shape?.rectangles ?? []) assert.ok(x >= 0 && y >= 0 && x + w <= 9 && y + h <= 16, code.toString(16));
    }
  });
});
