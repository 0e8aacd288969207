/** Reading quantised rows (see word-rows.ts) in shaders: as numbers of f32, in registers. A weight is q * d + m, with d and m of its run. */
import { wordRow } from '../word-rows.ts';
import type { WeightFormat } from '../../../compiler/formats.ts';

const vectors = (shifts: readonly number[]): string => `vec4<u32>(${shifts.map((s) => `${s}u`).join(', ')})`;
/** Four numbers of `each` bits of word `w`, the first at bit `from`. */
const take = (w: string, each: number, from: number): string =>
  `((vec4<u32>(${w}) >> ${vectors([0, 1, 2, 3].map((n) => from + n * each))}) & vec4<u32>(${2 ** each - 1}u))`;
/** Eight numbers of 4 bits of a word, with `each` further bits of word h above them where there are any. */
const eight = (each: number): string => {
  const four = (n: number): string => `vec4<f32>(${take('w', 4, n * 16)}${each > 0 ? ` | (${take('h', each, n * 4 * each)} << vec4<u32>(4u))` : ''})`;
  return `mat2x4<f32>(${four(0)}, ${four(1)})`;
};

const fromPairs = (pair: (n: number) => string): string => `mat2x4<f32>(vec4<f32>(${pair(0)}, ${pair(1)}), vec4<f32>(${pair(2)}, ${pair(3)}))`;

/** WGSL functions that read rows of `k` elements in this form from storage `words`; `row` is a row's first word, and `tag` makes their names. */
export function wordFunctions(format: WeightFormat, words: string, k: number, tag: string): { readonly scale: string; readonly eight: string; readonly one: string } {
  const parts = wordRow(format, k);
  const at = (part: number, index: string): string => `${words}[row + ${part === 0 ? '' : `${part} + `}${index}]`;
  return {
    // d and m of the run that element k is in.
    scale: `fn scale_${tag}(row: i32, k: i32) -> vec2<f32> { ${scale(format, at, parts.scales, parts.blocks)} }`,
    // q of eight elements from k, a multiple of 8, on.
    eight: `fn eight_${tag}(row: i32, k: i32) -> mat2x4<f32> { ${eightOf(format, at, parts.high)} }`,
    // One weight.
    one: `fn one_${tag}(row: i32, k: i32) -> f32 { ${one(format, at, parts.high)} let d = scale_${tag}(row, k); return q * d.x + d.y; }`,
  };
}

type At = (part: number, index: string) => string;

function scale(format: WeightFormat, at: At, scales: number, blocks: number): string {
  const paired = (part: number, index: string, odd: string): string => `let pair = unpack2x16float(${at(part, index)}); let d = select(pair.x, pair.y, (${odd}) != 0);`;
  switch (format) {
    case 'f32': case 'f16': case 'bf16': return 'return vec2<f32>(1.0f, 0.0f);';
    case 'q8_0': return `${paired(scales, '(k >> 6u)', 'k & 32')} return vec2<f32>(d, 0.0f);`;
    case 'q4_0': return `${paired(scales, '(k >> 6u)', 'k & 32')} return vec2<f32>(d, -8.0f * d);`;
    case 'q4_1': return `return unpack2x16float(${at(scales, '(k >> 5u)')});`;
    case 'q4_K': case 'q5_K':
      return `let run = ${at(scales, '(k >> 6u)')} >> u32((k >> 1u) & 16); return unpack2x16float(${at(blocks, '(k >> 8u)')}) * vec2<f32>(f32(run & 255u), -f32((run >> 8u) & 255u));`;
    case 'q6_K':
      return `${paired(blocks, '(k >> 9u)', 'k & 256')} let s = bitcast<i32>(${at(scales, '(k >> 6u)')} << u32(24 - ((k >> 1u) & 24))) >> 24u; let ds = d * f32(s); return vec2<f32>(ds, -32.0f * ds);`;
    default: return format satisfies never;
  }
}

function eightOf(format: WeightFormat, at: At, high: number): string {
  const low = `let w = ${at(0, '(k >> 3u)')};`;
  switch (format) {
    case 'f32': return `return mat2x4<f32>(${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `bitcast<f32>(${at(0, `k + ${n}`)})`).join(', ')});`;
    case 'f16': return `let i = (k >> 1u); return ${fromPairs((n) => `unpack2x16float(${at(0, `i + ${n}`)})`)};`;
    case 'bf16': return `let i = (k >> 1u); return ${fromPairs((n) => `bitcast<vec2<f32>>(vec2<u32>(${at(0, `i + ${n}`)} << 16u, ${at(0, `i + ${n}`)} & 0xffff0000u))`)};`;
    case 'q8_0': {
      const four = (w: string): string => `vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(${w}) << ${vectors([24, 16, 8, 0])}) >> vec4<u32>(24u))`;
      return `let i = (k >> 2u); return mat2x4<f32>(${four(at(0, 'i'))}, ${four(at(0, 'i + 1'))});`;
    }
    case 'q4_0': case 'q4_1': case 'q4_K': return `${low} return ${eight(0)};`;
    case 'q5_K': return `${low} let h = ${at(high, '(k >> 5u)')} >> u32(k & 24); return ${eight(1)};`;
    case 'q6_K': return `${low} let h = ${at(high, '(k >> 4u)')} >> u32((k & 8) * 2); return ${eight(2)};`;
    default: return format satisfies never;
  }
}

/** Statements that make q of element k. */
function one(format: WeightFormat, at: At, high: number): string {
  const low = `((${at(0, '(k >> 3u)')} >> u32((k & 7) * 4)) & 15u)`;
  switch (format) {
    case 'f32': return `let q = bitcast<f32>(${at(0, 'k')});`;
    case 'f16': return `let pair = unpack2x16float(${at(0, '(k >> 1u)')}); let q = select(pair.x, pair.y, (k & 1) != 0);`;
    case 'bf16': return `let w = ${at(0, '(k >> 1u)')}; let q = bitcast<f32>(select(w << 16u, w & 0xffff0000u, (k & 1) != 0));`;
    case 'q8_0': return `let q = f32(bitcast<i32>(${at(0, '(k >> 2u)')} << u32(24 - (k & 3) * 8)) >> 24u);`;
    case 'q4_0': case 'q4_1': case 'q4_K': return `let q = f32(${low});`;
    case 'q5_K': return `let q = f32(${low} | (((${at(high, '(k >> 5u)')} >> u32(k & 31)) & 1u) << 4u));`;
    case 'q6_K': return `let q = f32(${low} | (((${at(high, '(k >> 4u)')} >> u32((k & 15) * 2)) & 3u) << 4u));`;
    default: return format satisfies never;
  }
}
