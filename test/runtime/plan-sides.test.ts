/** What can stand for a plan in `peel plan diff`: models, saved plans, and what they were in a git revision. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatDiagnostic, PeelError } from '../../compiler/diagnostics.ts';
import { diffSummaries, type PlanDiff } from '../../compiler/plan-diff.ts';
import { writeSummary } from '../../compiler/plan-snapshot.ts';
import { targets } from '../../compiler/targets.ts';
import { planToJson } from '../../compiler/verify-plan.ts';
import { loadModel } from '../../runtime/model.ts';
import { planSides, type Circumstances, type SideOptions } from '../../runtime/plan-sides/side.ts';
import { openRevision, revisionAndFile } from '../../runtime/plan-sides/revision.ts';

const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'peel-sides-')));
const here = process.cwd();
const write = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), text);
};
function git(...args: string[]): void {
  const { status, stderr } = spawnSync('git', ['-c', 'user.name=Peel', '-c', 'user.email=peel@example.com', '-c', 'init.defaultBranch=main', '-c', 'commit.gpgsign=false', ...args], { cwd: folder });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${String(stderr)}`);
}

const base = (heads: number): string => `peel: 1
params: { heads: ${heads}, layers: { config: num_hidden_layers, default: 2 } }
embeddings: { token: { rows: 20, dim: 16 } }
layers: { repeat: layers, residual: [{ id: attention, attention: { heads: 4, kv_heads: heads, head_dim: 4 } }] }
output: { linear: {} }
`;

beforeAll(() => process.chdir(folder));
afterAll(() => {
  process.chdir(here);
  rmSync(folder, { recursive: true, force: true });
});

async function diff(before: string, after: string, options: SideOptions = {}, wanted: Circumstances = {}): Promise<PlanDiff> {
  const [a, b] = await planSides([before, after], options, wanted, targets.cpu);
  return diffSummaries(a, b);
}
async function problem(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'fine';
  } catch (error) {
    if (!(error instanceof PeelError)) throw error;
    return `${error.exitCode} ${error.diagnostics.map((d) => formatDiagnostic(d)).join('\n')}`;
  }
}

describe('saved plans', () => {
  beforeAll(async () => {
    write('spec.yaml', base(4));
    const model = await loadModel({ path: 'spec.yaml', headersOnly: true });
    write('plan.json', planToJson(model.plan(targets.webgpu, { context: 32, maxTokens: 8 })));
    const [summary] = await planSides(['spec.yaml', 'spec.yaml'], {}, {}, targets.cpu);
    write('plan.yaml', writeSummary(summary));
  });

  it('are compared with a model as it would be on their device, with their context', async () => {
    const same = await diff('plan.json', 'spec.yaml');
    expect([same.equal, same.after.target.name, same.after.capacity]).toEqual([true, targets.webgpu.name, { context: 32, maxTokens: 8, maxLogitRows: 1 }]);
    expect((await diff('spec.yaml', 'plan.json', {}, { context: 64 })).settings).toEqual([{ name: 'context', before: '64', after: '32' }]);
    expect((await diff('plan.json', 'spec.yaml', {}, { target: targets.cpu })).settings.map((s) => s.name)).toContain('target');
    expect((await diff('plan.yaml', 'spec.yaml')).equal).toBe(true);
    expect((await diff('plan.yaml', 'spec.yaml', { set: { layers: 3 } })).kernels.map((k) => k.where)).toEqual(['layer 2']);
  });

  it('have no options where both are', async () => {
    expect(await problem(() => diff('plan.json', 'plan.json', {}, { context: 64 }))).toMatch(/^2 E012 .*both plans are saved/);
    expect((await diff('plan.json', 'plan.json')).equal).toBe(true);
  });

  it('and folders keep their own config and weights', async () => {
    const nano = path.join(here, 'models', 'nano', 'nano-gpt');
    const config = path.join(here, 'models', 'nano', 'nano-llama', 'config.json');
    expect((await diff(nano, 'gpt2', { config: path.join(nano, 'config.json'), weights: nano })).equal).toBe(true);
    expect((await diff(nano, 'gpt2', { config })).params.map((p) => p.name)).toContain('kv_heads');
    expect(await problem(() => diff(nano, 'plan.json', { config }))).toMatch(/^2 E012 .*--config goes with specs, and neither side is one/);
  });

  it('say what is wrong with them', async () => {
    write('cut.json', '{"peel":1,"kind":"plan","model":"x"');
    write('other.yaml', 'peel: 1\nkind: plan-summary\nmodel: x\n');
    write('broken.yaml', 'kind: plan-summary\n{');
    expect(await problem(() => diff('cut.json', 'spec.yaml'))).toBe('10 E906 / cut.json: this is no JSON');
    expect(await problem(() => diff('other.yaml', 'spec.yaml'))).toMatch(/^10 E906 \/ other.yaml: parts of it are missing/);
    expect(await problem(() => diff('broken.yaml', 'spec.yaml'))).toMatch(/^10 E906 \/ broken.yaml: this is no saved plan/);
  });
});

it('names of revisions are those of git', () => {
  expect(revisionAndFile('HEAD~1:models/llama.yaml')).toEqual({ revision: 'HEAD~1', file: 'models/llama.yaml' });
  expect(revisionAndFile('main@{10:00}:a:b.yaml')).toEqual({ revision: 'main@{10:00}', file: 'a:b.yaml' });
  expect(revisionAndFile('origin/main:a.yaml')).toEqual({ revision: 'origin/main', file: 'a.yaml' });
  expect(revisionAndFile(':a.yaml')).toEqual({ revision: '', file: 'a.yaml' });
  for (const name of ['models/llama.yaml', 'C:\\models\\llama.yaml', 'llama']) expect(revisionAndFile(name)).toBeUndefined();
});

it('git that is not there, and folders that are in no repository', async () => {
  const { PATH } = process.env;
  process.env.PATH = '';
  try {
    expect(await problem(() => diff('HEAD:spec.yaml', 'spec.yaml'))).toBe('14 E721 / HEAD:spec.yaml cannot be read: git, which holds the revisions, is not installed or not on the PATH');
  } finally {
    process.env.PATH = PATH;
  }
});

const hasGit = spawnSync('git', ['--version']).status === 0;
describe.skipIf(!hasGit)(`git revisions${hasGit ? '' : ' (git is not installed: not tested)'}`, () => {
  beforeAll(async () => {
    write('specs/base.yaml', base(4));
    write('specs/child.yaml', 'peel: 1\nextends: base\n');
    expect(await problem(() => openRevision('HEAD:specs/child.yaml', { revision: 'HEAD', file: 'specs/child.yaml' }, folder))).toBe('14 E721 / HEAD:specs/child.yaml cannot be read: this folder is in no git repository');
    git('init', '-q');
    git('add', 'specs');
    git('commit', '-q', '-m', 'four heads');
    write('specs/base.yaml', base(2));
    write('deep/child.yaml', 'peel: 1\nextends: ../specs/child\n');
    write('deep/family.yaml', 'peel: 1\nextends: gpt2\n');
    write('deep/wrong.yaml', 'peel: 1\nextends: ../specs/child\nlayers: { repeat: lyers }\n');
    git('add', 'specs', 'deep');
    git('commit', '-q', '-m', 'two heads of keys');
  });

  it('are compiled with what they extended then', async () => {
    const changed = await diff('HEAD~1:specs/child.yaml', 'specs/child.yaml');
    expect(changed.params).toEqual([{ name: 'heads', before: 4, after: 2 }]);
    // k and v of two layers, of 4 heads and of 2.
    expect(changed.totals[0]).toEqual({ name: 'parameters', unit: 'number', before: 2 * 20 * 16 + 2 * 4 * 16 * 16, after: 2 * 20 * 16 + 2 * (2 * 16 * 16 + 2 * 8 * 16) });
    expect(changed.weights.map((w) => [w.before?.name, w.before?.type, w.after?.type, w.layers])).toEqual([
      ['layers.{i}.attention.k.weight', 'f32[16, 16]', 'f32[8, 16]', [0, 1]], ['layers.{i}.attention.v.weight', 'f32[16, 16]', 'f32[8, 16]', [0, 1]],
    ]);
    expect((await diff('HEAD:specs/child.yaml', 'main:deep/child.yaml')).settings.map((s) => s.name)).toEqual([]);
    expect((await diff('HEAD:specs/child.yaml', 'HEAD:./specs/base.yaml')).equal).toBe(false);
  });

  it('read what is staged, and follow where one stands', async () => {
    write('specs/base.yaml', base(1));
    git('add', 'specs');
    write('specs/base.yaml', base(2));
    expect((await diff(':specs/child.yaml', 'specs/child.yaml')).params).toEqual([{ name: 'heads', before: 1, after: 2 }]);
    git('reset', '-q');
    process.chdir('specs');
    try {
      expect((await diff('HEAD:./child.yaml', 'child.yaml')).equal).toBe(true);
      expect(await problem(() => diff('HEAD:child.yaml', 'child.yaml'))).toBe("14 E721 / HEAD:child.yaml cannot be read: 'HEAD' has no file child.yaml; did you mean HEAD:specs/child.yaml?");
    } finally {
      process.chdir(folder);
    }
  });

  it('take params from a config.json, and the specs that come with Peel from where they are', async () => {
    write('config.json', JSON.stringify({ model_type: 'gpt2', vocab_size: 50, n_embd: 16, n_layer: 3, n_head: 2, n_positions: 32 }));
    const changed = await diff('HEAD:deep/family.yaml', 'deep/family.yaml', { config: 'config.json' });
    expect([changed.equal, changed.before.params?.layers]).toEqual([true, 3]);
  });

  it('say where in which revision something is wrong', async () => {
    expect(await problem(() => diff('HEAD:deep/wrong.yaml', 'specs/child.yaml'))).toMatch(/^10 HEAD:deep\/wrong.yaml:3:\d+ E4\d\d \/layers\/repeat .*lyers.*layers/);
    expect(await problem(() => diff('HEAD~1:deep/child.yaml', 'specs/child.yaml'))).toMatch(/^14 E721 .*'HEAD~1' has no file deep\/child.yaml/);
    expect(await problem(() => diff('HEAD~7:specs/child.yaml', 'specs/child.yaml'))).toBe("14 E721 / HEAD~7:specs/child.yaml cannot be read: there is no revision 'HEAD~7'");
    expect(await problem(() => diff('mian:specs/child.yaml', 'specs/child.yaml'))).toBe("14 E721 / mian:specs/child.yaml cannot be read: there is no revision 'mian'; did you mean 'main'?");
    expect(await problem(() => diff('HEAD:specs', 'specs/child.yaml'))).toBe('14 E721 / HEAD:specs cannot be read: it is a folder; name a spec or a saved plan in it');
    expect(await problem(() => diff('HEAD:', 'specs/child.yaml'))).toBe('14 E721 / HEAD: cannot be read: no file is named after the colon');
    expect(await problem(() => diff('--output=x:specs/child.yaml', 'specs/child.yaml'))).toMatch(/^14 E721 .*'--output=x' is no revision/);
  });

  it('say so where a clone is shallow', async () => {
    spawnSync('git', ['clone', '-q', '--depth', '1', `file://${folder}`, 'shallow'], { cwd: folder });
    expect(await problem(() => openRevision('HEAD~1:specs/base.yaml', { revision: 'HEAD~1', file: 'specs/base.yaml' }, path.join(folder, 'shallow'))))
      .toMatch(/there is no revision 'HEAD~1'; this clone is shallow: .*fetch-depth: 0/);
  });
});
