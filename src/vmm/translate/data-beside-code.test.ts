/** Stores into pages that hold translated code: they cost the monitor nothing unless they touch the 64 bytes around an instruction. */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';

const bare = new BareEngine();
const EAX = 0, EBX = 3;
/** Store loops of the same shape: `body` works on the page of the code, 1024 times. */
const loop = (body: string, data = '') => bare.load(program(`bits 32\norg 0x1000\n mov ecx, 1024\nagain: ${body}\n dec ecx\n jnz again\n hlt\n${data}`));

describe('threaded code: data beside code', () => {
  const kinds: readonly [string, string, number][] = [
    ['bytes', 'mov [ecx + 0x1400], cl', 0xff],
    ['words', 'mov [ecx*2 + 0x1400], cx', 0x3ff],
    ['doublewords', 'mov [0x1800], ecx', 1],
    ['read-modify-writes', 'inc dword [0x1800]', 1024],
    ['pairs of doublewords', 'mov ebx, ecx\n cmpxchg8b [0x1800]\n xor eax, eax\n xor edx, edx', 0],
    ['pushes', 'mov esp, 0x1f00\n push ecx', 1],
  ];
  for (const [name, body] of kinds) {
    it(`stores ${name} without the monitor`, () => {
      loop(body).toHalt();
      assert.ok(bare.count('traceFaults') < 8, `${bare.count('traceFaults')} trace faults`);
      assert.equal(bare.count('codeInvalidations'), 0);
    });
  }

  it('leaves in memory what was stored', () => {
    loop('mov [0x1ffc], ecx\n add dword [0x1d00], ecx\n mov [ecx + 0x1400], cl').toHalt();
    const word = (address: number) => bare.engine.mmu.physical.read32(address);
    assert.equal(word(0x1ffc), 1);
    assert.equal(word(0x1d00), 1024 * 1025 / 2);
    assert.equal(word(0x1401), 0x04030201);
  });

  it('tells the translator of stores into the 64 bytes of an instruction', () => {
    // The immediate of the first move is rewritten each time round, through every width.
    loop('mov eax, 0x11111111\n mov byte [again + 1], 0x22\n mov word [again + 2], 0x3333\n mov byte [again + 4], 0x44').toHalt();
    assert.equal(bare.register(EAX), 0x44333322);
    assert.ok(bare.count('codeInvalidations') >= 1);
  });

  it('sees a store that begins before the granule of an instruction and reaches into it', () => {
    bare.load(program(`bits 32
      org 0x1000
      mov ecx, 2
      jmp target
      times 0x1100-0x1000-($-$$) nop
target: mov ebx, 0x11111111
      mov dword [target - 2], 0xeebb9090
      dec ecx
      jnz target
      hlt`)).toHalt();
    // The store's upper half is the opcode and the first byte of the immediate.
    assert.equal(bare.register(EBX), 0x111111ee);
  });

  it('is guarded again when code appears where data was', () => {
    bare.load(program(`bits 32
      org 0x1000
      mov ecx, 3
again: mov [0x1800], ecx
      dec ecx
      jnz again
      mov dword [0x1800], 0xc3c38840
      mov byte [0x1801], 0xc3
      call 0x1800
      mov byte [0x1800], 0x48
      call 0x1800
      hlt`)).toHalt();
    // inc eax, then dec eax at the same place.
    assert.equal(bare.register(EAX), 0);
    assert.equal(bare.count('codeInvalidations'), 1);
  });
});
