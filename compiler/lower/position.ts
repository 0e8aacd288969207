/** Position as a bias on the attention scores: ALiBi and T5's bucketed relative bias. */
import { add, arg, binary, constant, mul, position, select, sub, tokenPosition, unary } from '../graph/expressions.ts';
import { labelled, sharedNode } from './context.ts';
import type { LowerContext } from './context.ts';
import type { Dim, Node } from '../graph/types.ts';
import type { Alibi, RelativeBias } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

/**
 * ALiBi's slopes (arXiv 2108.12409): 2^(-maxBias j / n) for j = 1..n, n the next power of two. With fewer heads than n, the even
 * j come first, then the odd ones, cut to the number of heads.
 */
export function alibiSlopes(heads: number, maxBias: number): number[] {
  const n = 2 ** Math.ceil(Math.log2(heads));
  const all = Array.from({ length: n }, (_, j) => 2 ** ((-maxBias * (j + 1)) / n));
  if (n === heads) return all;
  return [...all.filter((_, j) => j % 2 === 1), ...all.filter((_, j) => j % 2 === 0)].slice(0, heads);
}

/** A number rounded to bfloat16: 8 significant bits, ties to even. */
export function roundToBf16(value: number): number {
  if (value === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
  const scaled = value / unit;
  const down = Math.floor(scaled);
  const rest = scaled - down;
  return unit * (rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down);
}

/** The bias for scores [T, h, S]: [T, h, S] or [h, S]. `keys` is the size of the scores' last axis. */
export function alibiBias(ctx: LowerContext, alibi: Alibi, heads: number, keys: Dim): Node {
  const { graph } = ctx;
  return sharedNode(ctx, `alibi ${heads} ${keys} ${JSON.stringify(alibi)}`, () =>
    labelled(ctx, 'alibi', () => {
      const slopes = alibiSlopes(heads, alibi.maxBias);
      switch (alibi.slopeType) {
        // slope * (s - q): softmax does not see the part that all keys of a query share, and small numbers round less.
        case 'f32': return graph.map([graph.constant(slopes, [heads, 1])], mul(arg(0), sub(position(2), tokenPosition(0))), ['T', heads, keys]);
        case 'bf16': return bf16Bias(ctx, slopes, heads, keys);
        default: return alibi.slopeType satisfies never;
      }
    }),
  );
}

/**
 * bf16(bf16(slope) * s): checkpoints trained in bfloat16 saw both roundings. With slope = m * unit, m an integer of 8 bits, the
 * product m * s is an exact integer, and rounding it to 8 bits is rounding to a multiple of the power of two that leaves 8 bits.
 */
function bf16Bias(ctx: LowerContext, slopes: readonly number[], heads: number, keys: Dim): Node {
  const rounded = slopes.map(roundToBf16);
  const units = rounded.map((slope) => 2 ** (Math.floor(Math.log2(slope)) - 7));
  const mantissas = rounded.map((slope, h) => slope / (units[h] ?? 1));
  const product = mul(arg(0), position(1));
  // 1 for products under 2^8, 2 under 2^9, ...; float32 holds products below 2^24 exactly.
  let grain: Scalar = constant(1);
  for (let bit = 8; bit < 24; bit++) grain = add(grain, mul(constant(2 ** (bit - 8)), binary('ge', product, constant(2 ** bit))));
  const { graph } = ctx;
  const grains = graph.map([graph.constant(mantissas, [heads, 1])], grain, [heads, keys]);
  const value = mul(mul(unary('round', binary('div', mul(arg(0), position(1)), arg(2))), arg(2)), arg(1));
  return graph.map([graph.constant(mantissas, [heads, 1]), graph.constant(units, [heads, 1]), grains], value, [heads, keys]);
}

/**
 * Distances at which T5's buckets begin (arXiv 1910.10683): one a distance up to half of the buckets, then logarithmically up to
 * `maxDistance`. Found in float32, as trained; entry j is the least distance of bucket j.
 */
export function bucketStarts(buckets: number, maxDistance: number): number[] {
  const exact = Math.floor(buckets / 2);
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    const log = Math.fround(Math.log(Math.fround(distance / exact)));
    const share = Math.fround(Math.fround(log / Math.fround(Math.log(maxDistance / exact))) * (buckets - exact));
    return Math.min(exact + Math.trunc(share), buckets - 1);
  };
  const starts: number[] = [];
  for (let distance = 0; distance <= Math.max(maxDistance, exact) && starts.length < buckets; distance++) {
    for (let bucket = bucketOf(distance); starts.length <= bucket;) starts.push(distance);
  }
  return starts;
}

/** The bias for scores [T, h, S]: the weight [heads, buckets] at [h, bucket(s - q)]. */
export function relativeBias(ctx: LowerContext, relative: RelativeBias, heads: number, keys: Dim): Node {
  const { graph } = ctx;
  return sharedNode(ctx, `relative ${heads} ${keys} ${JSON.stringify(relative)}`, () =>
    labelled(ctx, 'relative_bias', () => {
      const distance = sub(position(1), tokenPosition(0));
      const own = relative.bidirectional ? Math.floor(relative.buckets / 2) : relative.buckets;
      const length = relative.bidirectional ? unary('abs', distance) : binary('max', unary('neg', distance), constant(0));
      let bucket: Scalar = relative.bidirectional ? select(binary('gt', distance, constant(0)), constant(own), constant(0)) : constant(0);
      for (const start of bucketStarts(own, relative.maxDistance).slice(1)) bucket = add(bucket, binary('ge', length, constant(start)));
      const buckets = graph.map([], bucket, ['T', keys, 1]);
      const chosen = graph.map([buckets], binary('eq', arg(0), position(2)), ['T', keys, relative.buckets]);
      const table = graph.weight(relative.slot, [heads, relative.buckets], 'heads x buckets');
      return graph.transpose(graph.linear(chosen, table), [0, 2, 1]);
    }),
  );
}
