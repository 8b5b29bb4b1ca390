import assert from 'node:assert/strict';
import { channelPair } from '../protocol/channel';
import { MachineClient } from '../protocol/client';
import type { RegisterSnapshot } from '../protocol/messages';
import { FakeMachine } from '../worker/fake-machine';
import { MachineHost } from '../worker/host';
import { Debuggee } from './debuggee';
import { SourceMap } from './source-map';
import type { SymbolRow } from './source-map';
import { StackWalker } from './stack';

const stackAt = 0x8000;

/** Callers of 32-bit code at `eip` over a memory of code and stack bytes. */
async function callers(memory: Record<number, readonly number[]>, registers: { eip: number; ebp?: number; bits?: 16 | 32 | 64; csBase?: number }, symbols: readonly SymbolRow[] = []): Promise<string[]> {
  const { client: channel, host } = channelPair();
  let machine!: FakeMachine;
  new MachineHost(host, (configuration, outputs) => (machine = new FakeMachine(configuration, outputs, {})), {
    now: () => 0, soon: () => undefined, later: () => ({ cancel: () => undefined }),
  });
  const client = new MachineClient(channel);
  const { registers: first, counters } = await client.request('create', { name: 't', image: new Uint8Array(), boot: 'flat', memoryMiB: 1, mmu: 'shadow', pace: 'max' });
  for (const [address, bytes] of Object.entries(memory)) machine.memory.set(bytes, Number(address));
  const wide = (registers.bits ?? 32) !== 16;
  const general = [...first.general];
  general[4] = BigInt(stackAt);
  general[5] = BigInt(registers.ebp ?? 0);
  const snapshot: RegisterSnapshot = {
    ...first, general, eip: registers.eip, mode: registers.bits === 64 ? 'long' : wide ? 'protected32' : 'real',
    segments: first.segments.map((segment, n) => ({ ...segment, selector: n === 1 ? (wide ? 8 : (registers.csBase ?? 0) / 16) : 0, base: n === 1 ? registers.csBase ?? 0 : 0, attributes: wide ? 0xc093 : 0x93 })),
  };
  const found = await new StackWalker(new Debuggee(client, new SourceMap([], symbols), counters, first)).callers(snapshot);
  return found.map(({ returnAddress, stackPointer, certain }) => `${returnAddress.toString(16)} sp=${stackPointer.toString(16)}${certain ? '' : ' guessed'}`);
}
const dwords = (...values: number[]): number[] => values.flatMap((value) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]);
const words = (...values: number[]): number[] => values.flatMap((value) => [value & 255, value >> 8]);
/** CALL rel32 that ends at `end`. */
const callTo = (end: number, target: number): number[] => [0xe8, ...dwords((target - end) >>> 0)];

describe('stack walk', () => {
  it('trusts the word on top of the stack at the entry of a function', async () => {
    assert.deepEqual(await callers({ 0x100b: callTo(0x1010, 0x2000), [stackAt]: dwords(0x1010) }, { eip: 0x2000 }), ['1010 sp=8004']);
  });

  it('knows every form of a near call', async () => {
    const forms: Record<string, number[]> = {
      'call eax': [0xff, 0xd0], 'call [ebx]': [0xff, 0x13], 'call [ebx+8]': [0xff, 0x53, 8], 'call [1234h]': [0xff, 0x15, 0x34, 0x12, 0, 0],
      'call [ebx+esi*4]': [0xff, 0x14, 0xb3], 'call [ebx+esi*4+8]': [0xff, 0x54, 0xb3, 8], 'call [esi*4+1234h]': [0xff, 0x14, 0xb5, 0x34, 0x12, 0, 0],
    };
    for (const [name, bytes] of Object.entries(forms)) {
      assert.deepEqual(await callers({ [0x1010 - bytes.length]: bytes, [stackAt]: dwords(0x1010) }, { eip: 0x2000 }), ['1010 sp=8004'], name);
    }
    assert.deepEqual(await callers({ 0x100e: [0xff, 0xe0], [stackAt]: dwords(0x1010) }, { eip: 0x2000 }), [], 'jmp eax is no call');
  });

  it('follows saved frame pointers past stale return addresses', async () => {
    // [esp] local, [esp+4] a stale address behind a call of something else, [ebp] saved, [ebp+4] return address.
    const memory = {
      0x100b: callTo(0x1010, 0x3000), 0x110b: callTo(0x1110, 0x2000), 0x120b: callTo(0x1210, 0x1100),
      [stackAt]: dwords(7, 0x1010, 0x8018, 0x1110, 1, 2, 0, 0x1210),
    };
    assert.deepEqual(await callers(memory, { eip: 0x2004, ebp: 0x8008 }), ['1110 sp=8010', '1210 sp=8020']);
  });

  it('prefers a call of just this function to the frame pointer of its caller', async () => {
    const memory = { 0x110b: callTo(0x1110, 0x2000), 0x120b: callTo(0x1210, 0x1100), [stackAt]: dwords(5, 6, 0x1110, 0x8014, 0x9999, 0, 0x1210) };
    assert.deepEqual((await callers(memory, { eip: 0x2004, ebp: 0x8014 }, [{ name: 'f', linear: 0x2000 }]))[0], '1110 sp=800c');
  });

  it('marks what it only found by looking', async () => {
    assert.deepEqual(await callers({ 0x100b: callTo(0x1010, 0x3000), [stackAt]: dwords(1, 2, 0x1010) }, { eip: 0x2000 }), ['1010 sp=800c guessed']);
  });

  it('returns from far calls and interrupts in real mode, into their own segment', async () => {
    assert.deepEqual(await callers({ 0x500b: [0x9a, 0, 0, 0, 0x20], [stackAt]: words(0x10, 0x500) }, { eip: 0, bits: 16, csBase: 0x3000 }), ['5010 sp=8004']);
    assert.deepEqual(await callers({ 0x500e: [0xcd, 0x21], [stackAt]: words(0x10, 0x500, 0x202) }, { eip: 0, bits: 16, csBase: 0x3000 }), ['5010 sp=8006']);
  });

  it('reads 64-bit stacks, where addresses have eight bytes and bit 47 is extended', async () => {
    const quads = (...values: number[]): number[] => values.flatMap((value) => [...dwords(value), 0, 0, 0, 0]);
    const memory = { 0x100b: callTo(0x1010, 0x2000), 0x1109: [0xff, 0x15, 1, 2, 3, 0], [stackAt]: [...quads(5), 0x10, 0x10, 0, 0, 0, 0, 1, 0, ...quads(0x1010, 7, 0x110f)] };
    assert.deepEqual(await callers(memory, { eip: 0x2004, bits: 64 }, [{ name: 'f', linear: 0x2000 }]), ['1010 sp=8018', '110f sp=8028 guessed']);
  });

  it('ends where nothing looks like a return address', async () => {
    assert.deepEqual(await callers({}, { eip: 0x2000, ebp: 0xffffff00 }), []);
  });
});
