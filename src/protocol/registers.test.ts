import assert from 'node:assert/strict';
import type { RegisterSnapshot } from './messages';
import { assignment, codeSize, findRegister, linearEip, readRegister, registers, segmentText, stackPointer } from './registers';

const segment = { selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc093 };
const snapshot: RegisterSnapshot = {
  general: [0x11223344n, 2n, 3n, 4n, 0x12345678n, 6n, 7n, 8n], eip: 0x1234, eflags: 0x3246,
  segments: [segment, { ...segment, selector: 8, base: 0xffff0000, attributes: 0xc09b }, segment, segment, segment, segment, segment, segment],
  gdtr: { base: 0x800, limit: 0x1f }, idtr: { base: 0, limit: 0x3ff },
  cr0: 0x80000011, cr2: 0, cr3: 0x5000, cr4: 0x10, dr: [1, 2, 3, 4, 0, 0, 0xffff0ff0, 0x400], efer: 0, cpl: 0, mode: 'protected32', instructions: 9,
};
const value = (name: string): bigint | undefined => readRegister(snapshot, name)?.value;

describe('registers', () => {
  it('reads registers, parts, flags and hidden parts', () => {
    const expected: [string, bigint][] = [
      ['eax', 0x11223344n], ['AX', 0x3344n], ['ah', 0x33n], ['al', 0x44n], ['bh', 0n], ['sp', 0x5678n], ['ip', 0x1234n], ['zf', 1n], ['cf', 0n], ['iopl', 3n],
      ['cs', 8n], ['cs.base', 0xffff0000n], ['tr.limit', 0xffffffffn], ['gdtr.limit', 0x1fn], ['cr0.pg', 1n], ['cr0.wp', 0n], ['cr3.base', 5n], ['dr7.len0', 0n],
    ];
    for (const [name, wanted] of expected) assert.equal(value(name), wanted, name);
    assert.equal(value('xyz'), undefined);
  });

  it('has no name twice', () => assert.equal(new Set(registers.map((row) => row.name)).size, registers.length));

  it('assigns a field through its register', () => {
    assert.deepEqual(assignment(snapshot, 'CF', 1n), { name: 'eflags', value: 0x3247n });
    assert.deepEqual(assignment(snapshot, 'iopl', 0n), { name: 'eflags', value: 0x246n });
    assert.deepEqual(assignment(snapshot, 'cr0.wp', 1n), { name: 'cr0', value: 0x80010011n });
    assert.deepEqual(assignment(snapshot, 'al', -1n), { name: 'al', value: 0xffn });
    assert.equal(assignment(snapshot, 'al', 256n), undefined);
    assert.equal(assignment(snapshot, 'zf', 2n), undefined);
    assert.equal(assignment(snapshot, 'cpl', 0n), undefined);
  });

  it('wraps the linear address at 4 GiB', () => {
    assert.equal(linearEip(snapshot), 0xffff1234);
    assert.equal(linearEip({ ...snapshot, eip: 0x20000 }), 0x10000);
  });

  it('knows the sizes of code and stack', () => {
    assert.equal(codeSize(snapshot), 32);
    assert.equal(stackPointer(snapshot), 0x12345678);
    const narrow = snapshot.segments.map((one, n) => (n === 2 ? { ...one, attributes: 0x93 } : one));
    assert.equal(stackPointer({ ...snapshot, segments: narrow }), 0x5678);
  });

  it('describes access rights', () => {
    assert.equal(segmentText(0xc09b), 'code, execute and read, DPL 0, 32-bit, granularity 4 KiB');
    assert.equal(segmentText(0x0093), 'data, read and write, DPL 0, 16-bit, granularity 1 byte');
    assert.equal(segmentText(0x008b), '32-bit TSS, busy, DPL 0, granularity 1 byte');
    assert.equal(segmentText(0x10000), 'unusable');
  });

  it('finds a register in any case', () => assert.equal(findRegister('CR0.PE')?.partOf, 'cr0'));
});
