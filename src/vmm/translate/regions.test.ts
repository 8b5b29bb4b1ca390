import assert from 'node:assert/strict';
import { BareEngine, program, randomSource } from '../../../test/support/guest';
import { REGION_SLOTS } from './handlers';
import type { TranslationMode } from './regions';

const EAX = 0, EBX = 3;
const oneOfEach = (): Readonly<Record<TranslationMode, BareEngine>> => ({
  threaded: new BareEngine(undefined, 'threaded'), adaptive: new BareEngine(undefined, 'adaptive'), eager: new BareEngine(undefined, 'eager'), random: new BareEngine(undefined, 'random'),
});
const engines = oneOfEach();
/** These run the same programs, so that all of their memory is the same. */
const alike = oneOfEach();
const { adaptive } = engines;

const flat = (engine: BareEngine, body: string) => engine.load(program(`bits 32\norg 0x1000\n${body}`));
/** Runs a program to its end in every mode. */
function agree(source: string, instructions: number): void {
  const ends = Object.values(engines).map((engine) => {
    flat(engine, source).toHalt(instructions);
    return [engine.engine.now, ...Array.from({ length: 8 }, (_, n) => engine.register(n))];
  });
  for (const end of ends) assert.deepEqual(end, ends[0]);
}

describe('regions', () => {
  it('are made of what runs often, entered through its first record, and end a run at exactly any count', () => {
    const source = program('bits 32\norg 0x1000\n mov ecx, 1000000\nagain: add eax, ecx\n xor eax, ebx\n dec ecx\n jnz again\n hlt');
    adaptive.load(source);
    for (let left = 1 + 4 * 1_000_000 + 1; left > 0;) {
      const asked = Math.min(left, 99_991);
      adaptive.engine.execute(asked, 'full');
      left -= asked;
    }
    assert.ok(adaptive.halted);
    assert.equal(adaptive.engine.now, 1 + 4 * 1_000_000 + 1);
    assert.equal(adaptive.count('regionsTranslated'), 1);
    assert.ok(adaptive.count('regionEntries') < 200, 'the loop runs inside');
    assert.equal(adaptive.register(EAX), engines.threaded.load(source).toHalt(5_000_000).register(EAX));
  });

  it('go as soon as one of their instructions is overwritten, and come again', () => {
    flat(adaptive, `mov ecx, 200000
      again: mov eax, 1
      patch: add ebx, 1
        cmp ecx, 100000
        jne on
        mov byte [patch + 2], 3
      on: dec ecx
        jnz again
        hlt`).toHalt(3_000_000);
    assert.equal(adaptive.register(EBX), 100_001 + 3 * 99_999);
    assert.deepEqual([adaptive.count('regionsTranslated'), adaptive.count('regionsDiscarded')], [2, 1]);
    assert.ok(adaptive.count('regionsTranslated') > adaptive.count('regionsDiscarded'));
  });

  it('reach over jump tables, function pointers, calls and returns', () => {
    flat(adaptive, `mov esp, 0x9000
        mov ecx, 100000
      again: mov eax, ecx
        and eax, 3
        jmp [table + 4 * eax]
      zero: inc ebx
        jmp on
      one: mov edx, work
        call edx
        jmp on
      two: call work
        call [pointer]
      on: dec ecx
        jnz again
        hlt
      work: add ebx, 2
        ret
        align 4
      table: dd zero, one, two, on
      pointer: dd work`).toHalt(3_000_000);
    assert.equal(adaptive.register(EBX), 25_000 * (1 + 2 + 4));
    assert.ok(adaptive.count('regionEntries') < 1000, `${adaptive.count('regionEntries')} entries: the loop runs inside`);
    assert.ok(adaptive.count('indirectHits') < 100_000);
  });

  it('follow a chain of calls over many pages and back, by the mapping at hand', () => {
    const DIRECTORY = 0x100000, TABLE = 0x101000, LINKS = 10;
    // Each link of the chain adds one on the way back; one page shows another frame now and then.
    const link = (n: number) => `times 0x10000 + 0x1000 * ${n} - 0x1000 - ($-$$) nop\n ${n < LINKS ? 'call $ + 0x1000' : ''}\n add ebx, 1\n ret\n`;
    const paged = new BareEngine(undefined, 'adaptive');
    flat(paged, `mov esp, 0x9000
        mov ecx, 200000
      again: call 0x10000
        cmp ecx, 1000
        ja on
        test ecx, 63
        jnz on
        xor dword [${TABLE + 0x15 * 4}], 0x15000 ^ 0x1b000
        invlpg [0x15000]
      on: dec ecx
        jnz again
        hlt
        ${Array.from({ length: LINKS + 1 }, (_, n) => link(n)).join('')}`);
    const { mmu, engine, state } = paged;
    // The other frame calls on as well: its code is the sixth link's with another number.
    mmu.physical.writeBytes(0x1b000, program('bits 32\norg 0x15000\n call 0x16000\n add ebx, 100\n ret').bytes);
    mmu.physical.write32(DIRECTORY, TABLE | 7);
    for (let page = 0; page < 1024; page++) mmu.physical.write32(TABLE + page * 4, (page << 12) | 7);
    state.cr3 = DIRECTORY;
    state.cr0 = 0x80000011;
    engine.cpu.pagingChanged('cr0');
    engine.stateChanged();
    paged.toHalt(20_000_000);
    // In the end the frame changes behind every 64th call.
    assert.equal(paged.register(EBX), 200_000 * (LINKS + 1) + 511 * 99);
    assert.ok(paged.count('regionEntries') < 3000, `${paged.count('regionEntries')} entries: a call costs none`);
  });

  it('note the precision exception and round as MXCSR says when it changes under them', () => {
    // Divisions that round, in a loop that now and then clears what was noted, changes the rounding or the mask's neighbours, and gathers MXCSR and the results.
    const source = `mov ecx, 40000
        mov dword [0x3000], 3
        fninit
      again: cvtsi2sd xmm0, ecx
        cvtsi2sd xmm1, [0x3000]
        divsd xmm0, xmm1
        sqrtss xmm3, xmm0
        addsd xmm2, xmm0
        stmxcsr [0x3004]
        movd eax, xmm2
        add ebx, eax
        rol ebx, 3
        xor ebx, [0x3004]
        movd eax, xmm3
        add ebx, eax
        test ecx, 1023
        jnz on
        mov eax, ecx
        shr eax, 10
        and eax, 3
        ldmxcsr [controls + 4 * eax]
      on: dec ecx
        jnz again
        hlt
        align 4
      controls: dd 0x1f80, 0x5f80, 0x1fa0, 0x7f80`;
    flat(alike.threaded, source).toHalt(2_000_000);
    const expected = alike.threaded.snapshot();
    for (const mode of ['adaptive', 'eager', 'random'] as const) assert.equal(flat(alike[mode], source).toHalt(2_000_000).snapshot(), expected, mode);
    assert.ok(alike.adaptive.count('regionsTranslated') > 0);
  });

  it('repeat a copy in line, and leave it to threaded code at the end of a page or of the budget', () => {
    const source = `mov ecx, 20000
      again: push ecx
        and ecx, 127
        mov eax, [esp]
        imul eax, eax, 37
        and eax, 0xfff
        lea esi, [0x100000 + eax]
        lea edi, [0x102000 + eax + 5]
        rep movsb
        mov ecx, 9
        lea edi, [esi + 3]
        rep movsd
        mov ecx, eax
        and ecx, 63
        rep stosw
        pop ecx
        add ebx, edi
        dec ecx
        jnz again
        hlt`;
    const states = (engine: BareEngine): string[] => {
      flat(engine, `mov esp, 0x9000\n${source}`);
      return [1, 77, 12_345, 400_001, 3, 1_000_000, 63].map((count) => {
        engine.engine.execute(count, 'full');
        return engine.snapshot();
      });
    };
    const expected = states(alike.threaded);
    for (const mode of ['adaptive', 'eager', 'random'] as const) assert.deepEqual(states(alike[mode]), expected, mode);
  });

  it('make room for others when all places are taken', () => {
    // Each jump through a register leads to a unit that the dispatcher has to find: with regions at once, one region each.
    const count = REGION_SLOTS + 300;
    const many = new BareEngine(undefined, 'eager');
    flat(many, `mov ecx, 2
      again:
      %assign n 0
      %rep ${count}
        mov eax, next_%+n
        jmp eax
      next_%+n:
      %assign n n + 1
      %endrep
        inc ebx
        dec ecx
        jnz near again
        hlt`).toHalt(100_000);
    assert.equal(many.register(EBX), 2);
    assert.ok(many.count('regionsTranslated') > REGION_SLOTS, `${many.count('regionsTranslated')} regions`);
    assert.ok(many.count('regionsDiscarded') >= REGION_SLOTS / 2);
  });

  it('hold loops that are entered in their middle: irreducible control flow', () => {
    // Two of them in a loop: whichever block a region begins with, it is in the middle of at most one.
    const twice = (n: number) => `test ecx, ${n}
        jz middle${n}
      top${n}: inc ebx
        test ebx, 7
        jz out${n}
      middle${n}: add eax, ebx
        add edx, ${n}
        test edx, 15
        jnz top${n}
      out${n}: `;
    const source = `mov ecx, 50000
outer: ${twice(1)} ${twice(2)} dec ecx
 jnz outer
 hlt`;
    agree(source, 8_000_000);
    const [region] = adaptive.engine.regions.list();
    assert.ok(region.plan.shape.hall >= 0, 'there is a hall');
    assert.ok(adaptive.count('regionEntries') < 500, `${adaptive.count('regionEntries')} entries: the loops run inside`);
  });

  it('are entered where a call outside returns to, too', () => {
    // The function begins with an instruction on two pages, which no region takes in.
    const source = `mov esp, 0x9000
        mov ecx, 100000
      again: call outside
        add ebx, eax
        dec ecx
        jnz again
        hlt
        times 0xffe - ($-$$) nop
      outside: mov eax, 3
        ret`;
    agree(source, 1_000_000);
    const [region] = adaptive.engine.regions.list();
    assert.deepEqual([region.plan.entries.length, region.entered.length], [2, 2]);
    assert.ok(adaptive.count('regionEntries') > 80_000, `${adaptive.count('regionEntries')} entries`);
  });

  for (const bits of [32, 64] as const) it(`leave the state that threaded code leaves, wherever a run of a random program of ${bits} bits stops`, function () {
    this.timeout(60_000);
    for (let seed = 1; seed <= 12; seed++) {
      const source = program(randomProgram(randomSource(seed), bits));
      const random = randomSource(seed * 7919);
      const stops = Array.from({ length: 12 }, () => 1 + random(3000));
      const states = (engine: BareEngine): string[] => {
        engine.load(source, bits === 64 ? 'long' : 'flat');
        return stops.map((count) => {
          const exit = engine.engine.execute(count, 'full');
          return `${exit.kind} ${engine.halted} ${engine.snapshot()}`;
        });
      };
      const expected = states(engines.threaded);
      assert.ok(expected.every((state) => state.startsWith('ran false')), 'it never ends');
      for (const mode of ['adaptive', 'eager', 'random'] as const) {
        const found = states(engines[mode]);
        const differs = found.findIndex((state, n) => state !== expected[n]);
        if (differs >= 0) assert.fail(`${mode}, program ${seed}, stop ${differs}: ${found[differs].slice(0, 300)}\ninstead of ${expected[differs].slice(0, 300)}`);
      }
    }
  });
});

/** Loops, branches, calls and every family of instructions that regions write in line, over four kilobytes of data; it never ends. */
function randomProgram(random: (below: number) => number, bits: 32 | 64): string {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)];
  const long = bits === 64;
  const registers = {
    64: ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'r8', 'r12', 'r13', 'r15'],
    32: ['eax', 'ebx', 'ecx', 'edx', 'esi', 'edi', ...(long ? ['r8d', 'r9d', 'r13d'] : [])], 16: ['ax', 'bx', 'cx', 'dx', 'si', 'di'], // With a REX prefix there are no AH, CH, DH, BH.
    8: long ? ['al', 'bl', 'cl', 'dl', 'sil', 'dil', 'r9b'] : ['al', 'ah', 'bl', 'bh', 'cl', 'ch', 'dl', 'dh'],
  };
  const widths = long ? [64, 64, 32, 32, 16, 8] as const : [32, 32, 32, 16, 8] as const;
  const wide = registers[bits];
  const pointers = long ? ['rsi', 'rdi'] : ['esi', 'edi'];
  const sizes = { 64: 'qword', 32: 'dword', 16: 'word', 8: 'byte' };
  const conditions = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'];
  // EBP stays inside the data; now and then an access reaches over a page.
  const memory = () => `[${long ? 'rbp' : 'ebp'} + ${random(0x1100)}]`;
  const instruction = (): string => {
    const width = pick(widths);
    const register = pick(registers[width]);
    const source = () => pick([register, pick(registers[width]), `${sizes[width]} ${memory()}`, String(random(width === 8 ? 256 : 60_000))]);
    switch (random(19)) {
      case 0: case 1: case 2: return `${pick(['add', 'sub', 'adc', 'sbb', 'and', 'or', 'xor', 'cmp', 'mov'])} ${register}, ${source()}`;
      case 3: return `${pick(['add', 'sub', 'adc', 'sbb', 'and', 'or', 'xor', 'cmp', 'mov'])} ${memory()}, ${register}`;
      case 4: return `${pick(['inc', 'dec', 'neg', 'not'])} ${pick([register, `${sizes[width]} ${memory()}`])}`;
      case 5: return `${pick(['shl', 'shr', 'sar', 'rol', 'ror', 'rcl', 'rcr'])} ${register}, ${pick(['cl', '1', String(random(width))])}`;
      case 6: return `test ${register}, ${pick([pick(registers[width]), String(random(256))])}`;
      case 7: return `set${pick(conditions)} ${pick(registers[8])}`;
      case 8: return `cmov${pick(conditions)} ${pick(wide)}, ${pick(wide)}`;
      case 9: return `lea ${pick(wide)}, [${pick(wide)} + ${pick([1, 2, 4, 8])} * ${pick(wide)} + ${random(100)}]`;
      case 10: return pick(['cld', 'std', 'stc', 'clc', 'cmc', 'lahf', 'cwde', 'cdq', 'cbw', 'sahf', ...(long ? ['cdqe', 'cqo', 'mov ah, bl', 'add ch, dh', 'xchg bh, cl'] : [])]);
      case 11: return `${pick(['movzx', 'movsx'])} ${pick(registers[32])}, ${pick([pick(registers[8]), pick(registers[16]), `byte ${memory()}`, `word ${memory()}`])}`;
      case 12: return `${pick(['imul', 'xchg', 'bsf', 'bsr', 'bt'])} ${pick(wide)}, ${pick(wide)}`;
      case 13: return `push ${pick(wide)}\n pop ${pick(wide)}`;
      case 16: return pick([
        `${pick(['paddd', 'pxor', 'pmulld', 'psubw', 'addps', 'mulpd', 'pshufb', 'pcmpeqb', 'unpcklps', 'sqrtsd', 'subss', 'divpd', 'minps', 'cvtdq2ps'])} xmm${random(8)}, xmm${random(8)}`,
        `${pick(['movups', 'movdqu', 'movsd', 'movss', 'lddqu'])} xmm${random(8)}, ${memory()}`, `${pick(['movups', 'movsd', 'movq'])} ${memory()}, xmm${random(8)}`,
        `cvtsi2sd xmm${random(8)}, ${pick(registers[32])}`, `${pick(['ucomisd', 'comiss', 'ptest'])} xmm${random(8)}, xmm${random(8)}`, `movd ${pick(registers[32])}, xmm${random(8)}`,
      ]);
      case 17: return pick(['fld1', 'fldz', 'fldpi', 'fabs', 'fchs', 'faddp', 'fmul st0, st1', 'fxch', 'fsqrt', 'fnstsw ax', 'fninit', `fild dword ${memory()}`, `fistp dword ${memory()}`,
        `fld qword ${memory()}`, `fstp qword ${memory()}`, `fadd dword ${memory()}`, 'fdivr st0, st2', 'fcomi st0, st1', 'fldl2e', 'frndint']);
      case 18: return [`mov ecx, ${random(random(2) ? 70 : 900)}`, `lea ${pointers[0]}, ${memory()}`, `lea ${pointers[1]}, ${memory()}`, pick(['cld', 'cld', 'cld', 'std']),
        `${pick(['rep movs', 'rep movs', 'rep stos', 'repe cmps', 'repne scas'])}${pick(long ? ['b', 'w', 'd', 'q'] : ['b', 'w', 'd'])}`].join('\n ');
      case 14: return `${pick(['bts', 'btr', 'btc'])} dword ${memory()}, ${random(32)}`;
      default: return `${pick(['shld', 'shrd'])} ${pick(wide)}, ${pick(wide)}, ${pick(['cl', String(random(bits))])}`;
    }
  };
  const blocks = 6 + random(10);
  const lines = [`bits ${bits}`, 'org 0x1000', 'mov ebp, 0x100800', 'mov esp, 0x9000', 'fninit'];
  for (let n = 0; n < blocks; n++) {
    lines.push(`block${n}:`, ...Array.from({ length: 1 + random(14) }, instruction));
    const target = random(blocks);
    lines.push(pick([`j${pick(conditions)} block${target}`, `jmp block${target}`, 'call function', `dec dword [0x3000 + ${4 * n}]\n jnz block${target}`, long ? 'and eax, 3\n jmp [table + 8 * rax]' : 'and eax, 3\n jmp [table + 4 * eax]', '']));
  }
  lines.push('jmp block0', 'function:', ...Array.from({ length: 3 }, instruction), 'ret', 'align 4', 'table:');
  for (let n = 0; n < 4; n++) lines.push(`${long ? 'dq' : 'dd'} block${random(blocks)}`);
  return lines.join('\n ');
}
