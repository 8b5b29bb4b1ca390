import assert from 'node:assert/strict';
import { counterDefinitions, countersJson, countersTable, type RunSummary } from './counters';
import { listingLine } from './listing';
import { flagsText } from './registers';
import { columns, thousands } from './text';

describe('text for terminals', () => {
  it('aligns columns and leaves no blanks at the end', () => {
    assert.equal(columns([['a', '1', ''], ['long', '22', 'x']], ['left', 'right', 'left']), 'a      1\nlong  22  x');
  });

  it('separates thousands', () => {
    assert.deepEqual([0, 999, 1000, 1234567].map(thousands), ['0', '999', '1,000', '1,234,567']);
  });

  it('shows flags as letters, IOPL, and system flags by name', () => {
    assert.equal(flagsText(0x2), '--------- IOPL=0');
    assert.equal(flagsText(0x246), '--I--Z-P- IOPL=0');
    assert.equal(flagsText(0xfd7 | 0x3000), 'ODITSZAPC IOPL=3');
    assert.equal(flagsText(0x2 | 0x4000 | 0x20000 | 0x200000), '--------- IOPL=0 NT VM ID');
  });

  it('continues long instructions on the next line', () => {
    assert.equal(listingLine({ address: 0x7c00, bytes: Uint8Array.of(0x90), text: 'nop' }), '00007c00  90                nop');
    assert.equal(listingLine({ address: 1, bytes: new Uint8Array(10).fill(0x66), text: 'x' }), '00000001  6666666666666666  x\n         -6666');
  });
});

describe('the summary of a run', () => {
  const summary: RunSummary = {
    end: 'halted', exitStatus: 0, hostMilliseconds: 2, counters: { instructions: 4_000_000, truePageFaults: 16 }, hiddenPageFaults: [{ linear: 0x7c00, count: 1200 }],
  };

  it('is a table with every counter, the speed, and hidden page faults by instruction', () => {
    const text = countersTable(summary);
    assert.match(text, /^Instructions +4,000,000$/m);
    assert.match(text, /^True page faults +16$/m);
    assert.match(text, /^Speed +2000\.0 M instructions\/s$/m);
    assert.match(text, /Hidden page faults by instruction\n {2}00007c00 {2}1,200$/);
  });

  it('is one line of JSON', () => {
    assert.ok(!countersJson(summary).includes('\n'));
    assert.deepEqual(JSON.parse(countersJson(summary)), summary);
  });

  it('has a definition for each counter', () => {
    assert.match(counterDefinitions(), /^Hidden page faults \(hiddenPageFaults\)\n {2}Lookup-table misses/m);
  });
});
