/**
 * WGSL functions for the scalar IR. WGSL's own exp, tanh, sin, ... may be as coarse as their specification allows (sin and cos:
 * absolute error 2^-11 and only within [-pi, pi]), and differ by driver; these are polynomials of our own (weighted minimax fits)
 * in plain arithmetic, within a few units in the last place everywhere. Comparisons are written so that NaN comes out as NaN.
 */
export type MathFunction =
  | 'bits' | 'isNan' | 'maximum' | 'minimum' | 'exponential' | 'logarithm' | 'sigmoid' | 'hyperbolicTangent' | 'errorFunction'
  | 'reduceAngle' | 'sine' | 'cosine' | 'power' | 'floorDivide' | 'floorModulo' | 'roundEven';

interface Definition {
  readonly needs: readonly MathFunction[];
  readonly code: string;
}

const definitions: Readonly<Record<MathFunction, Definition>> = {
  // A function's parameter is not a constant expression, so infinities and NaN may be made from bits here.
  bits: { needs: [], code: `fn bits(x: u32) -> f32 { return bitcast<f32>(x); }` },
  isNan: { needs: [], code: `fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }` },
  maximum: { needs: ['isNan'], code: `fn maximum(a: f32, b: f32) -> f32 { return select(a, b, b > a || isNan(b)); }` },
  minimum: { needs: ['isNan'], code: `fn minimum(a: f32, b: f32) -> f32 { return select(a, b, b < a || isNan(b)); }` },
  // e^x = 2^n e^r with r = x - n ln 2, |r| <= ln(2)/2; ln 2 in two parts, the first of 12 bits so that n times it is exact.
  exponential: {
    needs: [],
    code: `fn exponential(x: f32) -> f32 {
  let c = select(select(x, -104.0f, x < -104.0f), 89.0f, x > 89.0f);
  let n = floor(c * 1.44269504f + 0.5f);
  let r = (c - n * 0.693115234375f) - n * 3.194618329871446e-05f;
  let q = (((0.0013813161f * r + 0.0083694104f) * r + 0.041668456f) * r + 0.16666515f) * r + 0.49999994f;
  let p = (r * r) * q + r + 1.0f;
  let k = i32(n);
  let h = k >> 1u;
  let y = (p * bitcast<f32>((h + 127) << 23u)) * bitcast<f32>((k - h + 127) << 23u);
  return select(y, 0.0f, x < -103.9f);
}`,
  },
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)); log x = e ln 2 + log1p(m - 1).
  logarithm: {
    needs: ['isNan', 'bits'],
    code: `fn logarithm(x: f32) -> f32 {
  let tiny = x < 1.17549435e-38f;
  let scaled = select(x, x * 8388608.0f, tiny);
  let u = bitcast<u32>(scaled) + 0x004afb0du;
  let e = f32(i32(u >> 23u) - 127) - select(0.0f, 23.0f, tiny);
  let f = bitcast<f32>((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  let q = (((((((0.0691514686f * f - 0.117896952f) * f + 0.118730165f) * f - 0.1238437f) * f + 0.142186552f) * f - 0.166692495f) * f + 0.200022265f) * f - 0.249999866f) * f + 0.333333105f;
  let z = f * f;
  let y = ((e * 3.194618329871446e-05f + f * z * q) - 0.5f * z) + f + e * 0.693115234375f;
  if (isNan(x) || x < 0.0f) { return bits(0x7fc00000u); }
  if (x == 0.0f) { return bits(0xff800000u); }
  return select(y, x, x > 3.4028234e38f);
}`,
  },
  sigmoid: { needs: ['exponential'], code: `fn sigmoid(x: f32) -> f32 { return 1.0f / (1.0f + exponential(-x)); }` },
  hyperbolicTangent: {
    needs: ['exponential'],
    code: `fn hyperbolicTangent(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  let near = x + x * z * ((((-0.0056199017f * z + 0.020568877f) * z - 0.05372062f) * z + 0.13331254f) * z - 0.33333278f);
  let far = 1.0f - 2.0f / (exponential(2.0f * a) + 1.0f);
  return select(near, select(far, -far, x < 0.0f), a > 0.6f);
}`,
  },
  // Near 0 an odd polynomial; beyond 1 a polynomial in 1 / (1 + x/2) times e^(-x^2), which is 1 - erf x.
  errorFunction: {
    needs: ['exponential'],
    code: `fn errorFunction(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  let near = x * ((((((7.88912293e-05f * z - 0.000802084222f) * z + 0.00518953567f) * z - 0.0268544443f) * z + 0.112836003f) * z - 0.37612626f) * z + 1.12837911f);
  let t = 1.0f / (1.0f + 0.5f * a);
  let g = (((((0.00665167579f * t - 0.25408405f) * t + 0.670542598f) * t - 0.0906532705f) * t + 0.408164948f) * t + 0.257079512f) * t + 0.00207361812f;
  let far = 1.0f - g * exponential(-z);
  return select(near, select(far, -far, x < 0.0f), a > 1.0f);
}`,
  },
  // x = quadrant * pi/2 + rest. pi/2 in four parts of 8, 8, 10 and 24 bits: products with a quadrant below 2^16 are exact.
  reduceAngle: {
    needs: [],
    code: `fn reduceAngle(x: f32) -> vec2<f32> {
  let n = floor(x * 0.636619772f + 0.5f);
  let r = (((x - n * 1.5703125f) - n * 0.0004825592041015625f) - n * 1.2665987014770508e-06f) - n * 9.92093629470503e-10f;
  return vec2<f32>(r, n);
}
fn sineCosine(r: f32) -> vec2<f32> {
  let z = r * r;
  let s = r + r * z * (((2.71735917e-06f * z - 0.000198392343f) * z + 0.00833332911f) * z - 0.166666672f);
  let c = 1.0f - 0.5f * z + z * z * ((2.4451997e-05f * z - 0.00138875248f) * z + 0.041666653f);
  return vec2<f32>(s, c);
}`,
  },
  sine: {
    needs: ['reduceAngle'],
    code: `fn sine(x: f32) -> f32 {
  let a = reduceAngle(x);
  let v = sineCosine(a.x);
  let k = i32(a.y);
  let y = select(v.x, v.y, (k & 1) == 1);
  return select(y, -y, (k & 2) == 2);
}`,
  },
  cosine: {
    needs: ['reduceAngle'],
    code: `fn cosine(x: f32) -> f32 {
  let a = reduceAngle(x);
  let v = sineCosine(a.x);
  let k = i32(a.y);
  let y = select(v.y, v.x, (k & 1) == 1);
  return select(y, -y, ((k + 1) & 2) == 2);
}`,
  },
  power: {
    needs: ['exponential', 'logarithm'],
    code: `fn power(a: f32, b: f32) -> f32 {
  if (b == 0.0f || a == 1.0f) { return 1.0f; }
  if (a == 0.0f) { return select(0.0f, bits(0x7f800000u), b < 0.0f); }
  return exponential(b * logarithm(a));
}`,
  },
  floorDivide: { needs: [], code: `fn floorDivide(a: i32, b: i32) -> i32 { return select(a / b, -((b - 1 - a) / b), a < 0); }` },
  floorModulo: { needs: [], code: `fn floorModulo(a: i32, b: i32) -> i32 { let r = a % b; return select(r, r + b, r < 0); }` },
  // Halves to even, as WGSL's round; its own name keeps the table complete.
  roundEven: { needs: [], code: `fn roundEven(x: f32) -> f32 { return round(x); }` },
};

/** The text of the functions in `wanted` and what they call, each once, callees first. */
export function mathFunctions(wanted: ReadonlySet<MathFunction>): string {
  const done = new Set<MathFunction>();
  const text: string[] = [];
  const add = (name: MathFunction): void => {
    if (done.has(name)) return;
    done.add(name);
    for (const need of definitions[name].needs) add(need);
    text.push(definitions[name].code);
  };
  for (const name of [...wanted].sort()) add(name);
  return text.join('\n');
}
