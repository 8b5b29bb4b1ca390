import assert from 'node:assert/strict';
import { bootEpilog, bootProlog, exit, lineOf, mainPath, withSession } from './support';

const source = `${bootProlog}mov cx, 3
mov di, 0x600
rep stosb
call outer
int 0x12
mov bx, ax
%macro twice 1
inc %1
dec %1
%endmacro
twice bx
times 3 nop
mov dx, 1
${exit(5)}outer:
push bp
mov bp, sp
call inner
pop bp
ret
inner:
push ax
push bx
mov dx, 2
pop bx
pop ax
ret
${bootEpilog}`;
const at = (text: string): number => lineOf(source, text);

describe('stepping', () => {
  it('goes in by line, and over REP, CALL and INT', withSession(source, async (session) => {
    await session.launch({ stopOnEntry: true });
    await session.run();
    await session.stopped();
    for (let line = 4; line <= 9; line++) assert.equal((await session.step('stepIn')).line, line);
    assert.equal((await session.step('next')).line, at('rep stosb'));
    assert.equal((await session.step('next')).line, at('call outer'), 'over rep');
    assert.equal(await session.evaluate('cx'), '0x0000');
    assert.equal((await session.step('next')).line, at('int 0x12'), 'over call');
    assert.equal(await session.evaluate('dx'), '0x0002');
    const after = await session.step('next');
    assert.deepEqual([after.reason, after.line], ['step', at('mov bx, ax')], 'over int');
  }));

  it('goes in by line into code with source, and not into the BIOS', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('call outer') });
    await session.run();
    await session.stopped();
    assert.equal((await session.step('stepIn')).line, at('push bp'));
    assert.match((await session.top()).name, /^outer /);
    await session.breakpoints({ line: at('int 0x12') });
    await session.proceed();
    assert.equal((await session.step('stepIn')).line, at('mov bx, ax'));
    assert.notEqual(await session.evaluate('ax'), '0x0000', 'INT 12h gives the memory size');
  }));

  it('goes in by instruction into the BIOS, and out of it', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('int 0x12') });
    await session.run();
    await session.stopped();
    const inside = await session.step('stepIn', 'instruction');
    assert.match(inside.name, /f000:/i);
    assert.equal((await session.step('stepOut')).line, at('mov bx, ax'));
  }));

  it('goes in by instruction through one REP iteration', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('rep stosb') });
    await session.run();
    await session.stopped();
    await session.step('stepIn', 'instruction');
    assert.equal(await session.evaluate('cx'), '0x0002');
    assert.equal((await session.top()).line, at('rep stosb'));
  }));

  it('treats every line of a macro and each repetition of a line', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('mov bx, ax') });
    await session.run();
    await session.stopped();
    assert.equal((await session.step('next')).line, at('inc %1'));
    assert.equal((await session.step('next')).line, at('dec %1'));
    assert.equal((await session.step('next')).line, at('times 3 nop'));
    assert.equal((await session.step('next', 'instruction')).line, at('times 3 nop'));
    await session.breakpoints({ line: at('mov dx, 1') });
    assert.equal((await session.proceed()).line, at('mov dx, 1'));
  }));

  it('goes out, with and without a frame pointer', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('mov dx, 2') });
    await session.run();
    await session.stopped();
    assert.equal((await session.step('stepOut')).line, at('pop bp'), 'out of a function with pushed registers');
    assert.equal((await session.step('stepOut')).line, at('int 0x12'), 'out of a function with a frame');
  }));

  it('says when there is nothing to go out to', withSession(`${bootProlog}here: jmp here\n${bootEpilog}`, async (session) => {
    await session.launch();
    await session.breakpoints({ line: 8 });
    await session.run();
    await session.stopped();
    const { reason } = await session.step('stepOut');
    assert.equal(reason, 'step');
    assert.match(session.output('stderr'), /No return address was found/);
  }));

  it('shows callers', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('mov dx, 2') });
    await session.run();
    await session.stopped();
    const frames = await session.stack();
    assert.deepEqual(frames.slice(0, 3).map(({ line }) => line), [at('mov dx, 2'), at('call inner'), at('call outer')]);
    assert.match(frames[0]!.name, /^inner\+0x2 \(0000:7c/);
    assert.equal(frames[0]!.source?.path, mainPath);
    assert.match(frames[0]!.instructionPointerReference ?? '', /^lin:0x7c/);
  }));

  it('ends when another breakpoint comes first', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: at('call outer') }, { line: at('mov dx, 2') });
    await session.run();
    await session.stopped();
    const { reason, line } = await session.step('next');
    assert.deepEqual([reason, line], ['breakpoint', at('mov dx, 2')]);
  }));

  it('over an endless call can be paused', withSession(`${bootProlog}call forever\n${exit(3)}forever:\njmp forever\n${bootEpilog}`, async (session) => {
    await session.launch();
    await session.breakpoints({ line: 8 });
    await session.run();
    await session.stopped();
    await session.dap.nextRequest({ threadId: 1 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await session.dap.pauseRequest({ threadId: 1 });
    assert.equal((await session.stopped()).reason, 'pause');
  }));
});
