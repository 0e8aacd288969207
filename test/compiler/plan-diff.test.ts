/** Summaries, snapshots and differences of plans. */
import { describe, expect, it } from 'vitest';
import { buildPlan, type PlanOptions } from '../../compiler/build-plan.ts';
import { compileSpec } from '../../compiler/compile.ts';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { diffPlans, diffSummaries } from '../../compiler/plan-diff.ts';
import { compareSnapshot, readSummary, snapshotOf, writeSummary } from '../../compiler/plan-snapshot.ts';
import { summarise, type PlanSummary } from '../../compiler/plan-summary.ts';
import { planDiffMarkdown, printPlanDiff } from '../../compiler/print-plan-diff.ts';
import { targets } from '../../compiler/targets.ts';
import type { ExecutionPlan, Target } from '../../compiler/plan.ts';
import type { ParamValue } from '../../compiler/model.ts';
import { handGraphs } from '../support/hand-graphs.ts';

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

function planned(set: Readonly<Record<string, ParamValue>> = {}, target: Partial<Target> = {}, options: PlanOptions = {}): { plan: ExecutionPlan; summary: PlanSummary } {
  const { model, graph, diagnostics } = compileSpec({ spec: 'small.yaml', readFile: () => small, sources: { set } });
  if (!graph || !model) throw new Error(diagnostics.map((d) => formatDiagnostic(d, true)).join('\n'));
  const plan = buildPlan(graph, { ...targets.cpu, ...target }, capacity, options);
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
    const diff = diffSummaries(planned().summary, planned().summary);
    expect(diff.equal).toBe(true);
    expect(printPlanDiff(diff, names)).toBe('no change: the plans of old.yaml and new.yaml are equal\n');
    expect(planDiffMarkdown(diff, names)).toBe('### Plan of `small` for WebAssembly, context 64\n\n`old.yaml` → `new.yaml`: no change.\n');
    expect(diffPlans(planned().plan, planned().plan).equal).toBe(true);
  });

  it('are found wherever something changes', () => {
    const { summary } = planned();
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
