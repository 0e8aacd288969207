/** Activations that the spec writes itself: an expression of x, learned parameters, and the spec's params. */
import { EXPRESSION_FUNCTIONS } from '../expression/index.ts';
import { arg, binary, constant, select, unary } from '../graph/expressions.ts';
import { constantScope, constantValue, parseText, weightShape } from './constants.ts';
import { elementwiseFunctions, elementwiseOperator } from './elementwise.ts';
import { fail, failUnknown } from './lowering-error.ts';
import type { BoundActivation, LowerContext } from './context.ts';
import type { Expression, Scope } from '../expression/index.ts';
import type { ActivationDefinition } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

/** Weights stand under `<slot>.activation.<name>.<weight>` and broadcast against the last axes of x. */
export function customActivation(ctx: LowerContext, definition: ActivationDefinition, slot: string): BoundActivation {
  const scope = constantScope(ctx);
  const operands = definition.weights.map(({ name, shape, path }) => {
    const { sizes, derivation } = weightShape(shape, scope, path);
    return ctx.graph.within({ path }, () => ctx.graph.weight(`${slot}.activation.${definition.name}.${name}`, sizes, derivation));
  });
  const path = `${definition.path}/value`;
  const expression = parseText(definition.value, path);
  const apply = (x: Scalar, first: number): Scalar => {
    const names = new Map<string, Scalar>([['x', x], ...definition.weights.map((w, n): [string, Scalar] => [w.name, arg(first + n)])]);
    return scalarOf({ text: definition.value, path, names, scope }, expression);
  };
  return { operands, apply };
}

interface ScalarScope {
  readonly text: string;
  readonly path: string;
  readonly names: ReadonlyMap<string, Scalar>;
  readonly scope: Scope;
}

function scalarOf(s: ScalarScope, e: Expression): Scalar {
  if (isConstant(e, s.names)) return number(s, e);
  switch (e.kind) {
    case 'literal': return number(s, e);
    case 'name': return s.names.get(e.name) ?? failUnknown('value', e.name, [...s.names.keys(), ...s.scope.names()], 'E403', s.path, e.at);
    case 'unary': {
      const x = scalarOf(s, e.operand);
      const { operator } = e;
      switch (operator) {
        case '-': return unary('neg', x);
        case '+': return x;
        case '!': return binary('eq', x, constant(0));
        default: return operator satisfies never;
      }
    }
    case 'binary':
      return elementwiseOperator(e.operator, scalarOf(s, e.left), scalarOf(s, e.right)) ?? fail('E402', s.path, `\`${e.operator}\` is for params, not for x`, undefined, e.at);
    case 'conditional': return select(scalarOf(s, e.condition), scalarOf(s, e.then), scalarOf(s, e.else));
    case 'call': {
      const fn = elementwiseFunctions.get(e.name) ?? failUnknown('function', e.name, elementwiseFunctions.keys(), 'E405', s.path, e.nameAt);
      if (e.arguments.length !== fn.arity) return fail('E405', s.path, `\`${fn.signature}\` takes ${fn.arity} arguments, found ${e.arguments.length}`, undefined, e.at);
      return fn.build(...e.arguments.map((a) => scalarOf(s, a)));
    }
    case 'list': case 'index': return fail('E402', s.path, `in \`${s.text}\`: a list has no place in an activation`, undefined, e.at);
    default: return e satisfies never;
  }
}

function number(s: ScalarScope, e: Expression): Scalar {
  const value = constantValue(s.text, e, s.scope, s.path);
  if (typeof value === 'boolean') return constant(Number(value));
  return typeof value === 'number' ? constant(value) : fail('E402', s.path, `in \`${s.text}\`: ${String(value)} is not a number`, undefined, e.at);
}

/** Whether an expression uses none of `names`, so that its value is known. Calls of functions that params do not have are not. */
export function isConstant(e: Expression, names: { has(name: string): boolean }): boolean {
  switch (e.kind) {
    case 'literal': return true;
    case 'name': return !names.has(e.name);
    case 'list': return e.items.every((item) => isConstant(item, names));
    case 'unary': return isConstant(e.operand, names);
    case 'binary': return isConstant(e.left, names) && isConstant(e.right, names);
    case 'conditional': return isConstant(e.condition, names) && isConstant(e.then, names) && isConstant(e.else, names);
    case 'call': return EXPRESSION_FUNCTIONS.has(e.name) && e.arguments.every((a) => isConstant(a, names));
    case 'index': return isConstant(e.value, names) && isConstant(e.index, names);
    default: return e satisfies never;
  }
}
