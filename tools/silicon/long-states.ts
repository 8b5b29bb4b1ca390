/**
 * Shapes of what saves and loads the whole state of x87 and SSE, and of x87 instructions while an unmasked exception is pending: code of 16, 32 and 64 bits,
 * the operand at the begin of the stack's frame.
 */
import { table } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { existsIn, kindOf, codeSizes, type CodeSize } from '../../test/conformance/support/silicon/coverage';
import type { LongShape } from '../../test/conformance/support/silicon/long-cases';
import { Layout } from '../../test/conformance/support/silicon/long-layout';
import { LongRule, type LongRuleRow } from '../../test/conformance/support/silicon/long-rules';
import { decodeIn } from '../../test/conformance/support/silicon/narrow';

const ALWAYS = 256, BY_RDI = 7;
const REX_W = 0x48, ADDRESS_SIZE = 0x67;
const FRAME = 2;
/** The control word with all exceptions masked; any rounding and precision. */
const masked: LongRuleRow = [LongRule.Image, Layout.control, 2, 0x7f, 0xf00, 128];
/** TOP, condition codes and flags of masked exceptions. */
const quiet: LongRuleRow = [LongRule.Image, Layout.status, 2, 0, 0x7f7f, 200];
/** An unmasked invalid operation, ES and B; TOP and condition codes vary. */
const pending: readonly LongRuleRow[] = [[LongRule.Image, Layout.control, 2, 0x340, 0xc3e, ALWAYS], [LongRule.Image, Layout.status, 2, 0x8081, 0x7f00, ALWAYS]];
/** An image that FXRSTOR takes: control and status words without a pending exception, any tags, MXCSR now and then with a reserved bit. */
const image: readonly LongRuleRow[] = [
  [LongRule.Poke, FRAME, 0, 2, 0x7f, 0xf00, ALWAYS], [LongRule.Poke, FRAME, 2, 2, 0, 0x7f7f, ALWAYS], [LongRule.Poke, FRAME, 24, 4, 0, 0xffff, ALWAYS], [LongRule.Poke, FRAME, 24, 4, 0x40000, 0xffff, 12],
];

export function stateShapes(): LongShape[] {
  const shapes: LongShape[] = [];
  let seed = 0x57a7e000;
  const add = (encoding: Encoding, codeSize: CodeSize, cases: number, rules: readonly LongRuleRow[]): void => {
    const memory = encoding.mod === 'mem';
    const modrm = encoding.modrmByte ?? (encoding.modrm === 'none' ? undefined : Number(encoding.modrm) << 3 | (memory ? BY_RDI : 0xc1));
    const code = [
      ...codeSize === 16 && memory ? [ADDRESS_SIZE] : [], ...encoding.mandatoryPrefix ? [encoding.mandatoryPrefix] : [], ...encoding.operandSize === 64 ? [REX_W] : [],
      ...encoding.map === 1 ? [0x0f] : [], encoding.opcode, ...modrm === undefined ? [] : [modrm],
    ];
    if (decodeIn(code, codeSize)?.encoding !== encoding) throw new Error(`${encoding.instruction.mnemonic} '${encoding.text}' is not ${Buffer.from(code).toString('hex')} in ${codeSize}-bit code`);
    shapes.push({
      code: Uint8Array.from(code), profile: 'state', window: 0, cases, seed: ++seed, floats: true,
      place: memory ? { base: 7, index: -1, scale: 0, displacement: 0, bytes: 8, inFrame: true } : undefined, system: { codeSize, frame: 0, rules },
    });
  };
  for (const codeSize of codeSizes) {
    for (const encoding of table.encodings.filter(({ instruction }) => kindOf(instruction) === 'x87')) {
      if (!existsIn(encoding, codeSize)) continue;
      const { mnemonic } = encoding.instruction;
      if (mnemonic.startsWith('fxsave')) add(encoding, codeSize, 150, [masked, quiet]);
      else if (mnemonic.startsWith('fxrstor')) add(encoding, codeSize, 150, image);
      else if (mnemonic === 'wait') add(encoding, codeSize, 100, [masked, quiet]);
      // What these store includes where the harness's last x87 instruction was.
      if (!/^(fn(save|stenv)|fx(save|rstor)\w*)$/.test(mnemonic)) add(encoding, codeSize, 6, pending);
    }
  }
  return shapes;
}
