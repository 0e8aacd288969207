/** Rotations, scores, masks and mixing: attention from its parts, over a cache and without one. */
import * as e from '../../compiler/graph/expressions.ts';
import type { GraphBuilder } from '../../compiler/graph/builder.ts';
import type { MaskWindow, Node } from '../../compiler/graph/types.ts';
import { operatorCase, positions, type ConformanceCase } from './case.ts';

interface AttentionCase {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim?: number;
  readonly causal?: boolean;
  readonly window?: MaskWindow;
  readonly sinks?: boolean;
  readonly softcap?: number;
  readonly alibi?: boolean;
  readonly rope?: 'half' | 'interleaved';
}

function angles(b: GraphBuilder, pairs: number): Node {
  const frequency = e.binary('pow', e.constant(10000), e.mul(e.position(1), e.constant(-1 / pairs)));
  return b.map([b.reshape(positions(b), ['T', 1])], e.mul(e.arg(0), frequency), ['T', pairs]);
}

function attention(b: GraphBuilder, x: (name: string, ...row: number[]) => Node, c: AttentionCase): Node {
  const causal = c.causal ?? true;
  const turn = (y: Node): Node => (c.rope ? b.node({ op: 'rope', pairing: c.rope, dims: c.headDim, scale: 1 }, [y, angles(b, c.headDim / 2)]) : y);
  const q = turn(x('q', c.heads, c.headDim));
  const k = turn(x('k', c.kvHeads, c.headDim));
  const v = x('v', c.kvHeads, c.valueDim ?? c.headDim);
  const keys = causal ? b.cache('keys', k) : k;
  const values = causal ? b.cache('values', v) : v;
  let scores = b.scale(b.node({ op: 'scores' }, [q, keys]), 2 / Math.sqrt(c.headDim));
  scores = b.softcap(scores, c.softcap);
  if (c.alibi) scores = b.map([scores, b.weight('slopes', [c.heads, 1])], e.add(e.arg(0), e.mul(e.arg(1), e.position(2))));
  scores = b.node({ op: 'mask', causal, ...(c.window ? { window: c.window } : {}) }, [scores]);
  const probabilities = b.softmax(scores, c.sinks ? b.weight('sinks', [c.heads]) : undefined);
  return b.reshape(b.node({ op: 'mix' }, [probabilities, values]), ['T', c.heads * (c.valueDim ?? c.headDim)]);
}

export function attentionCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  const steps = [5, 1, 1, 9, 1];
  const table: readonly (readonly [string, AttentionCase])[] = [
    ['one head of one', { heads: 1, kvHeads: 1, headDim: 1 }],
    ['odd width', { heads: 3, kvHeads: 3, headDim: 7 }],
    ['groups', { heads: 6, kvHeads: 2, headDim: 8 }],
    ['one key head', { heads: 5, kvHeads: 1, headDim: 20 }],
    ['wide', { heads: 2, kvHeads: 1, headDim: 96 }],
    ['values of another width', { heads: 4, kvHeads: 1, headDim: 22, valueDim: 13 }],
    ['bidirectional', { heads: 3, kvHeads: 3, headDim: 10, causal: false }],
    ['bidirectional, symmetric window', { heads: 2, kvHeads: 2, headDim: 8, causal: false, window: { kind: 'symmetric', size: 2 } }],
    ['sliding window', { heads: 2, kvHeads: 2, headDim: 8, window: { kind: 'sliding', size: 3 } }],
    ['window of one', { heads: 2, kvHeads: 2, headDim: 8, window: { kind: 'sliding', size: 1 } }],
    ['chunked window', { heads: 2, kvHeads: 1, headDim: 12, window: { kind: 'chunked', size: 4 } }],
    ['sinks', { heads: 4, kvHeads: 2, headDim: 8, sinks: true, window: { kind: 'sliding', size: 4 } }],
    ['softcap', { heads: 2, kvHeads: 2, headDim: 16, softcap: 0.7 }],
    ['linear bias', { heads: 4, kvHeads: 4, headDim: 6, alibi: true }],
    ['rotated halves', { heads: 4, kvHeads: 2, headDim: 12, rope: 'half' }],
    ['rotated pairs', { heads: 4, kvHeads: 2, headDim: 12, rope: 'interleaved' }],
  ];
  for (const [name, c] of table) cases.push(operatorCase(`attention: ${name}`, (b, x) => attention(b, x, c), { steps, fresh: c.causal === false }));
  // Long enough for backends that go through keys in blocks, cut them, or take tokens and heads in tiles.
  const long: readonly (readonly [string, AttentionCase])[] = [
    ['one head', { heads: 1, kvHeads: 1, headDim: 5 }],
    ['groups', { heads: 6, kvHeads: 2, headDim: 8, softcap: 3 }],
    ['many heads of one key head', { heads: 37, kvHeads: 1, headDim: 6, valueDim: 3 }],
    ['sliding window and sinks', { heads: 4, kvHeads: 2, headDim: 4, sinks: true, window: { kind: 'sliding', size: 83 } }],
    ['short sliding window', { heads: 3, kvHeads: 1, headDim: 4, window: { kind: 'sliding', size: 6 } }],
    ['chunked window', { heads: 2, kvHeads: 1, headDim: 4, window: { kind: 'chunked', size: 70 } }],
    ['linear bias', { heads: 4, kvHeads: 4, headDim: 4, alibi: true }],
    ['bidirectional, symmetric window', { heads: 2, kvHeads: 2, headDim: 4, causal: false, window: { kind: 'symmetric', size: 40 } }],
    ['bidirectional', { heads: 2, kvHeads: 1, headDim: 4, causal: false }],
  ];
  for (const [name, c] of long) cases.push(operatorCase(`long attention: ${name}`, (b, x) => attention(b, x, c), { steps: [67, 1, 1, 130, 1], fresh: c.causal === false }));
  for (const pairing of ['half', 'interleaved'] as const) {
    for (const [dims, width] of [[2, 2], [6, 6], [4, 11], [32, 32], [16, 64]] as const) {
      cases.push(operatorCase(`rope ${pairing} ${dims} of ${width}`, (b, x) =>
        b.node({ op: 'rope', pairing, dims, scale: 1.3 }, [x('a', 3, width), angles(b, dims / 2)])));
    }
  }
  return cases;
}
