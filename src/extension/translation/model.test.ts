import assert from 'node:assert/strict';
import type { TranslatedCode, TranslatedExit, TranslatedInstruction, TranslatedUnit } from '../../protocol/translated-code';
import { emptyModel, noHeat, translationHeat, translationModel, translationText, type TranslationAnswer } from './model';

const place = { program: 'test.asm', follows: 'the cursor, line 3 of test.asm', pinned: false };

function instruction(linear: number, text: string, more: Partial<TranslatedInstruction> = {}): TranslatedInstruction {
  return { linear, bytes: '90', text, treatment: 'ident', reason: 'identical', records: [{ address: 0x100000 + linear, handler: 'handler', fields: '0 0', code: 0 }], ...more };
}
function unit(linear: number, instructions: readonly TranslatedInstruction[], exits: readonly TranslatedExit[], more: Partial<TranslatedUnit> = {}): TranslatedUnit {
  return { linear, samples: 0, instructions, exits, ...more };
}
function answer(code: Partial<TranslatedCode>, names: TranslationAnswer['names'] = []): TranslationAnswer {
  return {
    code: { linear: 0x1000, codeSize: 32, state: 'threaded', units: [], unit: -1, handlers: [{ name: 'handler', lines: ['local.get $record', 'i32.load offset=12  ;; record.link'] }], instructions: 500, ...code },
    names, sources: [{ linear: 0x1000, path: '/test.asm', line: 3 }],
  };
}
const loop = answer({
  unit: 0,
  units: [
    unit(0x1000, [instruction(0x1000, 'dec ecx', { executions: 12 }), instruction(0x1001, 'jnz 0x1000', { treatment: 'simulated', executions: 12 })], [
      { kind: 'taken', state: 'chained', target: 0x1000, unit: 0 }, { kind: 'next', state: 'open', target: 0x1003 },
    ], { loop: true, samples: 7 }),
  ],
  countingSince: 100,
}, [{ linear: 0x1000, name: 'again' }, { linear: 0x1003, name: 'again+0x3' }]);

describe('the Translation view\'s model', () => {
  it('has a row for each instruction, with labels, treatment, records and WebAssembly', () => {
    const { title, summary, blocks, edges, block } = translationModel(loop, { ...place, instructionPointer: 0x1001 });
    assert.equal(title, 'again');
    assert.match(summary, /Threaded code of 1 unit, 32 bits; 2 continuations: 1 open, 1 chained, 0 elided/);
    assert.equal(blocks[0].note, 'block 0, 2 instructions, a loop begins here');
    const [first, second] = blocks[0].rows;
    assert.deepEqual([first.address, first.label, first.text, first.treatment, first.here], ['00001000', 'again', 'dec ecx', 'ident', 'asked for']);
    assert.deepEqual([second.label, second.treatment, second.here, second.source], [undefined, 'simulated', 'instruction pointer', undefined]);
    assert.deepEqual(first.source, { path: '/test.asm', line: 3 });
    assert.equal(first.wasm[1], 'i32.load offset=12  ;; record.link');
    assert.match(first.records[0].title, /record at 101000/);
    assert.deepEqual(blocks[0].exits.map(({ state, text, target }) => [state, text, target]), [
      ['chained', 'taken: chained to again', '0x00001000'], ['open', 'not taken, or behind: an open continuation to again+0x3, which has never been reached from here', '0x00001003'],
    ]);
    assert.deepEqual(edges, [{ from: 0, to: 0, kind: 'taken' }]);
    assert.equal(block, 0);
  });

  it('shows a region\'s code in the place of the handlers\', and where it leaves', () => {
    const { summary, blocks, frame } = translationModel(answer({
      state: 'region', unit: 0, region: { slot: 3335, root: 0x1000, wasmBytes: 612, frame: ['return'] },
      units: [unit(0x1000, [instruction(0x1000, 'cpuid', {
        records: [{ address: 0x100000, handler: 'region 3335 instead of cpuid', fields: '0' }], treatment: 'callout', reason: 'callout', leaves: true, region: ['br 0'] })], [{ kind: 'taken', state: 'chained', unit: 0, target: 0x1000, inside: true }])],
    }), place);
    assert.match(summary, /Region 3335: 1 unit of 32-bit code in one WebAssembly function of 612 bytes, with 0 loops/);
    assert.deepEqual(blocks[0].rows[0].records, [{ text: 'cpuid', title: 'record at 100000: 0; its handler is region 3335' }]);
    assert.deepEqual(blocks[0].rows[0].wasm, ['br 0']);
    assert.match(blocks[0].rows[0].reason, /leaves here/);
    assert.deepEqual(blocks[0].exits[0], { state: 'inside', text: 'taken: 00001000, inside the region', target: '0x00001000' });
    assert.deepEqual(frame, ['return']);
  });

  it('says what to do where nothing is translated or mapped', () => {
    const { summary, blocks } = translationModel(answer({ state: 'untranslated', memory: [{ linear: 0x1000, bytes: '90', text: 'nop' }] }), place);
    assert.match(summary, /not executed yet, or has been rewritten since.*let the guest run there/);
    assert.deepEqual(blocks[0].rows.map(({ text, treatment }) => [text, treatment]), [['nop', 'untranslated']]);
    assert.match(translationModel(answer({ state: 'unmapped' }), place).summary, /page tables have nothing at 00001000/);
    assert.equal(emptyModel('none', 'Press F5.').summary, 'Press F5.');
  });

  it('counts from when the view shows the code, and says so', () => {
    const heat = translationHeat(loop, { looks: 10, code: [{ linear: 0x1000, samples: 7, units: 1, region: false, name: 'again' }] });
    assert.equal(heat.counting, 'Executions: exact counts of the last 400 instructions, since this view shows them.');
    assert.deepEqual(heat.executions, [[12, 12]]);
    assert.deepEqual(heat.samples, [7]);
    assert.deepEqual(heat.hot.map(({ title, expression, share }) => [title, expression, share]), [['again', '0x00001000', 0.7]]);
    assert.equal(translationHeat(answer({}), { looks: 0, code: [] }).counting, 'Executions are not counted.');
  });

  it('is text for the clipboard', () => {
    const text = translationText(translationModel(loop, place), translationHeat(loop, { looks: 0, code: [] }));
    assert.match(text, /^again {2}\(test\.asm\)\nThreaded code[^]*\nagain: block 0, 2 instructions, a loop begins here\n {4}again:\n12 {2}00001000 {2}90 +dec ecx +ident {2}<- asked for\n/);
    assert.match(text, / -> taken: chained to again\n/);
    assert.equal(translationText(emptyModel('none', 'Press F5.'), noHeat).trim(), 'Translation  ()\nPress F5.');
  });
});
