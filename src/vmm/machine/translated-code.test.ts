import assert from 'node:assert/strict';
import fs from 'node:fs';
import { BareEngine, machine, program, TestMachine, type Program } from '../../../test/support/guest';
import type { TranslatedCode, TranslatedInstruction } from '../../protocol/translated-code';
import { assemble } from '../asm/assembler';
import { TranslatedCodeReader } from './translated-code';

/** A sample with its includes. */
function sample(name: string): Program {
  const text = fs.readFileSync(`samples/${name}`, 'utf8');
  const result = assemble({ path: `samples/${name}`, text }, { format: 'bin', readFile: (path) => (fs.existsSync(path) ? fs.readFileSync(path) : undefined) });
  assert.ok(result.ok, result.diagnostics.map((d) => `${d.path}:${d.line}: ${d.message}`).join('\n'));
  const symbols = new Map(result.symbols.map((symbol) => [symbol.name, symbol.value]));
  return { bytes: result.bytes, origin: result.origin, label: (label) => symbols.get(label) ?? assert.fail(`no label ${label}`) };
}

const flat = (source: string): string => `bits 16
org 0x7c00
  cli
  lgdt [table]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:flat
table: dw 23
  dd descriptors
descriptors: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
bits 32
flat:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7000
${source}
  cli
  hlt
`;

const instruction = (code: TranslatedCode, text: string | RegExp): TranslatedInstruction =>
  code.units.flatMap(({ instructions }) => instructions).find((one) => (typeof text === 'string' ? one.text === text : text.test(one.text))) ?? assert.fail(`no ${String(text)}`);

describe('translated code', () => {
  describe('of the paper\'s isPrime(49)', () => {
    const guest = sample('paper-isprime.asm');
    const ran = new TestMachine(guest, { translation: 'threaded', boot: 'disk', loadAddress: undefined });
    before(() => { ran.run(10_000_000); });

    it('is four fragments with six continuations, of which two are left; prime: was never translated', () => {
      const code = ran.translatedCode(guest.label('isPrime'));
      assert.equal(code.state, 'threaded');
      assert.deepEqual(code.units.map(({ linear }) => linear), ['isPrime', 'nexti'].map((label) => guest.label(label)).concat(guest.label('nexti') + 9, guest.label('notPrime')));
      const continuations = code.units.flatMap(({ exits }) => exits.filter(({ kind }) => kind === 'taken' || kind === 'next'));
      assert.equal(continuations.length, 6);
      assert.deepEqual(continuations.map(({ kind, state }) => `${kind} ${state}`), ['taken open', 'next elided', 'taken chained', 'next elided', 'taken chained', 'next open']);
      assert.deepEqual(continuations.filter(({ state }) => state === 'open').map(({ target }) => target), [guest.label('prime'), guest.label('prime')]);
      assert.deepEqual(continuations.map(({ unit }) => unit), [undefined, 1, 3, 2, 1, undefined]);
      assert.equal(code.units[1].loop, true);
      const prime = ran.translatedCode(guest.label('prime'));
      assert.equal(prime.state, 'untranslated');
      assert.deepEqual(prime.memory?.map(({ text }) => text), ['mov eax, 0x1', 'ret']);
    });

    it('says how each instruction is treated, in the paper\'s terms', () => {
      const code = ran.translatedCode(guest.label('nexti') + 3);
      assert.equal(code.unit, 1, 'an address inside a unit finds it');
      assert.deepEqual(code.units.map(({ instructions }) => instructions.map(({ treatment }) => treatment[0]).join('')), ['iiis', 'iiiis', 'iis', 'is']);
      assert.match(instruction(code, /^jl/).reason, /direct transfer/);
      assert.match(instruction(code, 'ret').reason, /dispatcher/);
    });

    it('shows each instruction\'s records and their handlers\' WebAssembly', () => {
      const code = ran.translatedCode(guest.label('isPrime'));
      const { records, bytes } = instruction(code, 'mov ecx, edi');
      assert.equal(bytes, '89 f9');
      assert.equal(records.length, 1);
      assert.match(records[0].handler, /^mov register32 register32$/);
      const handler = code.handlers[records[0].code!];
      assert.equal(handler.name, 'mov');
      assert.match(handler.lines.join('\n'), /i32\.load16_u offset=\d+ {2};; record\.register[AB]\n[^]*return_call_indirect/);
    });
  });

  it('of a hot loop is its region: WebAssembly for each instruction, loops, exits inside', () => {
    const source = program(flat('  mov ecx, 3000\nagain:\n  add eax, ecx\n  test al, 1\n  jz even\n  inc ebx\neven:\n  dec ecx\n  jnz again'));
    const hot = new TestMachine(source, { translation: 'eager' });
    hot.run(1_000_000);
    const code = hot.translatedCode(source.label('even'));
    assert.equal(code.state, 'region');
    assert.ok(code.region && code.region.wasmBytes > 100);
    assert.match(code.region.frame.join('\n'), /local\.set \$budget[^]*return_call \$go/);
    assert.ok(code.units.length >= 3);
    assert.equal(code.units[0].loop, true);
    assert.equal(code.units[code.unit].linear, source.label('even'));
    assert.ok(code.units.flatMap(({ exits }) => exits).some(({ inside, unit, kind }) => inside && kind === 'taken' && unit === 0));
    assert.match(instruction(code, 'add eax, ecx').region!.join('\n'), /local\.get \$eax[^]*local\.get \$ecx[^]*i32\.add/);
    assert.equal(instruction(code, 'add eax, ecx').leaves, undefined);
  });

  it('of a region is the same whenever it is looked at: it is written anew from its units', () => {
    const source = program(flat('  mov edi, 300\nouter:\n  mov ecx, 50\ninner:\n  add eax, ecx\n  dec ecx\n  jnz inner\n  dec edi\n  jnz outer'));
    const hot = new TestMachine(source, { translation: 'eager' });
    hot.run(1000);
    const text = () => hot.translation('wasm').split('\n\n')[0];
    const first = text();
    hot.run(20_000);
    assert.equal(text(), first);
  });

  it('of 64-bit code has its registers in 64-bit locals', () => {
    const bare = new BareEngine(undefined, 'eager');
    const source = program('bits 64\norg 0x1000\n mov ecx, 2000\nagain: add rax, rcx\n mov [rsp-8], rax\n dec ecx\n jnz again\n hlt');
    bare.load(source, 'long').toHalt();
    const code = new TranslatedCodeReader(bare.engine).at(source.label('again'), 64, true, () => []);
    assert.deepEqual([code.state, code.codeSize], ['region', 64]);
    assert.match(instruction(code, 'add rax, rcx').region!.join('\n'), /local\.get \$rax[^]*i64\.add[^]*local\.set \$rax/);
    assert.equal(instruction(code, 'add rax, rcx').executions, 0);
    bare.state.eip = source.origin;
    bare.engine.stateChanged();
    bare.toHalt();
    assert.equal(new TranslatedCodeReader(bare.engine).at(source.label('again'), 64, true, () => []).units[code.unit].instructions[1].executions, 2000);
  });

  it('marks callouts, and what a region leaves to threaded code', () => {
    const source = program(flat('  mov ecx, 2000\nagain:\n  add eax, ecx\n  cpuid\n  mov ecx, [0x6000]\n  in al, 0x61\n  dec dword [0x6004]\n  jnz again'));
    const hot = new TestMachine(source, { translation: 'eager' });
    hot.run(100_000);
    const code = hot.translatedCode(source.label('again'));
    assert.equal(instruction(code, 'cpuid').treatment, 'callout');
    assert.equal(instruction(code, 'cpuid').leaves, true);
    assert.equal(instruction(code, /^in al/).treatment, 'callout');
  });

  it('of steps are units of one instruction that follow each other', () => {
    const guest = machine('bits 16\norg 0x7c00\n mov ax, 1\n inc ax\n inc ax\n cli\n hlt');
    guest.step(2);
    const code = guest.translatedCode(0x7c03);
    assert.deepEqual(code.units.map(({ linear, single }) => [linear, single]), [[0x7c00, true], [0x7c03, true]]);
    assert.equal(code.unit, 1);
    assert.equal(code.codeSize, 16);
    assert.equal(guest.translatedCode(0x7c04).state, 'untranslated');
  });

  it('does not exist where nothing is mapped', () => {
    const paged = machine(flat('  mov dword [0x200000], 0x83\n  mov dword [0x201000], 0\n  mov eax, 0x200000\n  mov cr3, eax\n  mov eax, cr4\n  or al, 0x10\n  mov cr4, eax\n'
      + '  mov eax, cr0\n  or eax, 0x80000000\n  mov cr0, eax\n  nop'));
    paged.run(100_000);
    assert.equal(paged.translatedCode(0x80000000).state, 'unmapped');
    assert.equal(paged.translatedCode(0x100000).state, 'untranslated');
  });

  it('knows where the guest was found at work', () => {
    const source = program(flat('  mov ecx, 3000000\nagain:\n  add eax, ecx\n  dec ecx\n  jnz again'));
    const hot = new TestMachine(source, { translation: 'adaptive' });
    hot.run(5_000_000);
    const { code, looks } = hot.hotCode(10);
    assert.ok(looks > 0);
    assert.deepEqual([code[0].linear, code[0].region], [source.label('again'), true]);
    assert.ok(hot.translatedCode(source.label('again')).units[0].samples > 0);
  });
});
