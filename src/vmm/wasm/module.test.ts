/** The WebAssembly writer: numbers in LEB128, and modules that the host accepts and that do what was written. */
import assert from 'node:assert/strict';
import { ModuleWriter } from './module';
import { ByteWriter } from './writer';

const bytesOf = (write: (writer: ByteWriter) => void): number[] => {
  const writer = new ByteWriter(1);
  write(writer);
  return [...writer.view()];
};

describe('wasm: byte writer', () => {
  it('writes unsigned LEB128', () => {
    for (const [value, bytes] of [[0, [0]], [127, [0x7f]], [128, [0x80, 1]], [624485, [0xe5, 0x8e, 0x26]], [0xffffffff, [0xff, 0xff, 0xff, 0xff, 0x0f]]] as const) {
      assert.deepEqual(bytesOf((w) => w.unsigned(value)), bytes, String(value));
    }
    assert.deepEqual(bytesOf((w) => w.unsigned(-1)), [0xff, 0xff, 0xff, 0xff, 0x0f], 'as its 32 bits');
  });

  it('writes signed LEB128 so that a decoder reads the value back', () => {
    const decode = (bytes: readonly number[]): bigint => {
      let value = 0n;
      bytes.forEach((byte, i) => { value |= BigInt(byte & 0x7f) << BigInt(7 * i); });
      return BigInt.asIntN(7 * bytes.length, value);
    };
    for (const value of [0, 1, -1, 63, 64, -64, -65, 127, 128, -128, 8191, 8192, 0x7fffffff, -0x80000000, 0xffffffff, 2 ** 52, -(2 ** 52), Number.MAX_SAFE_INTEGER]) {
      const bytes = bytesOf((w) => w.signed(value));
      assert.equal(decode(bytes), BigInt(value));
      assert.ok(bytes.length === 1 || decode(bytes.slice(0, -1).map((b, i, all) => (i === all.length - 1 ? b & 0x7f : b))) !== BigInt(value), `${value} is as short as it can be`);
    }
  });

  it('keeps what it holds while it grows', () => {
    const all = Array.from({ length: 1000 }, (_, i) => i & 0xff);
    assert.deepEqual(bytesOf((w) => all.forEach((b) => w.byte(b))), all);
    assert.deepEqual(bytesOf((w) => {
      w.byte(1);
      w.append(Uint8Array.from(all));
    }), [1, ...all]);
  });
});

describe('wasm: modules', () => {
  it('run: imports, a memory, a table, tail calls, locals of both types, 64-bit constants', () => {
    const module = new ModuleWriter();
    const unary = module.type(['i32'], ['i32']);
    assert.equal(module.type(['i32'], ['i32']), unary, 'a type is declared once');
    const nothing = module.type([], ['i64']);
    module.importMemory('host', 'memory', 1);
    const twice = module.importFunction('host', 'twice', unary);
    const define = (type: number, write: (body: ReturnType<ModuleWriter['body']>) => void) => {
      const index = module.declare(type);
      const body = module.body(type);
      write(body);
      module.define(index, body);
      return index;
    };
    // (x) → table[1](twice(x)); table[1] adds one by way of memory and locals.
    const addOne = define(unary, (b) => {
      const kept = b.local('i64');
      const sum = b.local('i32');
      b.index('local.get', 0).op('i64.extend_i32_s').index('local.set', kept);
      b.i32(8).index('local.get', kept).i64(1).op('i64.add').memory('i64.store', 16);
      b.i32(24).memory('i32.load', 0).index('local.tee', sum).op('i32.eqz').open('if').op('unreachable').op('end').index('local.get', sum);
    });
    const entry = define(unary, (b) => b.index('local.get', 0).index('call', twice).i32(1).indirect('return_call_indirect', unary));
    const constant = define(nothing, (b) => b.i64(-(2 ** 40)));
    module.export('entry', entry);
    module.export('constant', constant);
    module.table('functions', 2, 1, [addOne]);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { host: { memory, twice: (x: number) => 2 * x } });
    const exports = instance.exports as { entry(x: number): number; constant(): bigint };
    assert.equal(exports.entry(20), 41);
    assert.equal(exports.entry(-20), -39);
    assert.equal(exports.constant(), -(2n ** 40n));
  });

  it('refuse an import behind a function, and a function without a body', () => {
    const module = new ModuleWriter();
    const type = module.type([], []);
    module.declare(type);
    assert.throws(() => module.importFunction('a', 'b', type), /import after a function/);
    assert.throws(() => module.finish(), /no body/);
  });
});
