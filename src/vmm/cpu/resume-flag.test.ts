import assert from 'node:assert/strict';
import { Flag } from './bits';
import { callouts } from './callouts';
import { enter, type DeliveryKind } from './deliver';
import { CODE, DATA, TestCpu } from './test-cpu';
import { CODE64, LongCpu } from './test-long';

describe('EFLAGS.RF in transitions', () => {
  const modes = {
    '32-bit code': {
      bytes: 4,
      prepare: (cpl: 0 | 3): TestCpu => {
        const t = new TestCpu().protect(cpl);
        for (const vector of [1, 3, 6, 13, 14, 0x80]) t.idtGate(vector, 0xe, CODE[0], 0x12345, 3);
        return t;
      },
      back: (t: TestCpu, cpl: 0 | 3, flags: number): void => {
        t.push([0x7c02, CODE[cpl] | cpl, flags, 0x9000, DATA[cpl] | cpl]);
        callouts.interruptReturn(t.cpu, t.site());
      },
    },
    '64-bit code': {
      bytes: 8,
      prepare: (cpl: 0 | 3): LongCpu => {
        const t = new LongCpu().enter(cpl);
        for (const vector of [1, 3, 6, 13, 14, 0x80]) t.longGate(vector, 14, CODE64[0], 0x12345, { dpl: 3 });
        return t;
      },
      back: (t: TestCpu, cpl: 0 | 3, flags: number): void => {
        (t as LongCpu).pushWide([0x7c02, CODE64[cpl] | cpl, flags, 0x9000, DATA[cpl] | cpl].map(BigInt));
        callouts.interruptReturn(t.cpu, (t as LongCpu).site64());
      },
    },
  } as const;
  for (const [title, { bytes, prepare, back }] of Object.entries(modes)) {
    const made = (cpl: 0 | 3, flags: number): TestCpu => {
      const t = prepare(cpl);
      t.cpu.state.eflags = flags;
      return t;
    };

    it(`push RF as 1 for faults and as it is for everything else, and enter handlers without it: ${title}`, () => {
      const events: readonly (readonly [number, DeliveryKind, number | undefined])[] = [
        [1, 'exception', undefined], [3, 'software', undefined], [6, 'exception', undefined], [13, 'exception', 0x10], [14, 'exception', 2], [0x80, 'external', undefined], [0x80, 'software', undefined],
      ];
      for (const cpl of [0, 3] as const) for (const [vector, kind, errorCode] of events) for (const before of [0, Flag.RF]) {
        const t = made(cpl, 0x202 | before);
        enter(t.cpu, vector, kind, errorCode);
        const label = `vector ${vector} ${kind} at level ${cpl} with ${before.toString(16)}`;
        const flags = t.memory.read(t.cpu.state.get32(4) + bytes * (errorCode === undefined ? 2 : 3), 4, false);
        assert.equal(flags & Flag.RF, kind === 'exception' && vector !== 1 ? Flag.RF : before, label);
        assert.equal(t.cpu.state.eflags & Flag.RF, 0, label);
      }
    });

    it(`take RF from the image at every level: ${title}`, () => {
      for (const cpl of [0, 3] as const) for (const image of [0, Flag.RF]) {
        const t = made(cpl, 0x202);
        back(t, cpl, 0x202 | image);
        assert.equal(t.cpu.state.eflags & Flag.RF, image, `level ${cpl}`);
      }
    });
  }
});
