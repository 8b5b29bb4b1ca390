/**
 * Vectors and floating-point numbers in the builder's language: the operations that take and give values without touching state, by the names
 * that WebAssembly has for them. The type of the result follows from the name.
 */
type Integers = 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2';
type Floats = 'f32x4' | 'f64x2';
type Comparison = 'eq' | 'ne' | 'lt' | 'gt' | 'le' | 'ge';
type Rounding = 'ceil' | 'floor' | 'trunc' | 'nearest';
type Arithmetic = 'add' | 'sub' | 'mul' | 'div';

export type FloatType = 'f32' | 'f64';
/** Questions whether a result is exact, by operation and type (rows/sse-exact.ts). */
export type ExactCheck = `${Arithmetic | 'sqrt'}.${FloatType | Floats}`;

/** Scalar floating-point operations. */
export type FloatOperation =
  | `${FloatType}.${Arithmetic | 'abs' | 'neg' | 'sqrt' | Rounding | Comparison}`
  | `${FloatType}.convert_i32_s` | `${FloatType}.convert_i64_s` | 'f32.demote_f64' | 'f64.promote_f32'
  | 'i32.reinterpret_f32' | 'i64.reinterpret_f64' | 'f32.reinterpret_i32' | 'f64.reinterpret_i64'
  | `${'i32' | 'i64'}.trunc_sat_${FloatType}_s`;

export type VectorOperation =
  | `v128.${'not' | 'and' | 'andnot' | 'or' | 'xor' | 'bitselect' | 'any_true'}`
  | `${Integers}.${'splat' | 'add' | 'sub' | 'abs' | 'neg' | 'eq' | 'ne' | 'gt_s' | 'lt_s' | 'shl' | 'shr_s' | 'shr_u' | 'bitmask' | 'all_true'}`
  | `${'i8x16' | 'i16x8' | 'i32x4'}.${'min_s' | 'min_u' | 'max_s' | 'max_u' | 'gt_u'}`
  | `${'i8x16' | 'i16x8'}.${'add_sat_s' | 'add_sat_u' | 'sub_sat_s' | 'sub_sat_u' | 'avgr_u'}`
  | 'i8x16.swizzle' | 'i16x8.mul' | 'i32x4.mul' | 'i64x2.mul' | 'i16x8.q15mulr_sat_s' | 'i32x4.dot_i16x8_s'
  | `i8x16.narrow_i16x8_${'s' | 'u'}` | `i16x8.narrow_i32x4_${'s' | 'u'}`
  | `${'i16x8.extend_low_i8x16' | 'i32x4.extend_low_i16x8' | 'i64x2.extend_low_i32x4'}_${'s' | 'u'}`
  | `${'i16x8.extend_high_i8x16' | 'i32x4.extend_high_i16x8' | 'i64x2.extend_high_i32x4'}_${'s' | 'u'}`
  | `i32x4.extmul_${'low' | 'high'}_i16x8_${'s' | 'u'}` | `i64x2.extmul_low_i32x4_${'s' | 'u'}`
  | 'i16x8.extadd_pairwise_i8x16_u' | 'i32x4.extadd_pairwise_i16x8_u'
  | `${Floats}.${Arithmetic | 'abs' | 'neg' | 'sqrt' | 'pmin' | 'pmax' | Rounding | Comparison | 'splat'}`
  | 'f32x4.demote_f64x2_zero' | 'f64x2.promote_low_f32x4' | 'i32x4.trunc_sat_f32x4_s' | 'f32x4.convert_i32x4_s'
  | 'i32x4.trunc_sat_f64x2_s_zero' | 'f64x2.convert_low_i32x4_s';

export type ExtractOperation = 'i8x16.extract_lane_u' | 'i16x8.extract_lane_u' | 'i32x4.extract_lane' | 'i64x2.extract_lane' | 'f32x4.extract_lane' | 'f64x2.extract_lane';
export type ReplaceOperation = `${Integers | Floats}.replace_lane`;

export type ValueType = 'i32' | 'i64' | FloatType | 'v128';

/** The type of an operation's result. */
export function resultType(operation: FloatOperation | VectorOperation | ExtractOperation | ReplaceOperation): ValueType {
  const [shape, name] = operation.split('.');
  if (name.startsWith('extract_lane')) return shape === 'i64x2' ? 'i64' : shape === 'f32x4' ? 'f32' : shape === 'f64x2' ? 'f64' : 'i32';
  if (shape.includes('x') || shape === 'v128') return name === 'bitmask' || name.endsWith('_true') ? 'i32' : 'v128';
  return shape.startsWith('f') && /^(eq|ne|lt|gt|le|ge)$/.test(name) ? 'i32' : (shape as ValueType);
}
