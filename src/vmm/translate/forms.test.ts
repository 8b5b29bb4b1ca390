/** Every declared encoding has a handler wherever it can be met, and the generated module is valid WebAssembly. */
import assert from 'node:assert/strict';
import { BareEngine } from '../../../test/support/guest';
import { Decoder } from '../decode/decoder';
import { DecodeStatus, Instruction } from '../decode/instruction';
import { table } from '../isa/table';
import type { Encoding } from '../isa/types';
import type { TranslationContext } from './context';
import { Stack } from './forms';
import { generateThreadedModule } from './handlers';
import { RecordField, SpecialHandler } from './record';

const contexts: readonly Omit<TranslationContext, 'id'>[] = ([
  { codeSize: 32, stack: Stack.Flat, flat: true },
  { codeSize: 32, stack: Stack.Segmented32, flat: false },
  { codeSize: 32, stack: Stack.Segmented16, flat: false },
  { codeSize: 16, stack: Stack.Segmented16, flat: false },
  { codeSize: 16, stack: Stack.Segmented32, flat: false },
  { codeSize: 64, stack: Stack.Flat, flat: true },
] as const).map((context) => ({ ...context, csBase: 0, csLimit: 0xffffffff, codeHigh: 0, word: 0, cut: 'single' as const }));

const prefixes: readonly (readonly number[])[] = [];
for (const size of [[], [0x66]]) for (const address of [[], [0x67]]) for (const repeat of [[], [0xf2], [0xf3]]) for (const segment of [[], [0x64], [0x2e]]) {
  (prefixes as number[][]).push([...size, ...address, ...repeat, ...segment]);
}

/** Modrm (and SIB) bytes that name a register, and memory by one or two registers, in either address size; `reg` is the middle field. */
function modrms({ modrm, modrmByte }: Encoding): readonly (readonly number[])[] {
  if (modrmByte !== undefined) return [[modrmByte]];
  if (modrm === 'none') return [[]];
  const reg = (modrm === 'reg' ? 3 : modrm) << 3;
  return [[0xc1 | reg], [0x07 | reg], [0x44 | reg, 0x4b], [0x04 | reg, 0x4b], [0x05 | reg], [0x84 | reg, 0x25]];
}

const escapes = { 0: [], 1: [0x0f], 2: [0x0f, 0x38], 3: [0x0f, 0x3a] } as const;

describe('threaded code: forms', () => {
  it('are valid WebAssembly', () => {
    for (const long of [false, true]) {
      const { bytes, handlerCount } = generateThreadedModule(table, 1, long);
      // Compiling names the function that is wrong, validate() only says so.
      assert.doesNotThrow(() => new WebAssembly.Module(bytes));
      assert.ok(WebAssembly.validate(bytes));
      assert.ok(handlerCount > 1000);
    }
  });

  it('are generated alike every time', () => {
    assert.deepEqual(generateThreadedModule(table, 1).bytes, generateThreadedModule(table, 1).bytes);
  });

  it('exist for every declared encoding, with every prefix, in every context', function () {
    this.timeout(120_000);
    const { engine, mmu, memory } = new BareEngine();
    const words = new Uint32Array(memory.buffer);
    const decoder = new Decoder(table);
    const instruction = new Instruction();
    const seen = new Set<number>();
    const handlerCounts = [false, true].map((long) => generateThreadedModule(table, 1, long).handlerCount);
    let at = 0x1000;
    for (const encoding of table.encodings) {
      const rex: readonly (readonly number[])[] = [[], [0x48], [0x45]];
      const mandatory = encoding.mandatoryPrefix ? [encoding.mandatoryPrefix] : [];
      for (const prefix of prefixes) for (const tail of modrms(encoding)) for (const last of prefix.length > 1 ? rex.slice(0, 1) : rex) {
        const bytes = Uint8Array.from([...prefix, ...mandatory, ...last, ...escapes[encoding.map], encoding.opcode + (encoding.registerInOpcode ? 3 : 0), ...tail, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).subarray(0, 16);
        contexts.forEach((context, id) => {
          // What the bytes mean is the decoder's business; a prefix may make them another row, or none.
          if (last.length > 0 && context.codeSize !== 64) return;
          if (decoder.decode(bytes, 0, bytes.length, context, instruction) !== DecodeStatus.Ok) return;
          seen.add(instruction.encoding.id);
          const { id: wanted, instruction: { mnemonic } } = instruction.encoding;
          at += 16;
          if (at > 0x300000) {
            at = 0x1000;
            engine.flush();
          }
          mmu.physical.writeBytes(at, bytes);
          const unit = engine.translator.unitAt(at, { ...context, id: id + 1 });
          const handler = words[(unit.record + RecordField.handler) >> 2];
          assert.ok(handler >= SpecialHandler.Count && handler <= handlerCounts[context.codeSize === 64 ? 1 : 0], `${mnemonic} (encoding ${wanted}) has no handler`);
        });
      }
    }
    const missing = table.encodings.filter((e) => !seen.has(e.id));
    assert.deepEqual(missing.map((e) => `${e.instruction.mnemonic} '${e.text}'`), []);
  });
});
