/** Each fusion: it fires where it may, and says why where it may not. Results are compared in fused-is-unfused.test.ts. */
import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../../compiler/build-plan.ts';
import { GraphBuilder } from '../../../compiler/graph/builder.ts';
import { add, arg, binary, constant, mul, unary } from '../../../compiler/graph/expressions.ts';
import { bufferNames, printKernel } from '../../../compiler/kernels/print.ts';
import { kernelPasses } from '../../../compiler/passes/index.ts';
import { targets } from '../../../compiler/targets.ts';
import { llamaGraph } from '../../support/hand-graphs.ts';
import { expectSameAsReference } from '../../support/same-as-reference.ts';
import type { Graph, Node } from '../../../compiler/graph/types.ts';
import type { ExecutionPlan, Target } from '../../../compiler/plan.ts';

const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };
const silu = mul(arg(0), unary('sigmoid', arg(0)));

function graph(build: (b: GraphBuilder, x: Node) => Node, width = 12): Graph {
  const b = new GraphBuilder('small');
  const x = b.within({ label: 'embeddings' }, () => b.gather(b.weight('table', [17, 12]), b.input('ids')));
  const y = b.within({ label: 'body' }, () => build(b, x));
  b.output('logits', b.within({ label: 'head' }, () => b.linear(y, b.weight('head', [5, width]))));
  return b.finish();
}
async function planned(g: Graph, target: Target = targets.cpu): Promise<ExecutionPlan> {
  const plan = buildPlan(g, target, capacity);
  await expectSameAsReference(g, plan);
  return plan;
}
const kinds = (plan: ExecutionPlan): string => plan.kernels.map((k) => k.kind).join(' ');
const text = (plan: ExecutionPlan): string => plan.kernels.map((k) => printKernel(k, bufferNames(plan.buffers))).join('\n');
const refusals = (plan: ExecutionPlan, pass: string): string[] => plan.fusions.filter((f) => f.pass === pass && !f.fired).map((f) => f.reason);
const fired = (plan: ExecutionPlan, pass: string): number => plan.fusions.filter((f) => f.pass === pass && f.fired).length;

describe('passes', () => {
  it('have names and descriptions', () => {
    expect(kernelPasses.map((p) => p.name)).toEqual([
      'attention', 'rotary-tables', 'inline', 'forward-copies', 'gated-product', 'head-parts', 'sibling-linears', 'epilogue', 'inline-rest', 'linear-input', 'chained-nests', 'sibling-nests',
    ]);
    for (const p of kernelPasses) expect(p.description.length).toBeGreaterThan(10);
  });

  it('make five kernels of a llama layer', () => {
    const plan = buildPlan(llamaGraph({ layers: 3 }), targets.cpu, capacity);
    expect(kinds(plan)).toBe(`nest nest${' linear attention linear linear linear'.repeat(3)} linear argmax`);
  });
});

describe('norm into the product', () => {
  const normed = (b: GraphBuilder, x: Node): Node => b.mul(b.norm('rms', x, 1e-5), b.weight('norm', [12]));
  const twice = (b: GraphBuilder, x: Node): Node => b.add(x, b.linear(normed(b, x), b.weight('w', [12, 12])));

  it('fires, with its weights, once for every product that reads it', async () => {
    const plan = await planned(graph(twice));
    expect(fired(plan, 'linear-input')).toBe(1);
    expect(text(plan)).toContain('input = %2[t, k] * rsqrt(sum(r0 < 12: %2[t, r0] * %2[t, r0]) / 12 + 0.00001) * %norm[k]');
  });
  it('is left out where the target would repeat its statistics', async () => {
    const plan = await planned(graph(twice), targets.webgpuSoftware);
    expect(refusals(plan, 'linear-input').join()).toContain('would compute its statistics again for every block of rows');
  });
  it('is left out where something else needs the result', async () => {
    const plan = await planned(graph((b, x) => { const n = normed(b, x); return b.add(n, b.linear(n, b.weight('w', [12, 12]))); }));
    expect(refusals(plan, 'linear-input').join()).toContain('reads it too, so that it must be stored');
  });
});

describe('a norm that several products read', () => {
  const wide = (readers: number, width: number): Graph => {
    const b = new GraphBuilder('wide');
    const x = b.within({ label: 'embeddings' }, () => b.linear(b.gather(b.weight('table', [17, 12]), b.input('ids')), b.weight('w', [width, 12])));
    const normed = b.within({ label: 'norm' }, () => b.norm('rms', x, 1e-5));
    const parts = Array.from({ length: readers }, (_, n) => b.within({ label: `product${n}` }, () => {
      const y = b.linear(normed, b.weight(`w${n}`, [6, width]));
      return b.linear(y, b.weight(`v${n}`, [6, 6]));
    }));
    b.output('logits', b.within({ label: 'head' }, () => b.linear(b.map(parts, parts.map((_, n) => arg(n)).reduce((a, c) => add(a, c))), b.weight('head', [5, 6]))));
    return b.finish();
  };
  const apart = { fuse: { without: ['sibling-linears'] } };

  it('is computed in front of each where that costs less than a kernel', async () => {
    const g = wide(3, 64);
    const plan = buildPlan(g, targets.cpu, capacity, apart);
    await expectSameAsReference(g, plan);
    expect(plan.fusions.filter((f) => f.pass === 'linear-input' && f.fired).map((f) => f.reason).join()).toContain('3 times a token, 770 FLOP more than once; a kernel of its own costs 8.3 kFLOP');
  });
  it('is computed once, and stored, where it does not', async () => {
    const g = wide(12, 256);
    const plan = buildPlan(g, targets.cpu, capacity, apart);
    await expectSameAsReference(g, plan);
    expect(refusals(plan, 'linear-input').join()).toMatch(/product0, product1.* would compute it 12 times a token, 17 kFLOP more than once; a kernel of its own costs 9 kFLOP/);
    expect(plan.kernels.some((k) => k.kind === 'nest' && k.origin.label === 'norm')).toBe(true);
  });
});

describe('a nest behind a nest', () => {
  const both = (b: GraphBuilder, x: Node): Node => {
    const sum = b.within({ label: 'sum' }, () => b.add(x, b.norm('rms', b.linear(x, b.weight('w', [12, 12])), 1e-6)));
    return b.within({ label: 'next' }, () => b.add(sum, b.linear(b.mul(b.norm('rms', sum, 1e-6), b.weight('norm', [12])), b.weight('v', [12, 12]))));
  };
  it('becomes one kernel with it that stores both', async () => {
    const plan = await planned(graph(both), targets.webgpuSoftware);
    expect(fired(plan, 'chained-nests')).toBe(1);
    expect(plan.kernels.filter((k) => k.kind === 'nest' && k.origin.label === 'sum').map((k) => (k.kind === 'nest' ? k.stores.length : 0))).toEqual([2]);
  });
  it('stays apart where the device binds too few buffers, and that is said', async () => {
    const plan = await planned(graph(both), { ...targets.webgpuSoftware, maxStorageBuffers: 4 });
    expect(refusals(plan, 'chained-nests').join()).toContain('it would bind 5 buffers, WebGPU in software has 4');
  });
});

describe('a product whose heads are cut in two', () => {
  const heads = (second: boolean) => (b: GraphBuilder, x: Node): Node => {
    const all = b.reshape(b.linear(b.linear(x, b.weight('v', [12, 12])), b.weight('w', [24, 12])), ['T', 3, 8]);
    const normed = b.norm('rms', b.slice(all, 2, 6, 2), 1e-6);
    return b.reshape(b.concat([second ? b.headLinear(b.slice(all, 2, 0, 6), b.weight('h', [3, 6, 6])) : b.slice(all, 2, 1, 6), normed], 2), ['T', 24]);
  };
  it('gives each part as a result of its own, so that the second is normed behind it', async () => {
    const plan = await planned(graph(heads(true), 24));
    expect(plan.fusions.filter((f) => f.pass === 'head-parts').map((f) => f.reason)).toEqual(['its 3 blocks of 8 rows are stored as 6 and 2, which different kernels read']);
    expect(plan.buffers.filter((b) => b.rowOrder).map((b) => [b.name, b.rowOrder])).toEqual([['w', { block: 8, first: 6 }]]);
    expect(plan.kernels.some((k) => k.kind === 'nest' && k.space.join() === 'T,3,2')).toBe(false);
  });
  it('stays whole where the parts overlap', async () => {
    expect(fired(await planned(graph(heads(false), 24)), 'head-parts')).toBe(0);
  });
});

describe('work behind a product', () => {
  it('takes bias, activation, scale and residual', async () => {
    const plan = await planned(graph((b, x) => {
      const y = b.add(b.linear(x, b.weight('w', [12, 12])), b.weight('bias', [12]));
      return b.add(b.scale(b.map([y], silu), 0.5), x);
    }));
    expect(kinds(plan)).toBe('nest linear linear argmax');
    expect(text(plan)).toContain('(acc[t, n] + %bias[n]) * sigmoid(acc[t, n] + %bias[n]) * 0.5 + %2[t, n]');
  });
  it('takes a norm of each head, with the head as granule', async () => {
    const plan = await planned(graph((b, x) => b.reshape(b.norm('rms', b.reshape(b.linear(x, b.weight('w', [24, 12])), ['T', 4, 6]), 1e-6), ['T', 24]), 24));
    const [linear] = plan.kernels.filter((k) => k.kind === 'linear');
    expect(linear?.granule).toBe(6);
  });
  it('refuses what needs the whole row', async () => {
    const plan = await planned(graph((b, x) => b.add(x, b.norm('rms', b.linear(x, b.weight('w', [12, 12])), 1e-6))));
    expect(refusals(plan, 'epilogue')).toContain('norm and arithmetic not behind body: it needs a whole row of the product');
  });
  it('refuses to sum over rows', async () => {
    const plan = await planned(graph((b, x) => {
      const split = b.linear(b.reshape(x, ['T', 3, 4]), b.weight('w', [12, 4]));
      return b.map([b.reduce('sum', split, 1), x], add(arg(0), arg(1)));
    }));
    expect(refusals(plan, 'epilogue').join()).toContain('it sums over results of the product');
  });
  it('refuses what reads other rows of the product', async () => {
    const plan = await planned(graph((b, x) => {
      const heads = b.linear(b.reshape(x, ['T', 3, 4]), b.weight('w', [4, 4]));
      return b.reshape(b.add(heads, b.slice(heads, 1, 0, 1)), ['T', 12]);
    }));
    expect(refusals(plan, 'epilogue').join()).toContain('it reads results of other rows of the product');
  });
  it('keeps the product where a second reader cannot follow', async () => {
    const plan = await planned(graph((b, x) => {
      const y = b.linear(x, b.weight('w', [12, 12]));
      return b.map([b.map([y], silu), b.norm('layer', y, 1e-5)], add(arg(0), arg(1)));
    }));
    const [linear] = plan.kernels.filter((k) => k.kind === 'linear');
    expect(linear?.stores.length).toBeGreaterThanOrEqual(1);
    expect(plan.kernels.some((k) => k.kind === 'nest' && k.origin.label === 'body')).toBe(true);
    expect(refusals(plan, 'linear-input').join()).toContain('its functions would be computed again');
  });
  it('refuses where a device binds too few buffers', async () => {
    const plan = await planned(graph((b, x) => b.add(b.mul(b.add(b.linear(x, b.weight('w', [12, 12])), b.weight('b', [12])), b.weight('s', [12])), x)), { ...targets.cpu, maxStorageBuffers: 4 });
    expect(refusals(plan, 'epilogue').join()).toMatch(/it would bind \d buffers, WebAssembly has 4/);
  });
});

describe('products of one input', () => {
  it('stack', async () => {
    const plan = await planned(graph((b, x) => b.map([b.linear(x, b.weight('a', [12, 12])), b.norm('rms', b.linear(x, b.weight('b', [12, 12])), 1e-6)], add(arg(0), arg(1)))));
    expect(fired(plan, 'sibling-linears')).toBe(1);
  });
  it('interleave where their results meet element by element', async () => {
    const gate = (b: GraphBuilder, x: Node): Node => b.map([b.linear(x, b.weight('gate', [7, 12])), b.linear(x, b.weight('up', [7, 12]))], mul(silu, arg(1)));
    const plan = await planned(graph(gate, 7));
    expect(kinds(plan)).toBe('nest linear linear argmax');
    expect(text(plan)).toContain('weights %gate:7 | %up:7 granule 2');
  });
  it('stay apart where their inputs differ', async () => {
    const plan = await planned(graph((b, x) => b.map([b.linear(x, b.weight('gate', [7, 12])), b.linear(b.map([x], silu), b.weight('up', [7, 12]))], mul(silu, arg(1))), 7));
    expect(refusals(plan, 'gated-product')).toContain('body and body stay apart: their inputs differ');
  });
});

describe('attention', () => {
  type Change = (b: GraphBuilder, scores: Node) => Node;
  const attention = (change: Change) => graph((b, x) => {
    const part = (name: string): Node => b.reshape(b.linear(x, b.weight(name, [12, 12])), ['T', 2, 6]);
    const scores = b.node({ op: 'scores' }, [part('q'), b.cache('k', part('k'))]);
    return b.reshape(b.node({ op: 'mix' }, [b.softmax(change(b, scores)), b.cache('v', part('v'))]), ['T', 12]);
  });
  const masked: Change = (b, scores) => b.node({ op: 'mask', causal: true }, [scores]);

  it('becomes one kernel', async () => {
    const plan = await planned(attention((b, s) => masked(b, b.scale(s, 0.4))));
    expect(kinds(plan)).toBe('nest linear attention linear argmax');
  });
  it('takes additions after the mask', async () => {
    const plan = await planned(attention((b, s) => b.map([masked(b, s), b.constant([0.5, 2], [2, 1])], add(arg(0), arg(1)))));
    expect(fired(plan, 'attention')).toBe(1);
  });
  it('refuses what could bring masked scores back', async () => {
    const plan = await planned(attention((b, s) => b.map([masked(b, s)], mul(constant(3), unary('tanh', arg(0))))));
    expect(refusals(plan, 'attention')).toEqual(['what follows the mask could bring a masked score back']);
  });
  it('refuses scores that something else reads', async () => {
    const plan = await planned(attention((b, s) => masked(b, b.map([s, b.softmax(s)], binary('mul', arg(0), arg(1))))));
    expect(refusals(plan, 'attention')).toEqual(['the scores are used elsewhere too, or are no product of queries and keys']);
  });
  it('takes an elementwise gate behind it', async () => {
    const plan = await planned(graph((b, x) => {
      const part = (name: string): Node => b.reshape(b.linear(x, b.weight(name, [12, 12])), ['T', 2, 6]);
      const mixed = b.node({ op: 'mix' }, [b.softmax(b.node({ op: 'mask', causal: true }, [b.node({ op: 'scores' }, [part('q'), b.cache('k', part('k'))])])), b.cache('v', part('v'))]);
      return b.map([b.reshape(mixed, ['T', 12]), b.linear(x, b.weight('g', [12, 12]))], mul(arg(0), unary('sigmoid', arg(1))));
    }));
    expect(kinds(plan)).toBe('nest linear attention linear argmax');
  });
});

describe('elementwise chains', () => {
  it('of any length are one kernel', async () => {
    const plan = await planned(graph((b, x) => {
      let y = x;
      for (let n = 0; n < 12; n++) y = b.map([y], mul(constant(0.9), unary('tanh', add(arg(0), constant(0.1)))));
      return y;
    }));
    expect(kinds(plan)).toBe('nest linear argmax');
  });
  it('take a softmax with what stands before it', async () => {
    const plan = await planned(graph((b, x) => b.softmax(b.map([x, b.weight('bias', [12])], add(mul(arg(0), constant(0.5)), arg(1))))));
    expect(kinds(plan)).toBe('nest linear argmax');
    expect(text(plan)).toContain('exp(%table[%ids[t], i] * 0.5 + %bias[i] - max(');
  });
  it('take scale and mask where scores are computed without the attention kernel', async () => {
    const g = llamaGraph({ layers: 1 });
    const plan = buildPlan(g, targets.cpu, capacity, { fuse: { without: ['attention'] } });
    await expectSameAsReference(g, plan);
    expect(text(plan)).toContain('= select(f32(j) <= f32(P + t), sum(r0 < 6: ');
  });
  it('stop where an expression would grow without end', async () => {
    const plan = await planned(graph((b, x) => {
      let y = x;
      for (let n = 0; n < 14; n++) y = b.map([y], mul(arg(0), mul(constant(0.5), add(arg(0), unary('sigmoid', arg(0))))));
      return y;
    }));
    expect(refusals(plan, 'inline').join()).toMatch(/the joined expression would have \d+ nodes/);
  });
});
