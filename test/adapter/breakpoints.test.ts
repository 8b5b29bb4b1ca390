import assert from 'node:assert/strict';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { bootEpilog, bootProlog, exit, lineOf, mainPath, withSession } from './support';

const source = `${bootProlog}xor cx, cx
again:
inc cx
cmp cx, 10
jne again
call work
%macro twice 1
inc %1
inc %1
%endmacro
twice bx
; nothing here
${exit(5)}work:
ret
table: db 1, 2, 3
${bootEpilog}`;
const incLine = lineOf(source, 'inc cx');

describe('breakpoints', () => {
  it('stop at a source line, and name it', withSession(source, async (session) => {
    await session.launch();
    const [breakpoint] = await session.breakpoints({ line: lineOf(source, 'call work') });
    assert.equal(breakpoint?.verified, true);
    await session.run();
    const { reason, line, body } = await session.stopped();
    assert.deepEqual([reason, line], ['breakpoint', lineOf(source, 'call work')]);
    assert.deepEqual((body as { hitBreakpointIds: number[] }).hitBreakpointIds, [breakpoint?.id]);
    assert.equal(await session.evaluate('cx'), '0x000a (10)');
  }));

  it('move to the next line with code; there is none after the last', withSession(source, async (session) => {
    await session.launch();
    const [moved, none] = await session.breakpoints({ line: lineOf(source, '; nothing') }, { line: 500 });
    assert.equal(moved?.line, lineOf(source, '; nothing') + 1);
    assert.equal(none?.verified, false);
    assert.match(none?.message ?? '', /no code at or after line 500/);
    const { breakpoints } = (await session.dap.setBreakpointsRequest({ source: { path: '/elsewhere.asm' }, breakpoints: [{ line: 1 }] })).body;
    assert.match(breakpoints[0]?.message ?? '', /no code from this file/);
  }));

  it('stop at a macro call', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: lineOf(source, 'twice bx') });
    await session.run();
    assert.equal((await session.stopped()).reason, 'breakpoint');
    assert.equal(await session.evaluate('bx'), '0x0000');
  }));

  it('stop at labels and addresses', withSession(source, async (session) => {
    await session.launch();
    const { breakpoints } = (await session.dap.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'work' }, { name: 'play' }] })).body;
    assert.deepEqual(breakpoints.map(({ verified }) => verified), [true, false]);
    assert.match(breakpoints[1]?.message ?? '', /no label "play"/);
    await session.run();
    const { name } = await session.stopped();
    assert.match(name, /^work \(0000:7c/);
  }));

  it('stop at instructions', withSession(source, async (session) => {
    await session.launch();
    const { breakpoints } = (await session.dap.send('setInstructionBreakpoints', { breakpoints: [{ instructionReference: 'lin:0x7c00', offset: 1 }, { instructionReference: 'x' }] })).body as DebugProtocol.SetInstructionBreakpointsResponse['body'];
    assert.deepEqual(breakpoints.map(({ verified, line }) => [verified, line]), [[true, 4], [false, undefined]]);
    await session.run();
    assert.equal((await session.stopped()).line, 4);
  }));

  it('obey conditions over registers, memory and symbols', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: incLine, condition: 'cx == 4 && byte [table + 1] == 2' });
    await session.run();
    await session.stopped();
    assert.equal(await session.evaluate('cx'), '0x0004');
  }));

  it('count hits', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: incLine, hitCondition: '%4' });
    await session.run();
    await session.stopped();
    assert.equal(await session.evaluate('cx'), '0x0003');
    await session.proceed();
    assert.equal(await session.evaluate('cx'), '0x0007');
  }));

  it('print log messages without stopping', withSession(source, async (session) => {
    await session.launch();
    await session.breakpoints({ line: incLine, logMessage: 'cx={cx} {{table}} {byte [table]}', condition: 'cx < 2' });
    await session.run();
    await session.event('terminated');
    assert.match(session.output('console'), /^cx=0x0000 \{table\} 0x01\ncx=0x0001 \{table\} 0x01\n/);
    assert.ok(!session.events.some(({ event }) => event === 'stopped'));
  }));

  it('refuse what is no expression', withSession(source, async (session) => {
    await session.launch();
    const wrong = await session.breakpoints({ line: incLine, condition: 'cx ==' }, { line: incLine, hitCondition: 'often' }, { line: incLine, logMessage: '{' }, { line: incLine, condition: 'nowhere' });
    for (const { verified } of wrong) assert.equal(verified, false);
    assert.match(wrong.map(({ message }) => message).join('\n'), /instead of the end.*\n.*no hit condition.*\n.*without.*\n.*no register or symbol "nowhere"/);
  }));

  it('are possible where there is code', withSession(source, async (session) => {
    await session.launch();
    const { breakpoints } = (await session.dap.send('breakpointLocations', { source: { path: mainPath }, line: 7, endLine: incLine })).body as DebugProtocol.BreakpointLocationsResponse['body'];
    assert.deepEqual(breakpoints.map(({ line }) => line), [7, 8, incLine]);
  }));

  it('can be set while the guest runs', withSession(`${bootProlog}again:\nnop\njmp again\n${bootEpilog}`, async (session) => {
    await session.launch();
    await session.run();
    await session.breakpoints({ line: 9 });
    assert.deepEqual(await session.stopped().then(({ reason, line }) => [reason, line]), ['breakpoint', 9]);
  }));
});
