import assert from 'node:assert/strict';
import { exceptionText, vectorsOf } from './exceptions';

describe('exceptions in words', () => {
  const cases: [number, number | undefined, number | undefined, string][] = [
    [0, undefined, undefined, 'Divide error (#DE, vector 0)'],
    [13, 0, undefined, 'General protection (#GP, vector 13): error code 0, no selector'],
    [13, 0x18, undefined, 'General protection (#GP, vector 13): error code 0x18: GDT selector 0x18'],
    [11, 0x2d, undefined, 'Segment not present (#NP, vector 11): error code 0x2d: LDT selector 0x2c, raised while delivering an external event'],
    [13, 0x8 * 8 + 2, undefined, 'General protection (#GP, vector 13): error code 0x42: IDT gate 8'],
    [14, 0, 0x1000, 'Page fault (#PF, vector 14): read of 0x00001000 in supervisor mode, the page is not present (error code 0x0)'],
    [14, 7, 0xc0000000, 'Page fault (#PF, vector 14): write of 0xc0000000 in user mode, the page tables forbid it (error code 0x7)'],
    [14, 9, 4, 'Page fault (#PF, vector 14): read of 0x00000004 in supervisor mode, a reserved bit is set in a page-table entry (error code 0x9)'],
  ];
  for (const [vector, errorCode, address, expected] of cases) {
    it(expected, () => assert.equal(exceptionText({ kind: 'exception', vector, name: '', ...(errorCode !== undefined && { errorCode }), ...(address !== undefined && { address }) }), expected));
  }

  it('have filters by mnemonic', () => assert.deepEqual(vectorsOf(['tripleFault', 'gp', 'pf', 'nonsense']), [13, 14]));
});
