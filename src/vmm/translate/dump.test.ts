import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';
import { dumpStages, TranslationDump } from './dump';

/** The example of Adams & Agesen, section 3.2, with its caller; in 32-bit code the bytes are the paper's. */
const isPrime = program(`
  bits 32
  org 0x1000
isPrime:
  db 0x89, 0xf9               ; mov ecx, edi
  mov esi, 2
  cmp esi, ecx
  jge prime
nexti:
  mov eax, ecx
  cdq
  idiv esi
  test edx, edx
  jz notPrime
  inc esi
  cmp esi, ecx
  jl nexti
prime:
  mov eax, 1
  ret
notPrime:
  xor eax, eax
  ret
  align 16
start:
  mov edi, 49
  call isPrime
  hlt
`);

function runIsPrime(bare: BareEngine): TranslationDump {
  bare.load(isPrime);
  bare.state.eip = isPrime.label('start');
  bare.toHalt();
  return new TranslationDump(bare.engine);
}

describe('translation dump', () => {
  const bare = new BareEngine(undefined, 'threaded');

  it('shows the paper\'s isPrime(49): four fragments, six continuations created, two left, prime: never translated', () => {
    const dump = runIsPrime(bare);
    assert.equal(bare.register(0), 0, '49 is no prime');
    const units = dump.units().filter(({ linear }) => linear < isPrime.label('start'));
    assert.deepEqual(units.map(({ linear }) => linear), [isPrime.label('isPrime'), isPrime.label('nexti'), isPrime.label('nexti') + 9, isPrime.label('notPrime')]);
    const exits = units.flatMap((unit) => dump.exits(unit));
    assert.equal(exits.length, 6);
    assert.deepEqual(exits.map(({ kind, state }) => `${kind} ${state}`), ['taken open', 'next elided', 'taken chained', 'next elided', 'taken chained', 'next open']);
    assert.ok(exits.filter(({ state }) => state === 'open').every(({ target }) => target === isPrime.label('prime')));
    // One continuation more belongs to the call.
    assert.equal(bare.count('continuationsCreated'), 7);
  });

  it('prints every stage', () => {
    const dump = runIsPrime(bare);
    assert.match(dump.text('decode'), /unit 00001000, 4 instructions\n {2}00001000 {2}mov ecx, edi\n {2}00001002 {2}mov esi, 0x2\n/);
    assert.match(dump.text('records'), /0000100e .* idiv register32/);
    assert.match(dump.text('chains'), /unit 00001000[^]*taken 00001019 {2}open\n {2}next {2}0000100b {2}elided/);
    for (const stage of dumpStages) assert.equal(typeof dump.text(stage), 'string');
  });

  it('shows regions: their blocks, and their WebAssembly beside the instructions', () => {
    const eager = new BareEngine(undefined, 'eager');
    eager.load(program('bits 32\norg 0x1000\n mov ecx, 2000\nagain: add eax, ecx\n dec ecx\n jnz again\n hlt')).toHalt();
    const dump = new TranslationDump(eager.engine);
    assert.match(dump.text('ir'), /region \d+, root 00001005, 1 block\n {2}block 0 {2}00001005 {2}loop +taken 0/);
    assert.match(dump.text('wasm'), /;; 00001005 {2}add eax, ecx\n[^]*i32\.add[^]*;; 00001007 {2}dec ecx\n[^]*return_call/);
  });
});
