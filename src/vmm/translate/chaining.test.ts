/** Unit formation and chaining: where units end, how continuations become links, and what breaks a link again. */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';

/** One engine for all tests: load() makes it forget. */
const bare = new BareEngine(undefined, 'threaded');
const EAX = 0, ECX = 1, EBX = 3;

const flat = (text: string) => bare.load(program(`bits 32\n${text}`));
const real = (text: string) => bare.load(program(`bits 16\n${text}`), 'real');

describe('threaded code: units', () => {
  it('holds at most 12 instructions', () => {
    flat(`org 0x1000\n times 25 inc eax\n hlt`).toHalt();
    assert.equal(bare.register(EAX), 25);
    assert.equal(bare.count('translationUnits'), 3);
    assert.equal(bare.count('translatedInstructions'), 26);
  });

  it('ends a unit at the end of its page', () => {
    flat(`org 0x1000\n jmp near last\n times 0xffc-($-$$) nop\nlast: times 8 inc eax\n hlt`).toHalt();
    assert.equal(bare.register(EAX), 8);
    // jmp | the last four bytes of the page | the next page.
    assert.equal(bare.count('translationUnits'), 3);
  });

  it('emits the fall-through of a conditional jump in place of its continuation', () => {
    flat(`org 0x1000\n xor eax, eax\n jnz other\n inc eax\n hlt\nother: hlt`).toHalt();
    assert.equal(bare.count('translationUnits'), 2);
    // Two continuations (taken and not taken), one of them taken, and that one elided: no jump was chained.
    assert.equal(bare.count('continuationsCreated'), 2);
    assert.equal(bare.count('continuationsPatched'), 1);
    assert.equal(bare.count('chainedJumps'), 0);
  });

  it('goes through patched links in a loop', () => {
    flat(`org 0x1000\n mov ecx, 1000\nagain: inc eax\n dec ecx\n jnz again\n hlt`).toHalt();
    assert.equal(bare.register(EAX), 1000);
    assert.equal(bare.engine.now, 1 + 3 * 1000 + 1);
    assert.equal(bare.count('instructions'), 0, 'the count is the clock itself');
    // 999 taken jumps; the first one creates the unit at `again`, the rest are links. One elided exit.
    assert.equal(bare.count('chainedJumps'), 998 + 1);
    assert.equal(bare.count('indirectMisses'), 1);
    assert.equal(bare.count('continuationsPatched'), 3);
  });

  it('finds indirect targets in the jump cache', () => {
    flat(`org 0x1000\n mov ecx, 100\nagain: call work\n dec ecx\n jnz again\n hlt\nwork: inc eax\n ret`).toHalt();
    assert.equal(bare.register(EAX), 100);
    assert.equal(bare.count('indirectMisses'), 2, 'the entry and the first return');
    assert.equal(bare.count('indirectHits'), 99);
  });

  it('lets no more instructions retire than asked, wherever the cut falls', () => {
    const source = program('bits 32\norg 0x1000\n mov ecx, 4000\nagain: times 14 inc eax\n dec ecx\n jnz again\n hlt');
    bare.load(source);
    for (let asked = 1; asked < 200; asked += 7) {
      const before = bare.engine.now;
      bare.engine.execute(asked, 'full');
      assert.equal(bare.engine.now - before, asked);
    }
  });

  it('keeps 16-bit and 32-bit code at the same address apart', () => {
    // B8 imm is three bytes in 16-bit code and five in 32-bit code.
    const code = Uint8Array.of(0xb8, 0x01, 0x00, 0x43, 0x90, 0xf4);
    const both = { bytes: code, origin: 0x1000, label: () => 0 };
    for (let round = 0; round < 3; round++) {
      bare.load(both).toHalt();
      assert.equal(bare.register(EAX) >>> 0, 0x90430001);
      bare.load(both, 'real').toHalt();
      assert.equal(bare.register(EAX) & 0xffff, 1);
      assert.equal(bare.register(EBX) & 0xffff, 1);
    }
    // And within one run, by a far jump between two segments.
    flat(`org 0x1000
      lgdt [table]
      jmp 0x18:narrow
    bits 16
    narrow: call shared16
      jmp 0x08:wide
    bits 32
    wide: call shared
      mov edi, eax
      jmp 0x18:again
    bits 16
    again: call shared16
      hlt
    shared16:
    shared: db 0xb8, 0x01, 0x00, 0x43, 0x90, 0xc3   ; mov ax,1 / inc bx / nop / ret, or mov eax,90430001h / ret
      align 8
    table: dw 31
      dd $+4-2+2
      dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x008f9b000000ffff`);
    bare.toHalt();
    assert.equal(bare.register(7) >>> 0, 0x90430001);
    assert.equal(bare.register(EBX), 2);
  });

  it('runs the code in the middle of an instruction', () => {
    // mov eax, 0x40404040 holds four times inc eax, when entered one byte further.
    flat(`org 0x1000\n xor ebx, ebx\nfirst: db 0xb8, 0x40, 0x40, 0x40, 0x40\n test ebx, ebx\n jnz done\n inc ebx\n xor eax, eax\n jmp first+1\ndone: hlt`).toHalt();
    assert.equal(bare.register(EAX), 4);
    assert.equal(bare.register(ECX), 0);
  });

  it('gives every real-mode CS base its own context', () => {
    // The far jump goes to the next segment with an offset 16 lower: always the same bytes, each time another context.
    real(`org 0x8000
    start: inc eax
      sub word [target], 16
      inc word [target+2]
      cmp ax, 0xf0
      jae done
      jmp far [target]
    target: dw start, 0
    done: hlt`).toHalt();
    assert.equal(bare.register(EAX) & 0xffff, 0xf0);
    assert.ok(bare.count('translationUnits') >= 0xf0);
  });

  it('starts over when the table of contexts is full', () => {
    bare.load(program('bits 16\norg 0x8000\n inc eax\n hlt'), 'real');
    let before = 0;
    let flushed = false;
    for (let limit = 0; limit < 9000; limit++) {
      // Every CS limit is a context of its own.
      bare.engine.cpu.setSegment(1, 0, 0, 0x9000 + limit, 0x93);
      bare.state.eip = 0x8000;
      bare.toHalt(1000);
      if (bare.count('translationUnits') - before > 1) flushed = true;
      before = bare.count('translationUnits');
    }
    assert.equal(bare.register(EAX), 9000);
    assert.ok(before >= 9000 && !flushed, 'each context translates its unit once');
    bare.engine.cpu.setSegment(1, 0, 0, 0x9000, 0x93);
    bare.state.eip = 0x8000;
    bare.toHalt(1000);
    assert.equal(bare.count('translationUnits'), before + 1, 'the first context was forgotten with the others');
  });

  it('flushes a full translation cache and goes on', () => {
    const small = new BareEngine(0x10000);
    // Distinct two-byte jumps: each is a unit with a record of its own.
    const start = 0x10000, jumps = 8192;
    small.load(program('bits 32\norg 0x1000\n mov ecx, 2\nround: jmp 0x10000\n times 0x40-($-$$) db 0\nback: inc eax\n dec ecx\n jnz round\n hlt'));
    const code = new Uint8Array(2 * jumps + 6);
    for (let i = 0; i < jumps; i++) code.set([0xeb, 0x00], 2 * i);
    code.set([0x68, 0x40, 0x10, 0x00, 0x00, 0xc3], 2 * jumps);
    small.mmu.physical.writeBytes(start, code);
    small.toHalt();
    assert.equal(small.register(EAX), 2);
    assert.equal(small.engine.now, 1 + 2 * (1 + jumps + 2 + 3) + 1);
    assert.ok(small.count('translationUnits') > 2 * jumps, 'what was forgotten is translated again');
  });
});
