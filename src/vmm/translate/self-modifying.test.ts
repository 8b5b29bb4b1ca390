/** Self-modifying code: a write takes effect at the next instruction, discards what it touches and nothing else, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';

const bare = new BareEngine();
const EAX = 0, EBX = 3, EDX = 2;

const flat = (text: string) => bare.load(program(`bits 32\n${text}`));

describe('threaded code: self-modifying code', () => {
  it('executes the next instruction as the previous one wrote it', () => {
    // inc eax becomes inc ebx.
    flat('org 0x1000\n mov byte [next], 0x43\nnext: inc eax\n hlt').toHalt();
    assert.deepEqual([bare.register(EAX), bare.register(EBX)], [0, 1]);
    assert.equal(bare.count('codeInvalidations'), 1);
  });

  it('discards only the units that a write touches', () => {
    flat(`org 0x1000
      mov ecx, 10
    again: mov [data], ecx
      mov [patched+1], cl
      call patched
      dec ecx
      jnz again
      hlt
    data: dd 0
    patched: mov al, 0
      add edx, eax
      xor eax, eax
      ret`).toHalt();
    assert.equal(bare.register(EDX), 55);
    // The function each time but the first (not translated yet); the loop, whose granule the data shares, never.
    assert.equal(bare.count('codeInvalidations'), 9);
  });

  it('carries out a rep movs over itself iteration by iteration', () => {
    // The copy replaces its own bytes by inc ebx from the second byte on: what remains of it is executed next.
    const source = (copy: string) => `org 0x1000
      mov esi, from
      mov edi, copy
      mov ecx, 8
    copy: ${copy}
      inc eax
      inc eax
      inc eax
      inc eax
      inc eax
      inc eax
      hlt
    from: times 8 inc ebx`;
    flat(source('rep movsb'));
    const whole = bare.toHalt().snapshot();
    // rep movsb was overwritten by its first iteration: inc ebx; movsb is left, and overwritten by that.
    for (const slice of [1, 2, 3, 5]) {
      flat(source('rep movsb'));
      while (!bare.halted) bare.engine.execute(slice, 'full');
      assert.equal(bare.snapshot(), whole, `in slices of ${slice}`);
    }
    assert.ok(bare.register(EBX) >= 1);
  });

  it('sees a write to the second page of a straddling instruction', () => {
    flat(`org 0x1000
      jmp near code
      times 0xffe-($-$$) nop
    code: mov eax, 0x11111111
      add edx, eax
      cmp byte [code+4], 0x22
      je done
      mov byte [code+4], 0x22
      jmp near code
    done: hlt`).toHalt();
    assert.equal(bare.register(EDX) >>> 0, 0x11111111 + 0x22111111);
    assert.equal(bare.count('codeInvalidations'), 1);
  });

  it('sees a write to the first page of a straddling instruction made from the second', () => {
    flat(`org 0x1000
      jmp near code
      times 0xffe-($-$$) nop
    code: mov eax, 0x11111111
      add edx, eax
      cmp byte [code+1], 0x22
      je done
      mov byte [code+1], 0x22
      jmp near code
    done: hlt`).toHalt();
    assert.equal(bare.register(EDX) >>> 0, 0x11111111 + 0x11111122);
  });

  it('lets a call push its return address onto its own code, and go where it went', () => {
    // The push overwrites the call itself (five bytes) with its return address, and the jump behind it that is never reached.
    const source = `org 0x1000
      mov ecx, 200
    again: mov esp, site+5
      mov dword [site], 0xe8 | ((target-(site+5)) << 8)
      mov byte [site+4], 0
    site: call target
      hlt
    target: inc eax
      mov ebx, [esp]
      mov esp, 0x9000
      call other
      dec ecx
      jnz again
      hlt
    other: inc edx
      ret`;
    flat(source).toHalt();
    assert.equal(bare.register(EAX), 200);
    assert.equal(bare.register(EDX), 200, 'links of other units still lead to their own targets');
    assert.equal(bare.register(EBX), program(`bits 32\n${source}`).label('site') + 5);
  });

  it('frees the continuation of such a call once', () => {
    // Twenty conditional jumps, all translated before the first is taken: each must keep its own way.
    const jumps = Array.from({ length: 20 }, (_, i) => i);
    const source = program(`bits 32
      org 0x1000
      mov ecx, 30
    again: mov esp, site+5
      mov dword [site], 0xe8 | ((target-(site+5)) << 8)
      mov byte [site+4], 0
    site: call target
    target: mov esp, 0x9000
      dec ecx
      jnz again
      xor esi, esi
    pass: ${jumps.map((i) => `cmp esi, ${i + 1}\n je near taken${i}\nback${i}:`).join('\n')}
      inc esi
      cmp esi, 21
      jb near pass
      hlt
      align 64
      ${jumps.map((i) => `taken${i}: mov [results+${i * 4}], esi\n jmp back${i}`).join('\n')}
      align 64
    results: times 20 dd 0`);
    bare.load(source).toHalt();
    const results = bare.mmu.physical.readBytes(source.label('results'), 80);
    assert.deepEqual(jumps.map((i) => results[i * 4]), jumps.map((i) => i + 1));
  });

  it('goes on for ever rewriting a loop without growing', () => {
    const small = new BareEngine(0x8000, 'threaded');
    const rounds = 100_000;
    // Each round rewrites an immediate in its own unit, behind a conditional and in front of a jump to another page.
    small.load(program(`bits 32
      org 0x1000
      mov ecx, ${rounds}
    again: mov [patch+1], ecx
    patch: mov eax, 0
      add edx, eax
      test ecx, 1
      jz near far_away
    back: dec ecx
      jnz again
      hlt
      align 4096
    far_away: inc ebx
      jmp near back`)).toHalt(2_000_000);
    assert.equal(small.register(EDX) >>> 0, Number((BigInt(rounds) * BigInt(rounds + 1) / 2n) & 0xffffffffn));
    assert.equal(small.register(EBX), rounds / 2);
    // 32 KiB of cache hold 1024 records: had each round left one behind, the cache would have been flushed a hundred times over,
    // and with it all the units that nobody wrote to.
    assert.ok(small.count('codeInvalidations') >= rounds - 1);
    assert.ok(small.count('translationUnits') <= small.count('codeInvalidations') + 20, 'what is not written is translated once');
  });

  it('goes on when the rewritten code changes its length each time', () => {
    const small = new BareEngine(0x8000);
    // 90 90 90 90 90 (five instructions) and B8 imm32 (one) in turn.
    small.load(program(`bits 32
      org 0x1000
      mov ecx, 2000
    again: xor byte [patch], 0x90 ^ 0xb8
    patch: nop
      nop
      nop
      nop
      nop
      inc ebx
      dec ecx
      jnz again
      hlt`)).toHalt();
    assert.equal(small.register(EBX), 2000);
    assert.equal(small.engine.now, 1 + 1000 * (1 + 1 + 3) + 1000 * (1 + 5 + 3) + 1);
    // The loop's unit and the one that begins at the patch, each round.
    assert.ok(small.count('translationUnits') < 2 * 2000 + 10);
  });

  it('makes an instruction anew in its place when its operand is rewritten before each use', () => {
    const rounds = 500;
    flat(`org 0x1000
      mov ecx, ${rounds}
    again: mov [first+1], ecx
      mov [second+2], cl
      mov [third+1], ecx
    first: mov eax, 0
      add edx, eax
    second: lea esi, [esi+1]
    third: mov eax, [table]
      dec ecx
      jnz again
      hlt
      align 64
    table: times ${rounds + 8} db 0`);
    bare.toHalt();
    const sum = rounds * (rounds + 1) / 2;
    const displacements = Array.from({ length: rounds }, (_, n) => ((n + 1) << 24) >> 24).reduce((a, b) => a + b);
    assert.deepEqual([bare.register(EDX), bare.register(6) | 0], [sum, displacements]);
    assert.ok(bare.count('codeInvalidations') >= rounds);
    assert.ok(bare.count('translationUnits') < 60, `${bare.count('translationUnits')} units`);
  });

  it('sees whatever else becomes of an instruction whose immediate is rewritten all the time', () => {
    // Every 16th round the opcode is written too, every 32nd the whole moves by a byte, every 64th parts of the immediate change.
    flat(`org 0x1000
      mov ecx, 640
    again: imul ebx, ecx, 0x01234567
      mov [patch + 1], ebx
      test cl, 15
      jnz patch
      mov byte [patch], 0x05
      test cl, 31
      jnz patch
      mov eax, ebx
      mov al, 0x2d
      mov [patch], eax
      test cl, 63
      jnz patch
      mov byte [patch + 1], 0x11
      mov word [patch + 3], 0x2222
      jmp patch
      align 64
    patch: add eax, 0x11223344
      mov byte [patch], 0x05
      rol eax, 3
      dec ecx
      jnz again
    own:  mov dword [own + 6], 7
      hlt`);
    bare.toHalt();
    let eax = 0, ebx = 0;
    for (let ecx = 640; ecx > 0; ecx--) {
      ebx = Math.imul(ecx, 0x01234567);
      let subtract = false, immediate = ebx;
      if (ecx % 32 === 0) {
        eax = (ebx & ~0xff) | 0x2d;
        subtract = true;
        immediate = (eax >>> 8) | (ebx & 0xff000000);
        if (ecx % 64 === 0) immediate = (((immediate & ~0xff) | 0x11) & 0xffff) | 0x22220000;
      }
      eax = (subtract ? eax - immediate : eax + immediate) | 0;
      eax = (eax << 3) | (eax >>> 29);
    }
    assert.deepEqual([bare.register(EAX) | 0, bare.register(EBX) | 0], [eax, ebx]);
  });

  it('makes another instruction of the same length in its place, and discards the unit when the length changes', () => {
    // inc eax (40), inc ebx (43), and 66 as a prefix of what follows: inc edx, inc dx.
    flat(`org 0x1000
      mov ecx, 300
    again: mov eax, ecx
      xor edi, edi
      and eax, 3
      mov al, [codes+eax]
      mov [patch], al
      mov eax, 0
    patch: inc eax
      inc edx
      add ebp, eax
      dec ecx
      jnz again
      hlt
    codes: db 0x40, 0x43, 0x66, 0x47`).toHalt();
    // Of 300 counts: 75 each. inc eax leaves 1 in EAX, which EBP sums up.
    assert.deepEqual([bare.register(EBX), bare.register(EDX), bare.register(5), bare.register(7)], [75, 300, 75, 0]);
  });

  it('sees its own instruction rewritten while it is at work', () => {
    flat(`org 0x1000
      mov ecx, 100
    again: mov dword [patch+6], ecx
    patch: mov dword [patch+6], 0x12345678
      add edx, [patch+6]
      dec ecx
      jnz again
      hlt`).toHalt();
    assert.equal(bare.register(EDX), 5050);
  });

  it('writes code through another linear address of the same frame', () => {
    // With paging: 0x5000 is a second name of 0x2000.
    flat(`org 0x1000
      mov dword [0x100000], 0x101007       ; directory at 0x100000, table at 0x101000
      mov ecx, 64
    fill: mov eax, ecx
      shl eax, 12
      or eax, 7
      mov [0x101000+ecx*4], eax
      dec ecx
      jns fill
      mov dword [0x101000+5*4], 0x2007
      mov eax, 0x100000
      mov cr3, eax
      mov eax, cr0
      or eax, 0x80000000
      mov cr0, eax
      call 0x2000
      mov byte [0x5000], 0x43              ; inc ebx
      call 0x2000
      call 0x5000
      mov byte [0x2000], 0x42              ; inc edx
      call 0x5000
      hlt
      times 0x1000-($-$$) db 0
      inc edi
      ret`).toHalt();
    assert.deepEqual([bare.register(7), bare.register(EBX), bare.register(EDX)], [1, 2, 1]);
  });

  it('finds few units to discard however many contexts share the code', () => {
    const crowd = program('bits 16\norg 0x8000\n times 60 inc eax\n hlt\n align 64\nspin: mov [0x8030], al\n loop spin\n hlt');
    bare.load(crowd, 'real');
    for (let limit = 0; limit < 500; limit++) {
      bare.engine.cpu.setSegment(1, 0, 0, 0x9000 + limit, 0x93);
      for (const entry of [0x8000, 0x8001, 0x8005]) {
        bare.state.eip = entry;
        bare.toHalt(1000);
      }
    }
    const before = bare.count('codeInvalidations');
    bare.state.set32(EAX, 0x40);
    bare.state.set32(1, 20_000);
    bare.state.eip = crowd.label('spin');
    const units = bare.count('translationUnits');
    bare.toHalt(50_000);
    assert.ok(bare.count('codeInvalidations') - before <= units, 'a crowd is discarded once');
  });
});
