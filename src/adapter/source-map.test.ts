import assert from 'node:assert/strict';
import { pathKey, SourceMap } from './source-map';

const path = '/w/boot.asm';
const map = new SourceMap([
  { linear: 0x7c00, length: 3, path, line: 3, kind: 'code' }, { linear: 0x7c03, length: 1, path, line: 4, kind: 'code' },
  { linear: 0x7c04, length: 1, path, line: 4, kind: 'code' }, { linear: 0x7c05, length: 2, path: '/w/macros.inc', line: 1, kind: 'code' },
  { linear: 0x7c05, length: 2, path, line: 6, kind: 'code', caller: true }, { linear: 0x7c07, length: 2, path: '/w/macros.inc', line: 2, kind: 'code' },
  { linear: 0x7c07, length: 2, path, line: 6, kind: 'code', caller: true }, { linear: 0x7c10, length: 1, path, line: 4, kind: 'code' },
  { linear: 0x7c20, length: 5, path, line: 9, kind: 'data' },
], [{ name: 'start', linear: 0x7c00 }, { name: 'start.loop', linear: 0x7c03 }, { name: 'msg', linear: 0x7c20 }, { name: 'size', linear: 0x7c01, number: true }]);

describe('source map', () => {
  it('finds the line of an address, macro lines before their callers', () => {
    assert.deepEqual(map.locate(0x7c02), { path, line: 3, linear: 0x7c00 });
    assert.deepEqual(map.locate(0x7c08), { path: '/w/macros.inc', line: 2, linear: 0x7c07 });
    assert.equal(map.locate(0x7c09), undefined);
    assert.equal(map.locate(0x1000), undefined);
  });

  it('breaks once for each run of code that a line became', () => {
    assert.deepEqual(map.resolve(path, 4), { line: 4, linear: [0x7c03, 0x7c10] });
    assert.deepEqual(map.resolve('\\w\\.\\boot.asm', 6), { line: 6, linear: [0x7c05] });
  });

  it('moves to the next line with code, and takes data only where no code follows', () => {
    assert.deepEqual(map.resolve(path, 1), { line: 3, linear: [0x7c00] });
    assert.deepEqual(map.resolve(path, 5), { line: 6, linear: [0x7c05] });
    assert.deepEqual(map.resolve(path, 9), { line: 9, linear: [0x7c20] });
    assert.equal(map.resolve(path, 10), undefined);
    assert.equal(map.resolve('/w/other.asm', 1), undefined);
  });

  it('names addresses by places, never by numbers', () => {
    assert.deepEqual(map.symbolAt(0x7c01), { name: 'start', offset: 1 });
    assert.equal(map.symbolAt(0x7bff), undefined);
    assert.equal(map.symbol('size'), 0x7c01);
    assert.equal(map.symbol('.loop'), 0x7c03);
    assert.equal(map.symbol('nothing'), undefined);
  });

  it('compares paths by meaning', () => {
    assert.equal(pathKey('C:\\a\\b\\..\\c.asm'), pathKey('c:/a/./c.asm'));
    assert.notEqual(pathKey('/a/B.asm'), pathKey('/a/b.asm'));
  });
});
