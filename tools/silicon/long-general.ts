/** Shapes of general instructions in 64-bit code: every declared encoding that exists there, with what ring 3 may do and what it is refused. */
import { table } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { Random } from '../../test/conformance/support/silicon/cases';
import { existsIn, kindOf, registerFormDiffers, whyUncovered } from '../../test/conformance/support/silicon/coverage';
import type { LongShape, Place } from '../../test/conformance/support/silicon/long-cases';
import { AT, CODE, windows } from '../../test/conformance/support/silicon/long-layout';
import { LANDING, LongRule, Selectors, toLanding, type LongRuleRow } from '../../test/conformance/support/silicon/long-rules';
import { decodeIn } from '../../test/conformance/support/silicon/narrow';

type Size = 16 | 32 | 64;
const ALWAYS = 256, OFTEN = 200;
const RAX = 0, RCX = 1, RBX = 3, RSP = 4, RBP = 5;
const isStringInstruction = /^(movs|cmps|stos|lods|scas|ins|outs)[bwdq]$/;
const isLoop = /^(loop|j[er]cxz)/;
const softwareVectors = [0, 1, 2, 3, 4, 5, 6, 8, 13, 14, 32, 0x7f, 0x81, 0xff];
const nestingLevels = [0, 1, 2, 3, 5, 16, 31, 32, 33];
const immediateEdges = [0, 1, 2, 0xff, 0x80, 0x7f, 0x7fffffff, 0x80000000, 0xffffffff, 31, 32, 63, 64];
/** A number that no system call has. */
const NO_SYSTEM_CALL = 0x5000;

const isNear = ({ instruction: { control }, operands }: Encoding): boolean => control !== undefined && !operands.includes('Mp') && /^(jump|condition|call|return)$/.test(control);
const isFar = ({ instruction: { mnemonic }, operands }: Encoding): boolean => mnemonic === 'retf' || mnemonic.startsWith('iret') || operands.includes('Mp');

/** Operand sizes that an encoding is tried with. */
function sizesOf(encoding: Encoding): Size[] {
  const { instruction: { mnemonic, control }, operands, operandSize } = encoding;
  // Here processors differ: AMD's take 66 before near transfers and ignore REX.W before far ones through memory, Intel's the other way around (SDM Vol. 2, JMP).
  if (mnemonic !== 'retf' && isNear(encoding) && control !== undefined) return [64];
  if (operands.includes('Mp')) return [16, 32];
  return ([16, 32, 64] as const).filter((size) => operandSize === undefined || operandSize === size);
}

/** What an instruction needs besides operands: rules, and whether it has a stack of its own or goes elsewhere. */
function rulesOf({ instruction: { mnemonic }, operands, addressSize }: Encoding, size: Size, memory: boolean, rm: number): LongRuleRow[] {
  const bytes = size / 8;
  const anywhere = (offset: number): LongRuleRow[] => [[LongRule.Poke, offset < 0 ? 0 : 1, Math.max(offset, 0), bytes, CODE + LANDING, 63, ALWAYS], [LongRule.Poke, offset < 0 ? 0 : 1, Math.max(offset, 0), bytes, LANDING, 63, 100]];
  const loaded = (list: Selectors): LongRuleRow => (memory ? [LongRule.PokeSelector, 1, 0, list, ALWAYS] : [LongRule.Selector, rm, list]);
  if (mnemonic === 'retf') return [...anywhere(-1), [LongRule.PokeSelector, 0, bytes, Selectors.Code, ALWAYS]];
  // Neither TF nor NT: what follows them is the operating system's affair.
  if (mnemonic.startsWith('iret')) {
    return [
      ...anywhere(-1), [LongRule.PokeSelector, 0, bytes, Selectors.Code, ALWAYS], [LongRule.Poke, 0, 2 * bytes, Math.min(bytes, 4), 0, ~0x4100, ALWAYS],
      [LongRule.PokeSelector, 0, 4 * bytes, Selectors.Stack, ALWAYS],
    ];
  }
  if (mnemonic.startsWith('popf')) return [[LongRule.Poke, 0, 0, Math.min(bytes, 4), 0, ~0x4100, ALWAYS]];
  if (operands.includes('Mp')) {
    if (operands[0] !== 'Mp') return [[LongRule.PokeSelector, 1, bytes, Selectors.Data, ALWAYS]];
    return [...anywhere(0), [LongRule.PokeSelector, 1, bytes, Selectors.Code, ALWAYS]];
  }
  if (mnemonic === 'ret') return [[LongRule.PokeTarget, 0, 0, 8]];
  if (mnemonic === 'jmp' || mnemonic === 'call') return operands[0] !== 'Ev' ? [] : [memory ? [LongRule.PokeTarget, 1, 0, 8] : [LongRule.Target, rm]];
  if (isLoop.test(mnemonic)) return [[LongRule.Set, RCX, addressSize === 32 ? 32 : 64, 0, 1, 128]];
  if (/^(verr|verw|lar|lsl)$/.test(mnemonic)) return [loaded(Selectors.Data)];
  if (mnemonic === 'pop' && /^[FG]S$/.test(operands[0])) return [[LongRule.PokeSelector, 0, 0, Selectors.Data, ALWAYS]];
  if (operands[0] === 'Sw') return [loaded(Selectors.Data)];
  if (operands[1] === 'Sw' || /^[FG]S$/.test(operands[0])) return [0, 3, 4, 5].map((segment) => [LongRule.Segment, segment, Selectors.Usable]);
  if (mnemonic === 'enter') return [[LongRule.Frame, RBP]];
  if (mnemonic === 'xlatb') return [[LongRule.Set, RAX, 8, 0, 0x3f, OFTEN]];
  if (/^wr[fg]sbase$/.test(mnemonic)) return [[LongRule.Base, rm]];
  if (mnemonic === 'syscall') return [[LongRule.Set, RAX, 64, NO_SYSTEM_CALL, 0xfff, ALWAYS]];
  return [];
}

const needsSystem = (encoding: Encoding): boolean => encoding.instruction.control !== undefined || isFar(encoding) || encoding.operands.some((o) => /^(Sw|[FG]S)$/.test(o))
  || /^(enter|popf[wq]|[rw][dr][fg]sbase|syscall|verr|verw|lar|lsl|xlatb)$/.test(encoding.instruction.mnemonic);

function littleEndian(value: number, bytes: number, high: () => number): number[] {
  return Array.from({ length: bytes }, (_, n) => (n < 4 ? value >>> (8 * n) : high()) & 0xff);
}

function generalShape(random: Random, encoding: Encoding, size: Size, memory: boolean, cases: number, seed: number): LongShape {
  const { instruction, operands } = encoding;
  const { mnemonic } = instruction;
  const any = (): number => random.below(16);
  let reg = typeof encoding.modrm === 'number' ? encoding.modrm : any();
  let rm = any(), x = 0, place: Place | undefined;
  let opcode = encoding.opcode;
  const tail: number[] = [];
  let relative = -1;
  if (operands[0] === 'Sw') reg = random.pick([0, 2, 3, 4, 5]);
  else if (operands[1] === 'Sw') reg = random.below(6);
  else if (operands.includes('Cd')) reg = random.pick([0, 2, 3, 4, 8]);
  else if (operands.includes('Dd')) reg = random.pick([0, 1, 2, 3, 6, 7]);
  if (encoding.registerInOpcode) {
    rm = any();
    if (encoding.opcode === 0x90 && rm === 0) rm = 3;
    opcode += rm & 7;
  }
  const modrm = encoding.modrm !== 'none';
  // Then RSP stays where it has room.
  const usesStack = /^(push|pop|call)$/.test(mnemonic);
  const override = random.chance(20) ? 4 + random.below(2) : 0;
  if (modrm && memory) {
    const kind = random.below(4);
    const displacement = (random.next() << 24) >> 24;
    if (kind === 0) {
      relative = 1;
      rm = 5;
      tail.push((reg & 7) << 3 | 5, 0, 0, 0, 0);
    } else if (kind === 1) {
      do rm = any(); while ((rm & 7) === 4);
      tail.push(0x40 | (reg & 7) << 3 | (rm & 7), displacement & 0xff);
      place = { base: rm, index: -1, scale: 0, displacement, bytes: 8 };
    } else {
      const scale = random.below(4);
      let index = any();
      if (index === 4) index = 12;
      rm = any();
      if (rm === RSP && usesStack) rm = RBX;
      if (rm === index) rm = (rm + 1) & 15;
      if (rm === RSP && usesStack) rm = RBP;
      x = index >> 3;
      tail.push(0x80 | (reg & 7) << 3 | 4, scale << 6 | (index & 7) << 3 | (rm & 7), ...littleEndian(displacement, 4, () => 0));
      place = { base: rm, index, scale, displacement, bytes: 8 };
    }
    if (place && override) place = { ...place, segment: override };
  } else if (modrm) {
    if (instruction.control && rm === RSP) rm = RBX;
    tail.push(0xc0 | (reg & 7) << 3 | (rm & 7));
  }
  if (encoding.modrmByte !== undefined) tail.push(encoding.modrmByte);
  if (!modrm) reg = 0;
  if (mnemonic === 'leave') place = { base: RBP, index: -1, scale: 0, displacement: 0, bytes: 8 };
  if (mnemonic === 'xlatb') place = { base: RBX, index: -1, scale: 0, displacement: 0, bytes: 8, segment: override };
  const relativeBytes = operands[0] === 'Jb' ? 1 : operands[0] === 'Jz' ? 4 : 0;
  for (const code of operands) {
    let value = random.chance(100) ? random.pick(immediateEdges) : random.next();
    const bytes = (count: number): void => { tail.push(...littleEndian(value, count, () => random.next())); };
    if (mnemonic === 'int') value = random.pick(softwareVectors);
    else if (mnemonic === 'enter') value = random.pick(code === 'Ib' ? nestingLevels : [0, 8, 16, 32]);
    else if (code === 'Iw') value = random.pick([0, 2, 4, 7, 8, 16, 32]);
    if (code === 'Ib' || code === 'Ibs') bytes(1);
    else if (code === 'Iw') bytes(2);
    else if (code === 'Iz') bytes(size === 16 ? 2 : 4);
    else if (code === 'Iv') bytes(size / 8);
    else if (code[0] === 'O') tail.push(...littleEndian(windows[0] + 16 + random.below(80), 8, () => 0));
  }
  const usesRm = (modrm && (rm & 8) !== 0 && relative < 0) || (encoding.registerInOpcode && (rm & 8) !== 0);
  const wide = size === 64 && !encoding.defaults64 && !encoding.forced64 && !relativeBytes;
  const needed = (wide ? 8 : 0) | (reg & 8 && typeof encoding.modrm !== 'number' ? 4 : 0) | x << 1 | (usesRm ? 1 : 0);
  const rex = needed || random.chance(60) ? [0x40 | needed] : [];
  const repeat = instruction.repeat && random.chance(128) ? [random.pick([0xf2, 0xf3])] : [];
  const lock = memory && instruction.lock && random.chance(60) ? [0xf0] : [];
  const narrow = encoding.addressSize === 32 || (encoding.addressSize === undefined && random.chance(20) && (place && !place.segment || repeat.length > 0));
  const code = [
    ...lock, ...repeat, ...place?.segment ? [0x60 | place.segment] : [], ...size === 16 ? [0x66] : [], ...narrow ? [0x67] : [],
    ...encoding.mandatoryPrefix ? [encoding.mandatoryPrefix] : [], ...rex, ...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][encoding.map], opcode, ...tail,
  ];
  if (relative >= 0) {
    const at = code.length - tail.length + 1;
    const target = windows[0] + 16 + random.below(80);
    if (needsSystem(encoding)) place = { base: -1, index: -1, scale: 0, displacement: target, bytes: 8 };
    littleEndian(target - (CODE + AT + code.length), 4, () => 0).forEach((byte, n) => { code[at + n] = byte; });
  }
  if (relativeBytes) {
    const length = code.length + relativeBytes;
    const distance = relativeBytes === 4 ? toLanding(random, length) : random.chance(128) ? random.below(100) : -length - 1 - random.below(100);
    code.push(...littleEndian(distance, relativeBytes, () => 0));
  }
  const rules = rulesOf(encoding, size, memory, rm);
  const system = needsSystem(encoding) || place?.segment ? { codeSize: 64 as const, frame: random.pick([0, 0, 0, 0, 1, 2]), rules } : undefined;
  return {
    code: Uint8Array.from(code), profile: isStringInstruction.test(mnemonic) ? 'strings' : 'general', window: place && relative < 0 && random.chance(20) ? 1 : 0, cases, seed, place, floats: false, system,
  };
}

/** Cases of one shape, shapes of one form. What ring 3 is refused is refused whatever the operands. */
function effortOf({ instruction: { mnemonic, privilege }, operands }: Encoding): { readonly shapes: number; readonly cases: number } {
  if (privilege === 'cpl0' || privilege === 'iopl' || /^(ud[012]|s[gil]dt|str|smsw|rdpmc|rdtscp?|cpuid)$/.test(mnemonic)) return { shapes: 2, cases: 12 };
  if (/^(nop|prefetch\w+|[lms]fence|clflush)$/.test(mnemonic)) return { shapes: 3, cases: 8 };
  if (mnemonic.startsWith('iret') || mnemonic === 'retf' || operands.includes('Mp')) return { shapes: 10, cases: 40 };
  return { shapes: 6, cases: 48 };
}

/** Every general instruction that 64-bit code can contain. */
export function generalShapes(): LongShape[] {
  const shapes: LongShape[] = [];
  let seed = 0x9e4e0000;
  for (const encoding of table.encodings) {
    const { instruction, operands } = encoding;
    if (!existsIn(encoding, 64) || kindOf(instruction) !== 'general' || whyUncovered(instruction, 64)) continue;
    const effort = effortOf(encoding);
    for (const size of sizesOf(encoding)) {
      for (const memory of [false, true]) {
        const mayBeMemory = encoding.modrm !== 'none' && encoding.modrmByte === undefined && operands.some((o) => /^[EM]/.test(o));
        if (memory ? !mayBeMemory || encoding.mod === 'reg' : encoding.mod === 'mem' || registerFormDiffers(encoding)) continue;
        // A bit offset in a register reaches anywhere.
        if (memory && /^bt[src]?$/.test(instruction.mnemonic) && operands[1] === 'Gv') continue;
        for (let n = 0; n < effort.shapes; n++) {
          for (let attempt = 0; attempt < 30; attempt++) {
            const shape = generalShape(new Random(++seed), encoding, size, memory, effort.cases, seed);
            if (shape.code.length > 15 || decodeIn(shape.code, 64)?.encoding !== encoding) continue;
            shapes.push(shape);
            break;
          }
        }
      }
    }
  }
  return shapes;
}
