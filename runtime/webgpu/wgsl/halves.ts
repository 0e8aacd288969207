/**
 * Weights of 16 bits in storage, read as f32: each stands for an f32 exactly. Where the adapter has shader-f16, f16 is a type of the
 * buffer; else, and for bf16 always, a 32-bit word holds two, the first in its low half. No arithmetic is done in 16 bits.
 */
export type ElementFormat = 'f32' | 'f16' | 'bf16';
/** How a shader sees a buffer: its elements, or words of two halves. */
export type ElementView = 'f32' | 'f16' | 'f16 words' | 'bf16 words';

export const elementBytes = (format: ElementFormat): number => (format === 'f32' ? 4 : 2);

/** `native`: the shader may use the type f16. */
export function elementView(format: ElementFormat, native: boolean): ElementView {
  switch (format) {
    case 'f32': return 'f32';
    case 'f16': return native ? 'f16' : 'f16 words';
    case 'bf16': return 'bf16 words';
    default: return format satisfies never;
  }
}

/** Functions that a shader needs for a view: `half` is one of a word's two (the low bit of `i` says which), `halves` four of two words. */
export function viewFunctions(view: ElementView): readonly string[] {
  switch (view) {
    case 'f32': case 'f16': return [];
    case 'f16 words': return [
      'fn halfF16(word: u32, i: i32) -> f32 { return unpack2x16float(word)[i & 1]; }',
      'fn halvesF16(words: vec2<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)); }',
    ];
    case 'bf16 words': return [
      'fn halfBf16(word: u32, i: i32) -> f32 { return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1) == 1)); }',
      'fn halvesBf16(words: vec2<u32>) -> vec4<f32> { return bitcast<vec4<f32>>(vec4<u32>(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u)); }',
    ];
    default: return view satisfies never;
  }
}

/** The type of a binding, of single elements or of fours. */
export function viewType(view: ElementView, fours: boolean): string {
  switch (view) {
    case 'f32': case 'f16': return fours ? `array<vec4<${view}>>` : `array<${view}>`;
    case 'f16 words': case 'bf16 words': return fours ? 'array<vec2<u32>>' : 'array<u32>';
    default: return view satisfies never;
  }
}

/** Element `at` of a binding of single elements, an f32. */
export function oneOf(view: ElementView, name: string, at: string): string {
  switch (view) {
    case 'f32': return `${name}[${at}]`;
    case 'f16': return `f32(${name}[${at}])`;
    case 'f16 words': return `halfF16(${name}[(${at}) >> 1u], ${at})`;
    case 'bf16 words': return `halfBf16(${name}[(${at}) >> 1u], ${at})`;
    default: return view satisfies never;
  }
}

/** Four number `at` of a binding of fours, a vec4<f32>. */
export function fourOf(view: ElementView, name: string, at: string): string {
  switch (view) {
    case 'f32': return `${name}[${at}]`;
    case 'f16': return `vec4<f32>(${name}[${at}])`;
    case 'f16 words': return `halvesF16(${name}[${at}])`;
    case 'bf16 words': return `halvesBf16(${name}[${at}])`;
    default: return view satisfies never;
  }
}

/** Element `k` of the fours that begin at four number `at`, an f32. */
export function oneOfFour(view: ElementView, name: string, at: string, k: string): string {
  const four = `${name}[${at} + (${k} >> 2u)]`;
  switch (view) {
    case 'f32': return `${four}[${k} & 3]`;
    case 'f16': return `f32(${four}[${k} & 3])`;
    case 'f16 words': return `halfF16(${four}[(${k} >> 1u) & 1], ${k})`;
    case 'bf16 words': return `halfBf16(${four}[(${k} >> 1u) & 1], ${k})`;
    default: return view satisfies never;
  }
}
