/** Specs written for one model: the same model, to the bit. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseExpression, spellExpression } from '../../compiler/expression/index.ts';
import { sameExpression } from '../../compiler/write/fold-expression.ts';
import { checkModel } from '../../runtime/check.ts';
import { record } from '../../runtime/diff/record.ts';
import { importModel } from '../../runtime/import/import.ts';
import { root } from '../../scripts/build.mjs';
import { loadModel } from '../../runtime/model.ts';
import { checkpointNames, furtherFolder, goldenFolder } from '../support/model-folder.ts';
import { problemsOf, temporaryFolder } from './weights/files.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

async function written(name: string, from: string): Promise<{ file: string; text: string }> {
  const result = await importModel({ path: from });
  expect(result.unplaced.filter((d) => d.severity === 'error')).toEqual([]);
  expect([result.complete, result.form]).toEqual([true, 'reduced']);
  return { file: folder.file(`${name}.yaml`, result.text), text: result.text };
}

/** Everything that a model computes for some ids, on the reference backend. */
async function computed(file: string, weights?: string): Promise<Map<string, number[]>> {
  const model = await loadModel({ path: file, ...(weights === undefined ? {} : { weights }) });
  try {
    const session = await model.session({ device: 'reference', outputs: 'all', logitRows: 8, context: 16 });
    const tensors = await record(session, [3, 1, 4, 1, 5, 9, 2, 6], 2);
    return new Map([...tensors].map(([name, { data }]) => [name, Array.from(data as ArrayLike<number>)]));
  } finally {
    await model.dispose();
  }
}

describe('a spec written for each golden checkpoint', () => {
  for (const name of checkpointNames(goldenFolder)) {
    it(`${name}: passes check, and computes the same bits`, async () => {
      const weights = path.join(goldenFolder, name);
      const { file, text } = await written(name, weights);
      expect(text).not.toMatch(/extends|model_types|\{ config:|gguf/);
      expect(await checkModel({ path: file, weights })).toMatchObject({ exitCode: 0, diagnostics: [], summary: { name } });
      const [found, expected] = [await computed(file, weights), await computed(weights)];
      expect(found.size).toBeGreaterThan(3);
      for (const [output, values] of expected) expect(found.get(output), output).toEqual(values);
    });
  }
});

describe('a spec written for further checkpoints', () => {
  for (const name of checkpointNames(furtherFolder)) {
    it(`${name}: describes the same graph, and passes check`, async () => {
      const weights = path.join(furtherFolder, name);
      const { file } = await written(name, weights);
      expect(await checkModel({ path: file, weights })).toMatchObject({ exitCode: 0 });
    });
  }
});

describe('a spec written for a GGUF file whose metadata have a list for the layers', () => {
  for (const name of ['lfm2_moe', 'mimo_v2_flash', 'apertus']) {
    it(`${name}: describes the same graph, and passes check`, async () => {
      const weights = path.join(root, 'test/gguf/files', `${name}.gguf`);
      const { file, text } = await written(`${name}-gguf`, weights);
      expect(text).not.toMatch(/extends|gguf_|tensors\[/);
      expect(await checkModel({ path: file, weights })).toMatchObject({ exitCode: 0, diagnostics: [] });
    });
  }
});

describe('what has no place', () => {
  const copy = (name: string, change: (config: Record<string, unknown>) => void): string => {
    const to = path.join(folder.path, name);
    mkdirSync(to);
    const from = path.join(goldenFolder, 'llama');
    const config = JSON.parse(readFileSync(path.join(from, 'config.json'), 'utf8')) as Record<string, unknown>;
    change(config);
    writeFileSync(path.join(to, 'config.json'), JSON.stringify(config));
    writeFileSync(path.join(to, 'model.safetensors'), readFileSync(path.join(from, 'model.safetensors')));
    return to;
  };
  it('an unknown key is a warning, and the spec is complete', async () => {
    const result = await importModel({ path: copy('strange-key', (config) => { config.strange_switch = 3; }) });
    expect(result.unplaced).toMatchObject([{ code: 'W506', severity: 'warning' }]);
    expect(result.complete).toBe(true);
    expect(result.missing).toEqual([expect.stringContaining('no tokenizer.json'), expect.stringContaining('no chat template')]);
  });
  it('for an unknown model_type, the nearest family is a draft that says what does not fit', async () => {
    const result = await importModel({ path: copy('new-type', (config) => { config.model_type = 'llamb\n9'; config.hidden_size = 48; }) });
    expect(path.basename(result.family)).toBe('llama.yaml');
    expect(result.complete).toBe(false);
    expect(result.text).toMatch(/# A DRAFT: what follows does not fit the files yet\.\n# - E505 .*no spec serves model_type 'llamb.*9'\n(# - E601 .*\n)+peel: 1/);
    expect(result.text).toMatch(/\n {2}dim: 48 # hidden_size\n/);
    const draft = folder.file('draft.yaml', result.text);
    expect((await checkModel({ path: draft })).diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
  });
  it('a spec is no model to import', async () => {
    expect(await problemsOf(importModel({ path: 'llama' }))).toMatchObject({ exitCode: 2, diagnostics: [{ code: 'E010' }] });
  });
});

describe('expressions spelled short', () => {
  it.each([
    'a + b * c', '(a + b) * c', 'a - (b - c)', 'a - b - c', '-(a ** b)', '(-a) ** b', 'a ** -b', 'a ** b ** c', '(a ** b) ** c', 'a ? b : c ? d : e', '(a ? b : c) ? d : e',
    '!(a && b) || c', 'a && (b || c)', '(a ?? b) == c', 'min(a ? 1 : 2, [1, 2][i])', "x['k'] != null", '(a + b)[i]', 'i % 6 != 5', '-2 * a', '1.5e-7 + .5',
  ])('%s', (text) => {
    const parsed = parseExpression(text);
    if (!parsed.ok) throw new Error(parsed.error.message);
    const spelled = spellExpression(parsed.expression);
    const again = parseExpression(spelled);
    expect(again.ok && sameExpression(again.expression, parsed.expression), spelled).toBe(true);
    expect(spelled.length).toBeLessThanOrEqual(text.length + 2);
  });
});
