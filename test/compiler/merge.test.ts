import { describe, expect, it } from 'vitest';
import { plainValue } from '../../compiler/source.ts';
import { loadText } from './models.ts';

function merged(over: string, base: string): unknown {
  const { spec, diagnostics } = loadText(`extends: base\n${over}`, { 'base.yaml': base });
  expect(diagnostics).toEqual([]);
  return spec && plainValue(spec.root);
}

describe('null in a spec that extends another', () => {
  it('deletes a key', () => {
    expect(merged('weights: { huggingface: { tensors: { a: null } } }', 'weights: { huggingface: { tensors: { a: x, b: y } } }'))
      .toMatchObject({ weights: { huggingface: { tensors: { b: 'y' } } } });
  });

  it('as a default is the value null', () => {
    expect(merged('params: { window: { config: sliding_window, default: null } }', 'params: { window: { config: window, default: 4096 } }'))
      .toMatchObject({ params: { window: { config: 'sliding_window', default: null } } });
  });

  it('beside a new body of a step leaves nothing behind', () => {
    const spec = merged('layers: { residual: [{ id: ffn, ffn: null, moe: { experts: 4 } }] }', 'layers: { residual: [{ id: ffn, norm: default, ffn: { hidden: 8 } }] }');
    expect(spec).toHaveProperty('layers.residual', [{ id: 'ffn', norm: 'default', moe: { experts: 4 } }]);
  });
});
