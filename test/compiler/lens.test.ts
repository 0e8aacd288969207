/** The logit lens: the model's own output stage on what each layer gives. */
import { describe, expect, test } from 'vitest';
import { verifyGraph } from '../../compiler/graph/verify.ts';
import { withLens } from '../../compiler/lens.ts';
import { loadModel } from '../../runtime/model.ts';
import { goldenFolder } from '../support/model-folder.ts';

const ids = [5, 9, 2, 6, 5, 3, 5, 8];

// Soft caps, multipliers of logits, norms with offsets, biases, heads of their own: all are part of the stage.
describe.each(['llama', 'gemma2', 'cohere', 'gpt2', 'phi', 'granite'])('of %s', (name) => {
  test('after a layer, it is what the model gives that ends there; after the last, the logits themselves', async () => {
    const path = `${goldenFolder}/${name}`;
    const whole = await loadModel({ path });
    const depth = whole.model.layers.length;
    const { graph, layers } = withLens(whole.graph, 4);
    verifyGraph(graph, 'test');
    expect(layers).toEqual(Array.from({ length: depth }, (_, i) => i));
    const session = await whole.session({ device: 'reference', graph, taps: ['lens.*'], logitRows: ids.length, context: ids.length });
    const { outputs, shapes } = await session.feed(ids, { outputs: ['logits', ...session.taps], logitRows: ids.length });
    expect(outputs.get(`lens.${depth - 1}.logits`)).toEqual(outputs.get('logits'));
    expect(shapes.get('lens.0.top')).toEqual([ids.length, 4]);

    const cut = await loadModel({ path, set: { layers: 1 } });
    const short = await cut.session({ device: 'reference', logitRows: ids.length, context: ids.length });
    const expected = (await short.feed(ids, { outputs: ['logits'], logitRows: ids.length })).outputs.get('logits')!;
    expect(outputs.get('lens.0.logits')).toEqual(expected);
    expect(expected).not.toEqual(outputs.get('logits'));

    const width = expected.length / ids.length;
    ids.forEach((_, t) => {
      const row = Array.from(expected.subarray(t * width, (t + 1) * width));
      const order = row.map((x, id) => ({ x, id })).sort((a, b) => b.x - a.x || a.id - b.id).slice(0, 4);
      const total = row.reduce((sum, x) => sum + Math.exp(x - order[0]!.x), 0);
      expect([...outputs.get('lens.0.top')!.subarray(4 * t, 4 * t + 4)]).toEqual(order.map(({ id }) => id));
      order.forEach(({ x }, n) => expect(outputs.get('lens.0.probabilities')![4 * t + n]).toBeCloseTo(Math.exp(x - order[0]!.x) / total, 6));
    });
    await whole.dispose();
    await cut.dispose();
  });
});

test('a model without logits has none, and the graph stays as it is', async () => {
  const model = await loadModel({ path: `${goldenFolder}/bert` });
  const { graph, layers } = withLens(model.graph, 4);
  expect(layers).toEqual([]);
  expect(graph).toBe(model.graph);
  await model.dispose();
});
