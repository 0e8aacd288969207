import type { ActivationDefinition, BlockDefinition } from '../model.ts';
import type { Cursor } from './cursor.ts';

/** Texts of definitions are kept as written: lowering reads them as tensor expressions. */
export function blockDefinitions(field: Cursor): Record<string, BlockDefinition> {
  const result: Record<string, BlockDefinition> = {};
  for (const [name, block] of field.entries()) {
    const body = block.get('body').items().flatMap((statement) => statement.entries().map(([target, value]) => ({
      name: target, expression: source(value), path: value.path,
    })));
    result[name] = {
      name, path: block.path, body,
      input: block.get('input').text() ?? 'x',
      weights: weights(block.get('weights')),
      params: Object.fromEntries(block.get('params').entries().map(([param, value]) => [param, source(value)])),
    };
    const names = new Set(result[name].input === '' ? [] : [result[name].input, ...result[name].weights.map((weight) => weight.name)]);
    for (const statement of block.get('body').items()) {
      for (const [target, value] of statement.entries()) {
        if (names.has(target)) value.report('E306', `\`${target}\` is given twice in this block`);
        names.add(target);
      }
    }
  }
  return result;
}

export function activationDefinitions(field: Cursor): Record<string, ActivationDefinition> {
  const result: Record<string, ActivationDefinition> = {};
  for (const [name, activation] of field.entries()) {
    result[name] = { name, path: activation.path, weights: weights(activation.get('weights')), value: source(activation.get('value')) };
  }
  return result;
}

function weights(field: Cursor): BlockDefinition['weights'] {
  return field.entries().map(([name, shape]) => ({ name, path: shape.path, shape: shape.items().map(source) }));
}

function source(field: Cursor): string {
  return field.node?.kind === 'scalar' ? String(field.node.value) : 'null';
}
