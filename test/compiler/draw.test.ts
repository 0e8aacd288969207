/** The folded drawing: what is drawn once, what is kept, and that its text formats are well formed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instance } from '@viz-js/viz';
import path from 'node:path';
import { toDot } from '../../compiler/draw/dot.ts';
import { foldGraph, type Drawing } from '../../compiler/draw/fold.ts';
import { toMermaid } from '../../compiler/draw/mermaid.ts';
import { goldenFolder, openModel, type OpenedModel } from '../support/model-folder.ts';

const nodesOf = (drawing: Drawing) => drawing.sections.flatMap((s) => s.parts.flatMap((p) => p.nodes));

describe('a folded drawing', () => {
  const opened = new Map<string, OpenedModel>();
  beforeAll(async () => {
    for (const name of ['llama', 'gemma2', 'deepseek_v3']) opened.set(name, await openModel(path.join(goldenFolder, name)));
  });
  afterAll(async () => { for (const model of opened.values()) await model.dispose(); });
  const drawingOf = (name: string): Drawing => {
    const model = opened.get(name);
    if (!model) throw new Error(`${name} was not opened`);
    return foldGraph(model.graph);
  };
  const titles = (drawing: Drawing): string[] => drawing.sections.map((s) => s.title).filter((t) => t !== '');

  it('draws equal layers once', () => expect(titles(drawingOf('llama'))).toEqual(['layers 0..2: 3 alike']));
  it('draws alternating layers once each', () => expect(titles(drawingOf('gemma2'))).toEqual(['layers 0, 2, ...: 2 alike', 'layers 1, 3, ...: 2 alike']));
  it('keeps a dense layer apart from the mixtures', () => expect(titles(drawingOf('deepseek_v3'))).toEqual(['layer 0', 'layers 1..2: 2 alike']));
  it.each(['llama', 'gemma2', 'deepseek_v3'])('%s: every edge joins two drawn nodes, and no node is drawn twice', (name) => {
    const drawing = drawingOf(name);
    const ids = nodesOf(drawing).map((n) => n.id);
    expect(new Set(ids).size).toBe(ids.length);
    const drawn = new Set(ids);
    expect(drawing.edges.filter((e) => !drawn.has(e.from) || !drawn.has(e.to))).toEqual([]);
    expect(drawing.edges.length).toBeGreaterThan(ids.length / 2);
  });
  it('names weights with their shapes where they are used', () => {
    expect(nodesOf(drawingOf('llama')).find((n) => n.name === 'q')?.weights).toEqual(['q.weight [32,32]']);
  });
  it('gives numbers four digits', () => {
    const scale = nodesOf(drawingOf('deepseek_v3')).find((n) => n.operator.includes('a0 * 0.'));
    expect(scale?.operator).toMatch(/^\(a0 \* 0\.\d{1,4}\)$/);
  });
  it('gives DOT that Graphviz draws, and Mermaid with as many nodes', async () => {
    const drawing = drawingOf('deepseek_v3');
    const svg = (await instance()).renderString(toDot(drawing), { format: 'svg' });
    expect(svg.match(/class="node"/g)?.length).toBe(nodesOf(drawing).length + drawing.outputs.length);
    expect(toMermaid(drawing).match(/^ {4}n\d+\[/gm)?.length).toBe(nodesOf(drawing).length);
  });
});
