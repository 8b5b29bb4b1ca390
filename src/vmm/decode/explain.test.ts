/** Hover texts: every row has one, and it says what the table says. */
import assert from 'node:assert/strict';
import { table } from '../isa/table';
import { explain, explainMnemonic, explanationMarkdown } from './explain';

describe('explanations', () => {
  it('exist for every row, without undefined parts', () => {
    for (const spec of table.instructions) {
      const text = explanationMarkdown(explain(table, spec));
      assert.ok(text.includes(spec.title) && !/undefined(?! [OSZAPC]F)|\[object|NaN/.test(text), text);
    }
  });

  it('show forms, flags and exceptions', () => {
    const [add] = explainMnemonic(table, 'ADD');
    assert.ok(add.forms.some((f) => f.opcode === '81 /0' && f.syntax === 'add r/m16/32, imm16/32'));
    assert.ok(!add.forms.some((f) => f.opcode === '82 /0'), 'duplicates are left out');
    assert.deepEqual(add.flags.map((f) => `${f.name} ${f.effect}`),
      ['OF by result', 'SF by result', 'ZF by result', 'AF by result', 'PF by result', 'CF by result']);
    assert.ok(add.exceptions.some((text) => text.startsWith('#PF')));
    const [lea] = explainMnemonic(table, 'lea');
    assert.ok(!lea.exceptions.some((text) => text.startsWith('#PF')), 'LEA touches no memory');
    const [hlt] = explainMnemonic(table, 'hlt');
    assert.equal(hlt.privilege, 'privilege level 0 only');
  });

  it('find rows by alias, and all rows of a mnemonic', () => {
    assert.equal(explainMnemonic(table, 'jz')[0].mnemonic, 'je');
    assert.ok(explainMnemonic(table, 'mov').length >= 5);
    assert.deepEqual(explainMnemonic(table, 'nosuch'), []);
  });
});
