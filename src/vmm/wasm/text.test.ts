import assert from 'node:assert/strict';
import { FunctionBody } from './module';
import { wasmText } from './text';

describe('wasm: text', () => {
  it('shows every kind of operand, indented by nesting', () => {
    const body = new FunctionBody(1);
    const local = body.local('i64');
    body.open('block').open('loop').index('local.get', 0).i32(-5).op('i32.add').memory('i32.load', 300).index('br_if', 1).op('end').op('end');
    body.i64Words(0x89abcdef, 0x80000000).index('local.set', local).f64(1.5).op('drop').v128(new Uint8Array(16).fill(7)).lane('i32x4.extract_lane', 3).op('drop');
    assert.deepEqual(wasmText(body.code.view()).map(({ text }) => text), [
      'block', '  loop', '    local.get 0', '    i32.const -5', '    i32.add', '    i32.load offset=300', '    br_if 1', '  end', 'end',
      `i64.const ${BigInt.asIntN(64, 0x8000000089abcdefn)}`, 'local.set 1', 'f64.const 1.5', 'drop', 'v128.const 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7', 'i32x4.extract_lane 3', 'drop',
    ]);
  });

  it('uses names for functions, locals and memory', () => {
    const body = new FunctionBody(1);
    body.index('local.get', 0).index('local.tee', 1).memory('i32.load', 300).index('call', 7).index('call', 8);
    const lines = wasmText(body.code.view(), {
      functions: new Map([[7, 'resolve']]), locals: new Map([[0, 'record']]), memory: (offset) => (offset === 300 ? 'BUDGET' : undefined),
    });
    assert.deepEqual(lines.map(({ text, note }) => `${text}${note ? ` ;; ${note}` : ''}`), ['local.get $record', 'local.tee 1', 'i32.load offset=300 ;; BUDGET', 'call $resolve', 'call 8']);
  });

  it('refuses code that the emitter did not write', () => {
    assert.throws(() => wasmText(Uint8Array.of(0xd0)), /unknown opcode 0xd0 at 0/);
  });
});
