import assert from 'node:assert/strict';
import { bindSymbols, evaluateExpression, ExpressionError, formatValue, parseExpression, parseHitCondition, parseLogMessage } from './expression';
import type { EvaluationContext } from './expression';
import { findRegister } from './registers';

const memory = new Map<number, number>([[0x7c00, 0x34], [0x7c01, 0x12], [0x7c02, 0xff], [0x7c03, 0xff], [0x10020, 0xaa]]);
const values: Record<string, [bigint, number]> = {
  eax: [0xffffffffn, 32], ebx: [5n, 32], al: [0xffn, 8], ax: [0xffffn, 16], si: [0x20n, 16], zf: [1n, 1], cs: [0x1000n, 16], 'ds.base': [0x10000n, 32],
};
const context: EvaluationContext = {
  register: (name) => {
    const found = values[name.toLowerCase()];
    return found && { value: found[0], bits: found[1] };
  },
  memory: (_space, address, bytes) => {
    let value = 0n;
    for (let n = bytes - 1; n >= 0; n--) {
      const byte = memory.get(address + n);
      if (byte === undefined) return undefined;
      value = value << 8n | BigInt(byte);
    }
    return value;
  },
  symbol: (name) => ({ msg: 0x7c00, '.loop': 0x7c02, eax: 0x9000 })[name],
  wordBytes: 2,
};
const value = (text: string): bigint => evaluateExpression(parseExpression(text), context).value;

describe('expression', () => {
  const cases: [string, bigint][] = [
    ['1 + 2 * 3', 7n], ['(1 + 2) * 3', 9n], ['10 - 3 - 2', 5n], ['1 << 4 | 1', 17n], ['2 == 2 && 3 != 3', 0n], ['0 || 5', 1n], ['1 ? 2 : 0 ? 3 : 4', 2n],
    ['0x1F', 31n], ['1Fh', 31n], ['0b101', 5n], ['101b', 5n], ['0o17', 15n], ['1_000', 1000n], ["'A'", 65n], ['12d', 12n],
    ['eax', 0xffffffffn], ['EAX == -1', 1n], ['signed eax < 0', 1n], ['eax < 0', 0n], ['eax + 1', 0n], ['ax + 1', 0x10000n], ['cs * 16', 0x10000n],
    ['al == 255', 1n], ['~ebx', 0xfffffffan], ['-1', -1n], ['!zf', 0n], ['ebx % 3', 2n], ['ebx / 2', 2n], ['1 << 100', 0n], ['1 >> 64', 0n],
    ['[msg]', 0x1234n], ['word [0x7c00]', 0x1234n], ['dword ptr [msg]', 0xffff1234n], ['byte [.loop]', 0xffn], ['byte [ds:si]', 0xaan],
    ['byte [phys:0x7c01]', 0x12n], ['byte [lin:msg + 1]', 0x12n], ['signed byte [.loop]', -1n], ['$eax', 0x9000n], ['msg', 0x7c00n],
    ['0 && [0]', 0n], ['1 || 1/0', 1n],
  ];
  for (const [text, expected] of cases) {
    it(`${text} is ${expected}`, () => assert.equal(value(text), expected));
  }

  const errors: [string, number, RegExp][] = [
    ['', 1, /empty/], ['1 +', 4, /instead of the end/], ['1 2', 3, /Did not expect "2"/], ['nothing + 1', 1, /no register or symbol "nothing"/],
    ['1 + 0x', 5, /not a number/], ['byte 5', 6, /Expected "\["/], ['[xx:1]', 2, /no segment register/], ['5 / (ebx - 5)', 5, /Division by zero/],
    ['1 + [0x9999]', 5, /cannot be read/], ['a # b', 3, /"#" cannot stand/], ['(1', 3, /Expected "\)"/], ['99999999999999999999', 1, /64 bits/],
    ['('.repeat(300), 101, /too deeply/], ['-'.repeat(900), 100, /too deeply/], ['1'.repeat(2000), 1000, /longer/],
  ];
  for (const [text, column, message] of errors) {
    it(`${text.slice(0, 20) || '(nothing)'} is refused at column ${column}`, () => {
      assert.throws(() => value(text), (error) => error instanceof ExpressionError && error.column === column && message.test(error.message));
    });
  }

  it('binds symbols and leaves registers', () => {
    const isRegister = (name: string): boolean => findRegister(name) !== undefined;
    assert.equal(bindSymbols('byte [msg + si] == .loop', isRegister, context.symbol), 'byte [0x7c00 + si] == 0x7c02');
    assert.throws(() => bindSymbols('eax == nope', isRegister, context.symbol), /"nope" \(column 8\)/);
  });

  it('splits log messages', () => {
    assert.deepEqual(parseLogMessage('eax={eax} {{x}} {byte [si]}!'), ['eax=', { expression: 'eax' }, ' {x} ', { expression: 'byte [si]' }, '!']);
    assert.throws(() => parseLogMessage('a {eax'), /without/);
  });

  it('tests hit counts', () => {
    const holds = (text: string): number[] => [1, 2, 3, 4, 5, 6].filter(parseHitCondition(text));
    assert.deepEqual(holds('3'), [3]);
    assert.deepEqual(holds('>4'), [5, 6]);
    assert.deepEqual(holds('>= 4'), [4, 5, 6]);
    assert.deepEqual(holds('<=2'), [1, 2]);
    assert.deepEqual(holds('%2'), [2, 4, 6]);
    assert.throws(() => parseHitCondition('x'), /no hit condition/);
    assert.throws(() => parseHitCondition('%0'), /never/);
  });

  it('formats in the width of the value', () => {
    assert.equal(formatValue({ value: 0x1234n, bits: 32 }), '0x00001234 (4660)');
    assert.equal(formatValue({ value: 1n, bits: 1 }), '1');
    assert.equal(formatValue({ value: 3n, bits: 8 }), '0x03');
    assert.equal(formatValue({ value: -5n, bits: 0 }), '-5');
  });
});
