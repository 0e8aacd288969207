/** Tensor expressions of custom blocks: the grammar of the spec's expressions, over tensors and values known when compiling. */
import { arg, binary, constant, select, unary } from '../graph/expressions.ts';
import { bindActivation } from './activation.ts';
import { constantValue } from './constants.ts';
import { isConstant } from './custom-activation.ts';
import { elementwiseFunctions, elementwiseOperator } from './elementwise.ts';
import { fail, failUnknown } from './lowering-error.ts';
import { Arguments, tensor } from './tensor-arguments.ts';
import { tensorFunctions } from './tensor-functions.ts';
import type { LowerContext } from './context.ts';
import type { TensorValue } from './tensor-arguments.ts';
import type { Expression, Scope } from '../expression/index.ts';
import type { Node } from '../graph/types.ts';
import type { Scalar } from '../kernels/scalar.ts';

export interface TensorScope {
  readonly ctx: LowerContext;
  /** The block's branch, under which its weights and activations' weights stand. */
  readonly slot: string;
  /** The statement: its text, its place, and a name that is unique in the model. */
  readonly text: string;
  readonly path: string;
  readonly label: string;
  readonly tensors: ReadonlyMap<string, Node>;
  readonly constants: Scope;
}

export function evaluateTensor(s: TensorScope, e: Expression): TensorValue {
  if (isConstant(e, s.tensors)) return { kind: 'constant', value: constantValue(s.text, e, s.constants, s.path) };
  switch (e.kind) {
    case 'literal': return { kind: 'constant', value: e.value };
    case 'name': {
      const node = s.tensors.get(e.name);
      return node ? tensor(node) : failUnknown('value', e.name, [...s.tensors.keys(), ...s.constants.names()], 'E403', s.path, e.at);
    }
    case 'list': return { kind: 'tensors', nodes: e.items.map((item) => nodeOf(s, item)) };
    case 'unary': {
      const { operator } = e;
      return tensor(elementwise(s, [e.operand], ([x = constant(0)]) => {
        switch (operator) {
          case '-': return unary('neg', x);
          case '+': return x;
          case '!': return binary('eq', x, constant(0));
          default: return operator satisfies never;
        }
      }));
    }
    case 'binary': {
      const { operator } = e;
      return tensor(elementwise(s, [e.left, e.right], ([a = constant(0), b = constant(0)]) =>
        elementwiseOperator(operator, a, b) ?? fail('E402', s.path, `\`${operator}\` is for params, not for tensors`, undefined, e.at)));
    }
    case 'conditional':
      return tensor(elementwise(s, [e.condition, e.then, e.else], ([c = constant(0), a = constant(0), b = constant(0)]) => select(c, a, b)));
    case 'call': return tensor(call(s, e));
    case 'index': return fail('E402', s.path, `in \`${s.text}\`: tensors are cut with slice(x, axis, start, length)`, undefined, e.at);
    default: return e satisfies never;
  }
}

/** A tensor; a number becomes one of a single element. */
export function nodeOf(s: TensorScope, e: Expression): Node {
  const value = evaluateTensor(s, e);
  switch (value.kind) {
    case 'tensor': return value.node;
    case 'constant': return s.ctx.graph.constant([numberOf(s, value)], [1]);
    case 'tensors': return fail('E402', s.path, `in \`${s.text}\`: a list where a tensor is needed`, undefined, e.at);
    default: return value satisfies never;
  }
}

function numberOf(s: TensorScope, value: Extract<TensorValue, { kind: 'constant' }>): number {
  if (typeof value.value === 'boolean') return Number(value.value);
  return typeof value.value === 'number' ? value.value : fail('E402', s.path, `in \`${s.text}\`: ${JSON.stringify(value.value)} where a tensor or number is needed`);
}

/** One map over the operands, which broadcast together; numbers become constants in its expression. */
function elementwise(s: TensorScope, operands: readonly Expression[], build: (values: readonly Scalar[]) => Scalar): Node {
  const nodes: Node[] = [];
  const scalars = operands.map((operand): Scalar => {
    const value = evaluateTensor(s, operand);
    if (value.kind === 'constant') return constant(numberOf(s, value));
    if (value.kind === 'tensors') return fail('E402', s.path, `in \`${s.text}\`: a list where a tensor is needed`, undefined, operand.at);
    const known = nodes.indexOf(value.node);
    return arg(known >= 0 ? known : nodes.push(value.node) - 1);
  });
  return s.ctx.graph.map(alignTokens(s, nodes), build(scalars), nodes.length === 0 ? [1] : undefined);
}

/** Operands with a token axis but fewer axes than the result get axes of size 1 behind it, so that token meets token. */
function alignTokens(s: TensorScope, nodes: readonly Node[]): readonly Node[] {
  const rank = Math.max(...nodes.map((n) => n.shape.length));
  return nodes.map((node) => {
    const [first, ...rest] = node.shape;
    if (typeof first !== 'string' || node.shape.length === rank) return node;
    const ones = new Array<number>(rank - node.shape.length).fill(1);
    return s.ctx.graph.reshape(node, [first, ...ones, ...rest]);
  });
}

function call(s: TensorScope, e: Extract<Expression, { kind: 'call' }>): Node {
  const primitive = tensorFunctions.get(e.name);
  if (primitive) {
    const [least, most] = primitive.arity;
    if (e.arguments.length < least || e.arguments.length > most) return fail('E405', s.path, `\`${e.name}\` does not take ${e.arguments.length} arguments`, primitive.signature, e.at);
    const values = e.arguments.map((argument) => evaluateTensor(s, argument));
    return primitive.build(new Arguments(s.ctx, primitive.signature, s.path, values), s.label);
  }
  const fn = elementwiseFunctions.get(e.name);
  if (fn) {
    if (e.arguments.length !== fn.arity) return fail('E405', s.path, `\`${e.name}\` does not take ${e.arguments.length} arguments`, fn.signature, e.at);
    return elementwise(s, e.arguments, (values) => fn.build(...values));
  }
  const [only] = e.arguments;
  if (s.ctx.model.activations[e.name] && only && e.arguments.length === 1) {
    const x = nodeOf(s, only);
    const bound = bindActivation(s.ctx, { kind: 'custom', name: e.name }, s.slot);
    return s.ctx.graph.map([x, ...bound.operands], bound.apply(arg(0), 1), x.shape);
  }
  const known = [...tensorFunctions.keys(), ...elementwiseFunctions.keys(), ...Object.keys(s.ctx.model.activations)];
  return failUnknown('function', e.name, known, 'E405', s.path, e.nameAt);
}
