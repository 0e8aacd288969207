/** Blocks that the spec writes itself: statements of tensor expressions, the last of which is the block's output. */
import { expressionNames } from '../expression/index.ts';
import { constantScope, parseText, weightShape } from './constants.ts';
import { named } from './context.ts';
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
  // What depends on something that failed is left alone: it would only repeat the first mistake.
  const failed = new Set<string>();
  const keep = (name: string, node: Node | undefined): void => {
    failed.delete(name);
    if (node) tensors.set(name, node);
    else failed.add(name);
  };
  for (const { name, shape, path } of definition.weights) {
    keep(name, ctx.problems.collect(() => {
      const { sizes, derivation } = weightShape(shape, constants, path);
      return graph.within({ label: `${slot}.${name}`, path }, () => graph.weight(`${slot}.${name}`, sizes, derivation));
    }));
  }
  let result: Node | undefined = x;
  let last = definition.path;
  for (const { name, expression: text, path } of definition.body) {
    const label = `${slot}.${name}`;
    const scope = { ctx, slot, text, path, label, tensors, constants };
    result = ctx.problems.collect(() => graph.within({ label, path }, () => {
      const expression = parseText(text, path);
      if ([...expressionNames(expression)].some((used) => failed.has(used))) return undefined;
      const value = evaluateTensor(scope, expression);
      return value.kind === 'tensor' ? value.node : nodeOf(scope, expression);
    }));
    keep(name, result);
    // The last one is the branch's `out`.
    if (result && !(name === 'out' && path === definition.body.at(-1)?.path)) nameStatement(ctx, result, slot, name);
    last = path;
  }
  if (!result) return x;
  if (!sameShape(result.shape, x.shape)) fail('E601', last, `block \`${body.block}\` gives ${showShape(result.shape)}, the residual stream is ${showShape(x.shape)}`);
  return result;
}

/** Names that every branch and step gives besides the statements of its block. */
const OWN_NAMES: ReadonlySet<string> = new Set(['norm', 'out', 'post_norm', 'residual']);

/**
 * A statement's value is `<slot>.<name>`, or `<slot>.body.<name>` where the branch has a value of that name itself. Weights and inputs are no results;
 * a mask's is what it masks, as everywhere: scores that may not be seen are no numbers.
 */
function nameStatement(ctx: LowerContext, node: Node, slot: string, name: string): void {
  const { op } = node.operator;
  if (op === 'weight' || op === 'constant' || op === 'input') return;
  const seen = op === 'mask' ? ctx.graph.operand(node, 0) : node;
  named(ctx, `${slot}.${OWN_NAMES.has(name) ? 'body.' : ''}${name}`, seen);
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
