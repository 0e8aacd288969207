/** Rotary position: inverse frequencies with every scaling, angles shared by layers, and the rotation of heads. */
import { InternalError } from '../diagnostics.ts';
import { arg, binary, constant, mul, select, size, sub, tokenPosition } from '../graph/expressions.ts';
import { labelled, sharedNode } from './context.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Scalar } from '../kernels/scalar.ts';
import type { Rope, RopeScaling } from '../model.ts';

/** Radians a position for each rotated pair; `long` replaces them beyond `switchAt` tokens. `scale` multiplies sine and cosine. */
export interface RopeFrequencies {
  readonly inverse: readonly number[];
  readonly long?: { readonly inverse: readonly number[]; readonly switchAt: number };
  /** Slots of weights that divide `inverse`, and `long.inverse`. */
  readonly divisors?: { readonly short?: string; readonly long?: string };
  readonly scale: number;
}

/** theta^(-2j / dims) for pair j */
function plain(dims: number, theta: number): number[] {
  return Array.from({ length: dims / 2 }, (_, j) => theta ** ((-2 * j) / dims));
}

/** The scaled frequencies of `rope`; for the dynamic kind those up to the original context. */
export function ropeFrequencies(rope: Rope): RopeFrequencies {
  const { dims, theta, scaling } = rope;
  const base = plain(dims, theta);
  switch (scaling.type) {
    case 'none': case 'dynamic': return { inverse: base, scale: 1 };
    case 'linear': return { inverse: base.map((f) => f / scaling.factor), scale: 1 };
    case 'llama3': return { inverse: base.map((f) => llama3(f, scaling)), scale: 1 };
    case 'yarn': return { inverse: yarn(base, rope, scaling), scale: yarnScale(scaling) };
    case 'longrope': return longrope(base, scaling);
    case 'proportional': {
      // The first `partial` of the pairs rotate, with exponents over the whole width; the rest stand still.
      const rotating = Math.floor((scaling.partial * dims) / 2);
      return { inverse: base.map((f, j) => (j < rotating ? f / scaling.factor : 0)), scale: 1 };
    }
    default: return scaling satisfies never;
  }
}

/** Llama 3.1: low frequencies are divided by the factor, high ones kept, those between blended. */
function llama3(f: number, s: Extract<RopeScaling, { type: 'llama3' }>): number {
  const wavelength = (2 * Math.PI) / f;
  if (wavelength < s.originalContext / s.highFreqFactor) return f;
  // Where both factors are the same there is nothing between.
  if (wavelength > s.originalContext / s.lowFreqFactor || s.lowFreqFactor === s.highFreqFactor) return f / s.factor;
  const smooth = (s.originalContext / wavelength - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
  return ((1 - smooth) * f) / s.factor + smooth * f;
}

/** YaRN (arXiv 2309.00071): pairs that turn more than betaFast times keep their frequency, fewer than betaSlow are interpolated. */
function yarn(base: readonly number[], rope: Rope, s: Extract<RopeScaling, { type: 'yarn' }>): number[] {
  const pairOf = (turns: number): number =>
    (rope.dims * Math.log(s.originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(rope.theta));
  let low = pairOf(s.betaFast);
  let high = pairOf(s.betaSlow);
  if (s.truncate) {
    low = Math.floor(low);
    high = Math.ceil(high);
  }
  low = Math.max(low, 0);
  high = Math.min(high, rope.dims - 1);
  if (low === high) high += 0.001;
  return base.map((f, j) => {
    const ramp = Math.min(Math.max((j - low) / (high - low), 0), 1);
    return (f / s.factor) * ramp + f * (1 - ramp);
  });
}

function yarnScale(s: Extract<RopeScaling, { type: 'yarn' }>): number {
  if (s.attentionFactor !== undefined) return s.attentionFactor;
  const magnitude = (m: number): number => (s.factor <= 1 ? 1 : 0.1 * m * Math.log(s.factor) + 1);
  return s.mscale && s.mscaleAllDim ? magnitude(s.mscale) / magnitude(s.mscaleAllDim) : magnitude(1);
}

function longrope(base: readonly number[], s: Extract<RopeScaling, { type: 'longrope' }>): RopeFrequencies {
  // Factors that a file holds as tensors divide when the model runs.
  const divide = (factors: readonly number[] | string): readonly number[] => (typeof factors === 'string' ? base : base.map((f, j) => f / (factors[j] ?? NaN)));
  const slot = (factors: readonly number[] | string): string | undefined => (typeof factors === 'string' ? factors : undefined);
  const factor = s.factor ?? 1;
  const scale = s.attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(s.originalContext)));
  const [short, long] = [slot(s.shortFactor), slot(s.longFactor)];
  return {
    inverse: divide(s.shortFactor), long: { inverse: divide(s.longFactor), switchAt: s.originalContext }, scale,
    ...(short === undefined && long === undefined ? {} : { divisors: { ...(short === undefined ? {} : { short }), ...(long === undefined ? {} : { long }) } }),
  };
}

/** angle[T, dims/2] = position * frequency, one node for all layers with the same rotation. */
function ropeAngles(ctx: LowerContext, rope: Rope, frequencies: RopeFrequencies): Node {
  const { graph } = ctx;
  const { start: _start, pairing: _pairing, ...same } = rope;
  return sharedNode(ctx, `rope ${JSON.stringify(same)}`, () =>
    labelled(ctx, 'rope.angles', () => {
      const pairs = rope.dims / 2;
      const operands = [graph.constant(frequencies.inverse, [pairs])];
      const divided = (frequency: Scalar, slot: string | undefined): Scalar => {
        if (slot === undefined) return frequency;
        operands.push(graph.weight(slot, [pairs]));
        return binary('div', frequency, arg(operands.length - 1));
      };
      let frequency = divided(arg(0), frequencies.divisors?.short);
      if (frequencies.long) {
        operands.push(graph.constant(frequencies.long.inverse, [pairs]));
        const long = divided(arg(operands.length - 1), frequencies.divisors?.long);
        frequency = select(binary('gt', size('L'), constant(frequencies.long.switchAt)), long, frequency);
      } else if (rope.scaling.type === 'dynamic') {
        // NTK-aware: theta grows by (factor L / original - (factor - 1))^(dims / (dims - 2)), so that pair j's frequency falls by
        // that to the power 2j / dims. L at most the original leaves it as it is.
        const { factor, originalContext } = rope.scaling;
        const length = binary('max', size('L'), constant(originalContext));
        const stretch = sub(mul(length, constant(factor / originalContext)), constant(factor - 1));
        operands.push(graph.constant(Array.from({ length: pairs }, (_, j) => (-2 * j) / (rope.dims - 2)), [pairs]));
        frequency = mul(arg(0), binary('pow', stretch, arg(1)));
      }
      frequency = divided(frequency, rope.frequencyFactors);
      const turns = rope.backward ? mul(constant(-1), frequency) : frequency;
      return graph.map(operands, mul(tokenPosition(0), turns), ['T', pairs]);
    }),
  );
}

/** Rotates heads x[T, h, d]: elements start .. start + dims of each head. */
export function lowerRope(ctx: LowerContext, x: Node, rope: Rope, slot: string): Node {
  const { graph } = ctx;
  if (rope.dims === 0) return x;
  const width = x.shape[2];
  if (typeof width !== 'number') throw new InternalError('lower', `${slot} rotates heads of unknown size`);
  const frequencies = ropeFrequencies(rope);
  const angles = ropeAngles(ctx, rope, frequencies);
  return labelled(ctx, `${slot}.rope`, () => {
    const rotate = (part: Node): Node =>
      graph.node({ op: 'rope', pairing: rope.pairing, dims: rope.dims, scale: frequencies.scale }, [part, angles]);
    if (rope.start === 0) return rotate(x);
    const rest = width - rope.start;
    return graph.concat([graph.slice(x, 2, 0, rope.start), rotate(graph.slice(x, 2, rope.start, rest))], 2);
  });
}
