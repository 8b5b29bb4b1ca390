/** The constants that FLD1 … FLDZ load: the values to more bits than a register has, rounded as the control word asks. */
import { one, zero, type Float80 } from './format';
import { Operation, round } from './round';

/** 128 bits behind the leading one: significand × 2^scale, all of them irrational. */
interface Constant {
  readonly bits: bigint;
  readonly scale: number;
}
const log2of10: Constant = { bits: 0xd49a784bcd1b8afe492bf6ff4dafdb4cn, scale: -126 };
const log2ofE: Constant = { bits: 0xb8aa3b295c17f0bbbe87fed0691d3e88n, scale: -127 };
const pi: Constant = { bits: 0xc90fdaa22168c234c4c6628b80dc1cd1n, scale: -126 };
const log10of2: Constant = { bits: 0x9a209a84fbcff7988f8959ac0b7c9178n, scale: -129 };
const lnOf2: Constant = { bits: 0xb17217f7d1cf79abc9e3b39803f2f6afn, scale: -128 };

const rounded = (constant: Constant) => (control: number): Float80 => round(new Operation(control), 0, constant.bits, constant.scale, true, 64);

/** By the opcode's low three bits: FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ. */
export const constants: readonly ((control: number) => Float80)[] = [
  () => one, rounded(log2of10), rounded(log2ofE), rounded(pi), rounded(log10of2), rounded(lnOf2), () => zero(0),
];
