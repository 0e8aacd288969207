/** Blocks that the spec writes itself: statements of tensor expressions, the last of which is the block's output. */
import { constantScope, parseText, weightShape } from './constants.ts';
import { fail } from './lowering-error.ts';
import { evaluateTensor, nodeOf } from './tensor-expression.ts';
import { positions } from './tensor-functions.ts';
import { sameShape, showShape } from '../graph/shapes.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { CustomBlock } from '../model.ts';

/**
 * x[T, dim] -> [T, dim]. Names in statements: the input, the block's weights (under `<slot>.<name>`), earlier statements, `ids` and
 * `types` of the tokens, `positions` [T, 1], and the values of params, which are known when compiling.
 */
export function lowerCustomBlock(ctx: LowerContext, x: Node, body: CustomBlock, slot: string): Node {
  const definition = ctx.model.blocks[body.block] ?? fail('E502', '', `there is no block \`${body.block}\``);
  const constants = constantScope(ctx, body.params);
  const { graph } = ctx;
  const tensors = new LazyTensors(new Map([
    ['ids', () => graph.input('ids')],
    ['types', () => graph.input('types')],
    ['positions', () => positions(graph)],
  ]));
  tensors.set(definition.input, x);
  for (const { name, shape, path } of definition.weights) {
    const { sizes, derivation } = weightShape(shape, constants, path);
    tensors.set(name, graph.within({ label: `${slot}.${name}`, path }, () => graph.weight(`${slot}.${name}`, sizes, derivation)));
  }
  let result = x;
  let last = definition.path;
  for (const { name, expression: text, path } of definition.body) {
    const label = `${slot}.${name}`;
    const scope = { ctx, slot, text, path, label, tensors, constants };
    result = graph.within({ label, path }, () => {
      const expression = parseText(text, path);
      const value = evaluateTensor(scope, expression);
      return value.kind === 'tensor' ? value.node : nodeOf(scope, expression);
    });
    tensors.set(name, result);
    last = path;
  }
  if (!sameShape(result.shape, x.shape)) fail('E601', last, `block \`${body.block}\` gives ${showShape(result.shape)}, the residual stream is ${showShape(x.shape)}`);
  return result;
}

/** Named tensors, some of which are built on first use. */
class LazyTensors extends Map<string, Node> {
  constructor(private readonly builders: ReadonlyMap<string, () => Node>) {
    super();
  }
  override has(name: string): boolean {
    return super.has(name) || this.builders.has(name);
  }
  override get(name: string): Node | undefined {
    const known = super.get(name);
    if (known) return known;
    const node = this.builders.get(name)?.();
    if (node) this.set(name, node);
    return node;
  }
}
