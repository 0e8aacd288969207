/**
 * How many kernels every golden checkpoint takes, in all and layer by layer, as a committed table: a fusion that is lost shows as a
 * changed row (`npx vitest run test/compiler/kernel-counts.test.ts -u` writes the table anew). And what must hold of every plan.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { buffersRead, buffersWritten } from '../../compiler/kernels/sources.ts';
import { ranges } from '../../compiler/print-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { goldenFolder, openModel } from '../support/model-folder.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import type { Kernel } from '../../compiler/kernels/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';

const names = readdirSync(goldenFolder, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name).sort();
const devices = ['cpu', 'webgpu', 'webgpuSoftware'] as const;
const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };
const plans: { readonly name: string; readonly device: (typeof devices)[number]; readonly graph: Graph; readonly plan: ExecutionPlan }[] = [];

beforeAll(async () => {
  for (const name of names) {
    const { graph, dispose } = await openModel(path.join(goldenFolder, name));
    await dispose();
    for (const device of devices) plans.push({ name, device, graph, plan: buildPlan(graph, targets[device], capacity) });
  }
});

/** 18 = 2 + 5 (layers 0..2) + 1, say: kernels outside of layers, and runs of layers with equally many. */
function row(plan: ExecutionPlan): string {
  const layers: number[] = [];
  for (const k of plan.kernels) if (k.origin.layer !== undefined) layers[k.origin.layer] = (layers[k.origin.layer] ?? 0) + 1;
  const byCount = new Map<number, number[]>();
  layers.forEach((n, layer) => byCount.set(n, [...(byCount.get(n) ?? []), layer]));
  const each = [...byCount].map(([n, list]) => `${n} in ${ranges(list)}`).join(', ');
  return `${String(plan.kernels.length).padStart(4)}  ${each}`;
}

describe('plans of the golden checkpoints', () => {
  test('have as many kernels as the table says', async () => {
    const lines = plans.map((p) => `${p.name.padEnd(22)}${p.device.padEnd(16)}${row(p.plan)}`);
    await expect(['# checkpoint, target, kernels in all, kernels of a layer in layers', ...lines, ''].join('\n')).toMatchFileSnapshot('kernel-counts.txt');
  });

  test('have as many kernels as a transformer layer takes where it is plain: norm and queries, keys, values; attention; output; gate and up; down', () => {
    const count = (device: (typeof devices)[number]): number =>
      plans.find((p) => p.name === 'llama' && p.device === device)?.plan.kernels.filter((k) => k.origin.layer === 1).length ?? 0;
    expect(count('cpu')).toBe(5);
    expect(count('webgpu')).toBeLessThanOrEqual(6);
  });

  test('write no buffer that nobody reads', () => {
    for (const { name, device, plan } of plans) {
      const read = new Set([...plan.kernels.flatMap((k) => [...buffersRead(k, false)]), ...plan.outputs.map((o) => o.buffer)]);
      const unread = plan.kernels.flatMap((k) => buffersWritten(k).filter((b) => !read.has(b)).map((b) => `${name} on ${device}: ${k.origin.label} writes ${plan.buffers.find((x) => x.id === b)?.name ?? ''}`));
      expect(unread).toEqual([]);
    }
  });

  test('have no two nests over one space side by side, unless it is said why', () => {
    for (const { name, device, plan } of plans) {
      const silent = plan.kernels.flatMap((k, n) => {
        const next = plan.kernels[n + 1];
        return next && sameSpace(k, next) && !excused(plan, next) ? [`${name} on ${device}: ${k.origin.label} and ${next.origin.label}`] : [];
      });
      expect(silent).toEqual([]);
    }
  });

  test('say of every elementwise kernel, selection apart, why it stands alone', () => {
    for (const { name, device, plan } of plans) {
      const silent = plan.kernels.filter((k) => k.kind === 'nest' && k.origin.layer !== undefined && !plan.fusions.some((f) => (!f.fired || f.pass === 'rotary-tables') && about(f.origin, k)));
      expect(silent.map((k) => `${name} on ${device}: ${k.origin.label}`)).toEqual([]);
    }
  });

  test('tell each fusion and each near miss once, with a reason', () => {
    for (const { plan } of plans) {
      expect(plan.fusions.every((f) => f.reason.length > 10 && f.origin !== '')).toBe(true);
      expect(plan.fusions.filter((f) => /undefined|NaN|\bnull\b/.test(f.reason))).toEqual([]);
    }
  });
});

const sameSpace = (a: Kernel, b: Kernel): boolean => a.kind === 'nest' && b.kind === 'nest' && a.space.join() === b.space.join();
const about = (origin: string, k: Kernel): boolean => origin === k.origin.label;
const excused = (plan: ExecutionPlan, k: Kernel): boolean =>
  plan.fusions.some((f) => !f.fired && about(f.origin, k) && (f.pass === 'chained-nests' || f.pass === 'sibling-nests'));
