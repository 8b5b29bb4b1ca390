import assert from 'node:assert/strict';
import type { CustomRequestName, CustomRequests } from '../../src/protocol/dap';
import { bootEpilog, bootProlog, lineOf, mainPath, withSession } from './support';
import type { TestSession } from './support';

/** The paper's isPrime(49), 16 bits. */
const source = `${bootProlog}mov edi, 49
call isPrime
spin: jmp $
isPrime: mov ecx, edi
mov esi, 2
cmp esi, ecx
jge prime
nexti: mov eax, ecx
cdq
idiv esi
test edx, edx
jz notPrime
inc esi
cmp esi, ecx
jl nexti
prime: mov eax, 1
ret
notPrime: xor eax, eax
ret
${bootEpilog}`;

const ask = async <N extends CustomRequestName>(session: TestSession, name: N, args: CustomRequests[N][0]): Promise<CustomRequests[N][1]> =>
  (await session.dap.customRequest(name, args)).body as CustomRequests[N][1];

const ran = (test: (session: TestSession) => Promise<void>): (() => Promise<void>) => withSession(source, async (session) => {
  await session.launch();
  await session.dap.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'spin' }] });
  await session.run();
  await session.stopped();
  await test(session);
});

describe('the translation of code', () => {
  it('is found by source line, symbol, address and instruction pointer, with names and lines', ran(async (session) => {
    const { code, names, sources } = await ask(session, 'ringside/translation', { path: mainPath, line: lineOf(source, 'jge prime') });
    assert.deepEqual([code.state, code.codeSize, code.units.length, code.unit], ['threaded', 16, 4, 0]);
    const continuations = code.units.flatMap(({ exits }) => exits).filter(({ kind }) => kind === 'taken' || kind === 'next');
    assert.deepEqual([continuations.length, continuations.filter(({ state }) => state === 'open').length], [6, 2]);
    assert.deepEqual(names.filter(({ name }) => !name.includes('+')).map(({ name }) => name).sort(), ['isPrime', 'nexti', 'notPrime', 'prime', 'spin']);
    assert.equal(sources.find(({ linear }) => linear === code.units[1]!.linear)?.line, lineOf(source, 'nexti: '));
    for (const expression of ['isPrime', '0x' + code.units[0]!.linear.toString(16)]) {
      assert.deepEqual((await ask(session, 'ringside/translation', { expression })).code.units, code.units);
    }
    const here = await ask(session, 'ringside/translation', {});
    assert.equal(here.names.find(({ linear }) => linear === here.code.linear)?.name, 'spin');
    assert.equal((await ask(session, 'ringside/translation', { expression: 'spin' })).code.linear, here.code.linear);
  }));

  it('is none where nothing was executed', ran(async (session) => {
    const { code } = await ask(session, 'ringside/translation', { expression: 'prime' });
    assert.equal(code.state, 'untranslated');
    assert.deepEqual(code.memory?.map(({ text }) => text), ['mov eax, 0x1', 'ret']);
  }));

  it('counts executions from when it is asked to, until it is told to stop', withSession(source, async (session) => {
    await session.launch({ stopOnEntry: true });
    await session.run();
    await session.stopped();
    await ask(session, 'ringside/translation', { expression: 'isPrime', count: true });
    await session.dap.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'spin' }] });
    await session.proceed();
    const counts = async (count: boolean): Promise<(number | undefined)[]> =>
      (await ask(session, 'ringside/translation', { expression: 'isPrime', count })).code.units.flatMap(({ instructions }) => instructions.map(({ executions }) => executions));
    assert.deepEqual(await counts(true), [1, 1, 1, 1, 6, 6, 6, 6, 6, 5, 5, 5, 1, 1]);
    await ask(session, 'ringside/stopCounting', {});
    assert.ok((await counts(false)).every((executions) => executions === undefined));
  }));

  it('says what is wrong with a place', ran(async (session) => {
    await assert.rejects(ask(session, 'ringside/translation', { path: '/project/other.asm', line: 1 }), /no code from \/project\/other\.asm/);
    await assert.rejects(ask(session, 'ringside/translation', { path: mainPath, line: 1000 }), /no code at or behind line 1000/);
    await assert.rejects(ask(session, 'ringside/translation', { expression: 'nowhere' }), /nowhere/);
    await assert.rejects(ask(session, 'ringside/translation', { expression: '1 +' }), /./);
    assert.equal((await ask(session, 'ringside/translation', { expression: '0xfffffff0' })).code.state, 'untranslated');
  }));

  it('is told while the guest runs, with what is hot', withSession(source, async (session) => {
    await session.launch({ pace: 'max' });
    await session.run();
    for (let tries = 0; ; tries++) {
      const { looks, code } = await ask(session, 'ringside/hotCode', { most: 5 });
      if (looks > 0) {
        assert.equal(code[0]?.name, 'spin');
        break;
      }
      assert.ok(tries < 1000, 'the guest is never found at work');
    }
    assert.equal((await ask(session, 'ringside/translation', { expression: 'spin' })).code.state, 'threaded');
  }));
});
