/** Summaries, snapshots and differences of plans. */
import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { compileSpec } from '../../compiler/compile.ts';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { diffPlans, diffSummaries } from '../../compiler/plan-diff.ts';
import { compareSnapshot, readSummary, snapshotOf, writeSummary } from '../../compiler/plan-snapshot.ts';
import { summarise, type PlanSummary } from '../../compiler/plan-summary.ts';
import { planDiffMarkdown, printPlanDiff } from '../../compiler/print-plan-diff.ts';
import { targets } from '../../compiler/targets.ts';
import type { ExecutionPlan, Target } from '../../compiler/plan.ts';
import type { ParamValue } from '../../compiler/model.ts';
import { handGraphs, llamaGraph } from '../support/hand-graphs.ts';
import { stopwatch } from '../support/stopwatch.ts';

const capacity = { maxTokens: 4, context: 64, maxLogitRows: 1 };
const names = { before: 'old.yaml', after: 'new.yaml' };

const small = `
peel: 1
name: small
params: { layers: 4, heads: 4, kv_heads: heads, norm: "'rmsnorm'" }
embeddings: { token: { rows: 50, dim: 32 } }
normalization: { kind: norm, eps: 1e-5 }
layers:
  repeat: layers
  residual:
    - norm: default
      attention: { heads: heads, kv_heads: kv_heads, head_dim: 8 }
    - norm: default
      ffn: { hidden: 48, activation: silu, gated: true }
output: { norm: default, linear: {} }
`;

interface Planned { readonly plan: ExecutionPlan; readonly summary: PlanSummary }
const made = new Map<string, Planned>();

function planned(set: Readonly<Record<string, ParamValue>> = {}, target: Partial<Target> = {}): Planned {
  const key = JSON.stringify([set, target]);
  const known = made.get(key) ?? make(set, target);
  made.set(key, known);
  return known;
}

function make(set: Readonly<Record<string, ParamValue>>, target: Partial<Target>): Planned {
  const { model, graph, diagnostics } = compileSpec({ spec: 'small.yaml', readFile: () => small, sources: { set } });
  if (!graph || !model) throw new Error(diagnostics.map((d) => formatDiagnostic(d, true)).join('\n'));
  const plan = buildPlan(graph, { ...targets.cpu, ...target }, capacity);
  return { plan, summary: summarise(plan, model) };
}

describe('summaries', () => {
  it('count what the plan has, layers that are alike once', () => {
    const { plan, summary } = planned();
    expect(summary.kernels.total).toBe(plan.kernels.length);
    expect(summary.sections.map(({ where, layers, kernels }) => [where, layers.length, kernels.length])).toEqual([['before the layers', 0, 1], ['layers 0..3', 4, 5], ['after the layers', 0, 2]]);
    expect(summary.sections.reduce((n, s) => n + s.kernels.length * Math.max(1, s.layers.length), 0)).toBe(plan.kernels.length);
    expect(summary.fusions.reduce((n, f) => n + Math.max(1, f.layers.length), 0)).toBe(plan.fusions.length);
    expect(summary.buffers.reduce((n, b) => n + Math.max(1, b.layers.length), 0)).toBe(plan.buffers.length);
    // Four layers of q, k, v, o of 32 x 32, gate, up and down of 48 x 32 and two norms of 32; two tables of 50 x 32 and a norm.
    expect(summary.parameters).toBe(4 * (4 * 32 * 32 + 3 * 48 * 32 + 2 * 32) + 2 * 50 * 32 + 32);
  });

  it.each(handGraphs.map(([name, build]) => [name, build] as const))('%s: survives YAML', (_name, build) => {
    for (const fuse of [true, false]) {
      const plan = buildPlan(build(), targets.webgpu, capacity, { fuse });
      const text = snapshotOf(plan);
      expect(readSummary(text)).toEqual(JSON.parse(JSON.stringify(summarise(plan))));
      expect(writeSummary(readSummary(text))).toBe(text);
      expect(compareSnapshot(text.replaceAll('\n', '\r\n'), plan).equal).toBe(true);
    }
  });
});

describe('differences', () => {
  it('are none between equal plans', () => {
    const diff = diffSummaries(planned().summary, make({}, {}).summary);
    expect(diff.equal).toBe(true);
    expect(printPlanDiff(diff, names)).toBe('no change: the plans of old.yaml and new.yaml are equal\n');
    expect(planDiffMarkdown(diff, names)).toBe('### Plan of `small` for WebAssembly, context 64\n\n`old.yaml` → `new.yaml`: no change.\n');
    expect(diffPlans(planned().plan, make({}, {}).plan).equal).toBe(true);
  });

  it.each([['small', () => planned().summary], ['with constants', () => summarise(buildPlan(llamaGraph({ layers: 1 }), targets.webgpu, capacity), { params: { list: [1, 2] } })]])('%s: are found wherever something changes', (_name, given) => {
    const summary = given();
    const leaves: string[] = [];
    const walk = (value: unknown, path: readonly (string | number)[]): void => {
      if (Array.isArray(value)) { value.forEach((item, n) => walk(item, [...path, n])); return; }
      if (typeof value === 'object' && value !== null) { for (const [key, item] of Object.entries(value)) walk(item, [...path, key]); return; }
      const changed = structuredClone(summary) as unknown as Record<string | number, unknown>;
      let at = changed;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
      at[path.at(-1) ?? ''] = typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${String(value)}!`;
      if (diffSummaries(summary, changed as unknown as PlanSummary).equal) leaves.push(path.join('.'));
    };
    walk(summary, []);
    // What follows from the context, and what is counted again in the fusions.
    expect(leaves.filter((path) => !/^(step\.past|passes\.\d+\.pass|sharedSlots\.[1-9]|sections\.\d+\.where)$/.test(path))).toEqual([]);
  });
});

describe('many layers', () => {
  it('change alike are told once, and soon', () => {
    const [before, after] = [planned({ layers: 80 }).plan, planned({ layers: 80, norm: 'layernorm' }).plan];
    const watch = stopwatch();
    const text = printPlanDiff(diffPlans(before, after), names);
    expect(watch()).toBeLessThan(1000);
    const snapshot = snapshotOf(before);
    expect(compareSnapshot(snapshot, before).equal).toBe(true);
    expect(watch()).toBeLessThan(1000);
    expect([text, snapshot].map((t) => t.split('\n').length < 150)).toEqual([true, true]);
    expect(text).toContain('+ layers.{i}.ffn.norm.bias: f32[32], 10.0 KiB (layers 0..79)');
  });

  it('of two kinds are told apart by what changes', () => {
    // Every other layer gets a norm.
    const [plain, normed] = [planned().summary, planned({ norm: 'layernorm' }).summary];
    const section = (s: PlanSummary): PlanSummary['sections'][number] => s.sections.find((x) => x.layers.length > 0) as PlanSummary['sections'][number];
    const mixed: PlanSummary = { ...plain, sections: [...plain.sections.filter((s) => s.layers.length === 0), { ...section(plain), layers: [0, 2] }, { ...section(normed), layers: [1, 3] }] };
    expect(diffSummaries(plain, mixed).kernels.map(({ where, kernels }) => [where, kernels.map((k) => k.after?.label)])).toEqual([['layers 1, 3', ['layers.{i}.attention.q', 'layers.{i}.ffn.up']]]);
    expect(diffSummaries(mixed, normed).kernels.map((k) => k.where)).toEqual(['layers 0, 2', 'after the layers']);
  });

  it('in another order are a change', () => {
    const { summary } = planned();
    const turned: PlanSummary = { ...summary, sections: summary.sections.map((s) => ({ ...s, kernels: [...s.kernels].reverse() })) };
    expect(diffSummaries(summary, turned).kernels.map((k) => [k.where, k.order?.[0]])).toEqual([['layers 0..3', 'layers.{i}.ffn.down'], ['after the layers', 'argmax']]);
    expect(printPlanDiff(diffSummaries(summary, turned), names)).toContain('kernels: in another order\n    layers 0..3, each:\n  ~   in another order: layers.{i}.ffn.down, layers.{i}.ffn.up, ');
  });
});

it('Markdown stays within what a comment may hold', () => {
  const { summary } = planned();
  const many = (word: string): PlanSummary => ({
    ...summary, params: Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${word}_${n}`, 'x'.repeat(1000)])),
    fusions: Array.from({ length: 500 }, (_, n) => ({ pass: 'inline', fired: true, origin: `${word}.${n}`, reason: 'y'.repeat(300), layers: [] })),
    buffers: (['weight', 'state'] as const).flatMap((role) => Array.from({ length: 500 }, (_, n) => ({ role, name: `${word}.${n}.${'z'.repeat(300)}`, type: 'f32[1]', bytes: 4, layers: [] }))),
    sections: [{ where: 'all', layers: [], kernels: Array.from({ length: 500 }, (_, n) => ({ kind: 'nest' as const, label: `${word}.${n}`, shape: 'over [T]', flops: 1, bytes: 1, code: 'v'.repeat(2000) })) }],
  });
  const text = planDiffMarkdown(diffSummaries(many('old'), many('new')), names);
  expect(text.length).toBeLessThan(65_536);
  expect(text).toContain('… and 940 more lines, which `peel plan diff` prints');
});

describe('as text', () => {
  const changed = (set: Readonly<Record<string, ParamValue>>, markdown = false): string => {
    const diff = diffSummaries(planned().summary, planned(set).summary);
    return markdown ? planDiffMarkdown(diff, names) : printPlanDiff(diff, names);
  };

  it('half as many heads of keys and values', () => {
    expect(changed({ kv_heads: 2 })).toMatchInlineSnapshot(`
      "plan of small for WebAssembly: from old.yaml to new.yaml

                                   before      after              change
      parameters                   38,304     34,208       −4,096 (−11%)
      weights                     150 KiB    134 KiB    −16.0 KiB (−11%)
      states                     64.0 KiB   32.0 KiB    −32.0 KiB (−50%)
      states a token              1.0 KiB      512 B       −512 B (−50%)
      peak                        217 KiB    169 KiB    −48.0 KiB (−22%)
      FLOP a token              114 kFLOP  105 kFLOP  −8.2 kFLOP (−7.2%)
      read and written a token    216 KiB    167 KiB    −48.5 KiB (−22%)

      params: 1 changed
        ~ kv_heads: 4 -> 2

      kernels: 8 changed
          layers 0..3, each:
        ~   linear    layers.{i}.attention.q  [T] x [32+32+32, 32] -> [T] x [32+16+16, 32], 6.4 kFLOP -> 4.3 kFLOP, 12.6 KiB -> 8.5 KiB
        ~   attention layers.{i}.attention.core  [T, 4/4, 8/8] over S -> [T, 4/2, 8/8] over S, 16.3 KiB -> 8.3 KiB

      fusions: 8 with other sizes or reasons
        ~ sibling-linears  layers.{i}.attention.k (layers 0..3): one product with layers.{i}.attention.q: 32 + 32 rows of the same input
                           now: one product with layers.{i}.attention.q: 32 + 16 rows of the same input
        ~ sibling-linears  layers.{i}.attention.v (layers 0..3): one product with layers.{i}.attention.q: 32 + 32 + 32 rows of the same input
                           now: one product with layers.{i}.attention.q: 32 + 16 + 16 rows of the same input

      weights: 8 changed
        ~ layers.{i}.attention.k.weight: f32[32, 32] -> f32[16, 32], 16.0 KiB -> 8.0 KiB (layers 0..3)
        ~ layers.{i}.attention.v.weight: f32[32, 32] -> f32[16, 32], 16.0 KiB -> 8.0 KiB (layers 0..3)

      buffers: 8 changed
        ~ state layers.{i}.attention.k: f32[S, 4, 8] -> f32[S, 2, 8], 32.0 KiB -> 16.0 KiB (layers 0..3)
        ~ state layers.{i}.attention.v: f32[S, 4, 8] -> f32[S, 2, 8], 32.0 KiB -> 16.0 KiB (layers 0..3)
      "
    `);
  });

  it('layernorm in place of rmsnorm', () => {
    expect(changed({ norm: 'layernorm' })).toMatchInlineSnapshot(`
      "plan of small for WebAssembly: from old.yaml to new.yaml

                                   before      after              change
      parameters                   38,304     38,592        +288 (+0.8%)
      weights                     150 KiB    152 KiB    +1.1 KiB (+0.7%)
      peak                        217 KiB    218 KiB    +1.1 KiB (+0.5%)
      FLOP a token              114 kFLOP  116 kFLOP  +2.9 kFLOP (+2.5%)
      read and written a token    216 KiB    217 KiB    +1.1 KiB (+0.5%)

      params: 1 changed
        ~ norm: "rmsnorm" -> "layernorm"

      kernels: 9 changed
          layers 0..3, each:
        ~   linear    layers.{i}.attention.q  6.4 kFLOP -> 6.7 kFLOP, 12.6 KiB -> 12.8 KiB
        -       input = %x[t, k] * rsqrt(sum(r0 < 32: %x[t, r0] * %x[t, r0]) / 32 + 0.00001) * %layers.{i}.attention.norm.weight[k]
        +       input = (%x[t, k] - sum(r0 < 32: %x[t, r0]) / 32) * rsqrt(sum(r0 < 32: (%x[t, r0] - sum(r1 < 32: %x[t, r1]) / 32) * (%x[t, r0] - sum(r1 < 32: %x[t, r1…
        ~   linear    layers.{i}.ffn.up  6.5 kFLOP -> 6.8 kFLOP, 12.4 KiB -> 12.6 KiB
        -       input = %layers.{i}.attention[t, k] * rsqrt(sum(r0 < 32: %layers.{i}.attention[t, r0] * %layers.{i}.attention[t, r0]) / 32 + 0.00001) * %layers.{i}.ff…
        +       input = (%layers.{i}.attention[t, k] - sum(r0 < 32: %layers.{i}.attention[t, r0]) / 32) * rsqrt(sum(r0 < 32: (%layers.{i}.attention[t, r0] - sum(r1 < …
          after the layers:
        ~   linear    output.linear  3.4 kFLOP -> 3.7 kFLOP, 6.7 KiB -> 6.8 KiB
        -       input = %x[T + t - R, k] * rsqrt(sum(r0 < 32: %x[T + t - R, r0] * %x[T + t - R, r0]) / 32 + 0.00001) * %output.norm.weight[k]
        +       input = (%x[T + t - R, k] - sum(r0 < 32: %x[T + t - R, r0]) / 32) * rsqrt(sum(r0 < 32: (%x[T + t - R, r0] - sum(r1 < 32: %x[T + t - R, r1]) / 32) * (%…

      weights: 9 added
        + layers.{i}.attention.norm.bias: f32[32], 512 B (layers 0..3)
        + layers.{i}.ffn.norm.bias: f32[32], 512 B (layers 0..3)
        + output.norm.bias: f32[32], 128 B

      no change of fusions, buffers
      "
    `);
  });

  it('a layer less', () => {
    expect(changed({ layers: 3 })).toMatchInlineSnapshot(`
      "plan of small for WebAssembly: from old.yaml to new.yaml

                                   before       after              change
      parameters                   38,304      29,536       −8,768 (−23%)
      weights                     150 KiB     116 KiB    −34.3 KiB (−23%)
      states                     64.0 KiB    48.0 KiB    −16.0 KiB (−25%)
      states a token              1.0 KiB       768 B       −256 B (−25%)
      activations unshared       11.7 KiB     8.9 KiB     −2.8 KiB (−24%)
      peak                        217 KiB     166 KiB    −50.3 KiB (−23%)
      FLOP a token              114 kFLOP  86.1 kFLOP  −27.5 kFLOP (−24%)
      read and written a token    216 KiB     164 KiB    −52.1 KiB (−24%)
      kernels                          23          18           −5 (−22%)
      products                         17          13           −4 (−24%)
      attentions                        4           3           −1 (−25%)
      fusions                          55          42          −13 (−24%)
      near misses                      10           8           −2 (−20%)

      params: 1 changed
        ~ layers: 4 -> 3

      kernels: 5 removed
          layer 3:
        -   linear    layers.{i}.attention.q  [T] x [32+32+32, 32], 6.4 kFLOP, 12.6 KiB
        -   attention layers.{i}.attention.core  [T, 4/4, 8/8] over S, 9.5 kFLOP, 16.3 KiB
        -   linear    layers.{i}.attention.o  [T] x [32, 32], 2.1 kFLOP, 4.4 KiB
        -   linear    layers.{i}.ffn.up  [T] x [48|48, 32], 6.5 kFLOP, 12.4 KiB
        -   linear    layers.{i}.ffn.down  [T] x [32, 48], 3.1 kFLOP, 6.4 KiB

      fusions: 13 no longer done, 2 fewer near misses
        - all 13 of layer 3 (gone)

      weights: 9 removed
        - layers.{i}.attention.norm.weight: f32[32], 128 B (layer 3)
        - layers.{i}.attention.q.weight: f32[32, 32], 4.0 KiB (layer 3)
        - layers.{i}.attention.k.weight: f32[32, 32], 4.0 KiB (layer 3)
        - layers.{i}.attention.v.weight: f32[32, 32], 4.0 KiB (layer 3)
        - layers.{i}.attention.o.weight: f32[32, 32], 4.0 KiB (layer 3)
        - layers.{i}.ffn.norm.weight: f32[32], 128 B (layer 3)
        - layers.{i}.ffn.up.weight: f32[48, 32], 6.0 KiB (layer 3)
        - layers.{i}.ffn.gate.weight: f32[48, 32], 6.0 KiB (layer 3)
        - layers.{i}.ffn.down.weight: f32[32, 48], 6.0 KiB (layer 3)

      buffers: 7 removed
        - state layers.{i}.attention.k: f32[S, 4, 8], 8.0 KiB (layer 3)
        - state layers.{i}.attention.v: f32[S, 4, 8], 8.0 KiB (layer 3)
        - activation layers.{i}.attention.q: f32[T, 32], 512 B (layer 3)
        - activation layers.{i}.attention.core: f32[T, 4, 8], 512 B (layer 3)
        - activation layers.{i}.attention: f32[T, 32], 512 B (layer 3)
        - activation layers.{i}.ffn.activation: f32[T, 48], 768 B (layer 3)
        - activation layers.{i}.ffn: f32[T, 32], 512 B (layer 3)
      "
    `);
  });

  it('a fusion lost by a device that binds fewer buffers', () => {
    const [before, after] = [planned({}, targets.webgpu), planned({}, { ...targets.webgpu, maxStorageBuffers: 5 })];
    expect(printPlanDiff(diffSummaries(before.summary, after.summary), names)).toMatchInlineSnapshot(`
      "plan of small for WebGPU hardware: from old.yaml to new.yaml

                                  before     after            change
      activations                2.3 KiB   1.8 KiB     −512 B (−22%)
      activations unshared      11.7 KiB  13.7 KiB   +2.0 KiB (+17%)
      shared slots                     4         3         −1 (−25%)
      peak                       216 KiB   215 KiB    −512 B (−0.2%)
      read and written a token   216 KiB   217 KiB  +1.4 KiB (+0.6%)
      kernels                         23        30         +7 (+30%)
      nests                            1         4        +3 (+300%)
      products                        17        21         +4 (+24%)
      fusions                         55        48         −7 (−13%)
      near misses                     10        18         +8 (+80%)

      settings
        ~ target's maxStorageBuffers: 8 -> 5

      kernels: 7 added, 5 changed
          before the layers:
        ~   nest      embeddings.token  0 FLOP -> 224 FLOP, 260 B -> 516 B
        +       %layers.0.attention.norm[t, i] = %embeddings.token.weight[%ids[t], i] * rsqrt(sum(r0 < 32: %embeddings.token.weight[%ids[t], r0] * %embeddings.token.w…
          layers 0..3, each:
        ~   linear    layers.{i}.attention.q  [T] x [32+32+32, 32] -> [T] x [32+32, 32], 6.4 kFLOP -> 4.1 kFLOP, 12.6 KiB -> 8.4 KiB
        -       rows [T] k 32 group none weights %layers.{i}.attention.q.weight:32 ; %layers.{i}.attention.k.weight:32 ; %layers.{i}.attention.v.weight:32 granule 1
        -       input = %x[t, k] * rsqrt(sum(r0 < 32: %x[t, r0] * %x[t, r0]) / 32 + 0.00001) * %layers.{i}.attention.norm.weight[k]
        -       %layers.{i}.attention.v[P + t, n/8 - 8, n%8] for n in 64..96 = acc[t, n]
        +       rows [T] k 32 group none weights %layers.{i}.attention.q.weight:32 ; %layers.{i}.attention.k.weight:32 granule 1
        +       input = %layers.{i}.attention.norm[t, k]
        +   linear    layers.{i}.attention.v  [T] x [32, 32], 2.0 kFLOP, 4.3 KiB
          layers 1..3, each:
        +   nest      layers.{i}.attention.norm  over [T, 32], 224 FLOP, 384 B

      fusions: 8 no longer done, 1 done now, 4 with other sizes or reasons
        - sibling-linears  layers.{i}.attention.v (layers 0..3): one product with layers.{i}.attention.q: 32 + 32 + 32 rows of the same input
                           now: not stacked on layers.{i}.attention.q: it would bind 7 buffers, WebGPU hardware has 5
        - linear-input     layers.{i}.attention.norm (layers 0..3): norm computed in front of layers.{i}.attention.q, 24 times a token, 5.2 kFLOP more than once; a kernel of its own costs 100 MFLOP
                           now: not into the product that follows: it would bind 6 buffers, WebGPU hardware has 5
        + chained-nests    layers.{i}.attention.norm (layer 0): one kernel with embeddings.token, whose rows it reads: both run over [T, 32]
        ~ epilogue         layers.{i}.attention (layers 0..3): write to the cache computed behind layers.{i}.attention.q
                           now: write to the cache computed behind layers.{i}.attention.v

      buffers: 4 added
        + activation layers.{i}.attention.norm: f32[T, 32], 2.0 KiB (layers 0..3)

      no change of weights
      "
    `);
  });

  it('Markdown: a short table, the rest folded', () => {
    expect(changed({ kv_heads: 2 }, true)).toMatchInlineSnapshot(`
      "### Plan of \`small\` for WebAssembly, context 64

      \`old.yaml\` → \`new.yaml\`

      |  | before | after | change |
      | --- | --: | --: | --: |
      | parameters | 38,304 | 34,208 | −4,096 (−11%) |
      | weights | 150 KiB | 134 KiB | −16.0 KiB (−11%) |
      | states | 64.0 KiB | 32.0 KiB | −32.0 KiB (−50%) |
      | states a token | 1.0 KiB | 512 B | −512 B (−50%) |
      | peak | 217 KiB | 169 KiB | −48.0 KiB (−22%) |
      | FLOP a token | 114 kFLOP | 105 kFLOP | −8.2 kFLOP (−7.2%) |
      | read and written a token | 216 KiB | 167 KiB | −48.5 KiB (−22%) |

      <details>
      <summary>params: 1 changed</summary>

      \`\`\`diff
      ! kv_heads: 4 -> 2
      \`\`\`

      </details>

      <details>
      <summary>kernels: 8 changed</summary>

      \`\`\`diff
        layers 0..3, each:
      !   linear    layers.{i}.attention.q  [T] x [32+32+32, 32] -> [T] x [32+16+16, 32], 6.4 kFLOP -> 4.3 kFLOP, 12.6 KiB -> 8.5 KiB
      !   attention layers.{i}.attention.core  [T, 4/4, 8/8] over S -> [T, 4/2, 8/8] over S, 16.3 KiB -> 8.3 KiB
      \`\`\`

      </details>

      <details>
      <summary>fusions: 8 with other sizes or reasons</summary>

      \`\`\`diff
      ! sibling-linears  layers.{i}.attention.k (layers 0..3): one product with layers.{i}.attention.q: 32 + 32 rows of the same input
                         now: one product with layers.{i}.attention.q: 32 + 16 rows of the same input
      ! sibling-linears  layers.{i}.attention.v (layers 0..3): one product with layers.{i}.attention.q: 32 + 32 + 32 rows of the same input
                         now: one product with layers.{i}.attention.q: 32 + 16 + 16 rows of the same input
      \`\`\`

      </details>

      <details>
      <summary>weights: 8 changed</summary>

      \`\`\`diff
      ! layers.{i}.attention.k.weight: f32[32, 32] -> f32[16, 32], 16.0 KiB -> 8.0 KiB (layers 0..3)
      ! layers.{i}.attention.v.weight: f32[32, 32] -> f32[16, 32], 16.0 KiB -> 8.0 KiB (layers 0..3)
      \`\`\`

      </details>

      <details>
      <summary>buffers: 8 changed</summary>

      \`\`\`diff
      ! state layers.{i}.attention.k: f32[S, 4, 8] -> f32[S, 2, 8], 32.0 KiB -> 16.0 KiB (layers 0..3)
      ! state layers.{i}.attention.v: f32[S, 4, 8] -> f32[S, 2, 8], 32.0 KiB -> 16.0 KiB (layers 0..3)
      \`\`\`

      </details>
      "
    `);
  });
});
