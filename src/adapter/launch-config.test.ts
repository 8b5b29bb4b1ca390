import assert from 'node:assert/strict';
import { launchAttributes, parseLaunchConfig } from './launch-config';

describe('launch configuration', () => {
  it('needs a program and has defaults for the rest', () => {
    const config = parseLaunchConfig({ type: 'ringside', request: 'launch', name: 'x', program: 'a.asm', __sessionId: '1' });
    assert.equal(config.program, 'a.asm');
    assert.equal(config.memory, 32);
    assert.equal(config.pace, 'realtime');
    assert.deepEqual(config.modules, []);
    assert.equal(config.loadAddress, undefined);
  });

  it('takes addresses as numbers and as text', () => {
    assert.equal(parseLaunchConfig({ program: 'a', loadAddress: '0x10000' }).loadAddress, 0x10000);
    assert.equal(parseLaunchConfig({ program: 'a', loadAddress: 4096, entry: '4100' }).entry, 4100);
  });

  const wrong: [Record<string, unknown>, RegExp][] = [
    [{}, /"program" is missing/],
    [{ program: 5 }, /"program" is 5/],
    [{ program: ' ' }, /"program" is " "/],
    [{ program: 'a', memory: 0 }, /"memory" is 0; it has to be a whole number from 1 to 2048/],
    [{ program: 'a', memory: '64' }, /"memory" is "64"/],
    [{ program: 'a', mmu: 'nested' }, /"mmu" is "nested"; it has to be "shadow"/],
    [{ program: 'a', stopOnEntry: 'yes' }, /"stopOnEntry".*true or false/],
    [{ program: 'a', modules: 'm' }, /"modules".*list of paths/],
    [{ program: 'a', loadAddress: '7C00' }, /"loadAddress".*0x7C00/],
    [{ program: 'a', loadAddress: 2 ** 33 }, /"loadAddress"/],
    [{ program: 'a', assembler: 'masm' }, /"builtin" or "nasm"/],
    [{ program: 'a', memroy: 5 }, /no attribute "memroy".*memory/],
  ];
  for (const [given, message] of wrong) {
    it(`refuses ${JSON.stringify(given)}`, () => assert.throws(() => parseLaunchConfig(given), (error) => error instanceof Error && message.test(`${error.message} ${(error as { advice?: string }).advice ?? ''}`)));
  }

  it('has words for every attribute', () => {
    for (const [name, { description }] of Object.entries(launchAttributes)) assert.ok(description.endsWith('.') , name);
  });
});
