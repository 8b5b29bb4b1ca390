/** FXSAVE and FXRSTOR in 64-bit code: whole pointers with REX.W, sixteen XMM registers, canonical addresses. Everything else: x87.test.ts. */
import assert from 'node:assert/strict';
import { GuestFault } from '../exceptions';
import { FPU_CS, FPU_IP, Segment, SEGMENTS, SEGMENT_SIZE, XMM } from '../layout';
import { LongCpu } from '../test-long';
import { fpuFxRestore, fpuFxSave } from './environment';

const IMAGE = 0x10000, OSFXSR = 0x200;
const entryOf = (segment: Segment): number => SEGMENTS + SEGMENT_SIZE * segment;

function prepared(): LongCpu {
  const long = new LongCpu().enter(0);
  const { state, fpu } = long.cpu;
  state.cr4 |= OSFXSR;
  fpu.initialize();
  state.u64[FPU_IP >> 3] = 0xffffffff81234567n;
  state.u32[FPU_CS >> 2] = 0x33;
  state.u64[(XMM >> 3) + 30] = 0x0123456789abcdefn;
  long.argument(0, BigInt(IMAGE));
  return long;
}

describe('FXSAVE in 64-bit code', () => {
  it('stores sixteen XMM registers, and whole pointers with REX.W', () => {
    const long = prepared();
    const { cpu, memory } = long;
    fpuFxSave(cpu, long.site64(64), IMAGE, entryOf(Segment.DS));
    assert.equal(memory.read(IMAGE, 2, false), 0x37f);
    assert.equal(memory.read(IMAGE + 8, 4, false), 0x81234567);
    assert.equal(memory.read(IMAGE + 12, 4, false), 0xffffffff);
    assert.equal(memory.read(IMAGE + 160 + 16 * 15, 4, false), 0x89abcdef);
    fpuFxSave(cpu, long.site64(32), IMAGE, entryOf(Segment.DS));
    assert.equal(memory.read(IMAGE + 12, 4, false), 0x33);
  });

  it('is undone by FXRSTOR', () => {
    const long = prepared();
    const { cpu } = long;
    const { state } = cpu;
    fpuFxSave(cpu, long.site64(64), IMAGE, entryOf(Segment.DS));
    state.u64[(XMM >> 3) + 30] = 0n;
    state.u64[FPU_IP >> 3] = 0n;
    cpu.fpu.control = 0;
    fpuFxRestore(cpu, long.site64(64), IMAGE, entryOf(Segment.DS));
    assert.equal(state.u64[(XMM >> 3) + 30], 0x0123456789abcdefn);
    assert.equal(state.u64[FPU_IP >> 3], 0xffffffff81234567n);
    assert.equal(cpu.fpu.control, 0x37f);
  });

  it('refuses addresses that are not canonical, by #SS through the stack', () => {
    const long = prepared();
    long.argument(0, 0x800000000000n);
    const vectorOf = (segment: Segment): number => {
      try {
        fpuFxSave(long.cpu, long.site64(), 0, entryOf(segment));
      } catch (fault) {
        if (fault instanceof GuestFault) return fault.vector;
        throw fault;
      }
      return -1;
    };
    assert.equal(vectorOf(Segment.DS), 13);
    assert.equal(vectorOf(Segment.SS), 12);
  });
});
