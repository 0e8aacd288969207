import type { ParamValue } from '../model.ts';
import { nearest } from '../nearest.ts';
import { EXPRESSION_FUNCTIONS, isList, power, same, typeName } from './functions.ts';
import type { BinaryOperator, Expression, ExpressionError, Span } from './types.ts';

/** Names an expression may use. `undefined` from `get` is a name that failed to get a value elsewhere: it poisons silently. */
export interface Scope {
  has(name: string): boolean;
  get(name: string): ParamValue | undefined;
  names(): Iterable<string>;
}

export type Evaluation =
  | { readonly ok: true; readonly value: ParamValue }
  /** Without an error where the reason has been reported already. */
  | { readonly ok: false; readonly error?: ExpressionError };

/**
 * The value of an expression. Total: every parsed expression gives a value or an error, never an exception, and takes time
 * proportional to its size. `&&`, `||`, `??` and `?:` evaluate only the side they need.
 */
export function evaluate(expression: Expression, scope: Scope): Evaluation {
  switch (expression.kind) {
    case 'literal':
      return done(expression.value);
    case 'name': {
      if (!scope.has(expression.name)) return { ok: false, error: unknownName(expression.name, expression.at, scope.names()) };
      const value = scope.get(expression.name);
      return value === undefined ? { ok: false } : done(value);
    }
    case 'list': {
      const values: ParamValue[] = [];
      for (const item of expression.items) {
        const result = evaluate(item, scope);
        if (!result.ok) return result;
        values.push(result.value);
      }
      return done(values);
    }
    case 'unary': {
      const operand = evaluate(expression.operand, scope);
      if (!operand.ok) return operand;
      if (expression.operator === '!') {
        return typeof operand.value === 'boolean' ? done(!operand.value) : fail(expression.operand.at, `! takes true or false, not ${typeName(operand.value)}`);
      }
      if (typeof operand.value !== 'number') return fail(expression.operand.at, `${expression.operator} takes a number, not ${typeName(operand.value)}`);
      return done(expression.operator === '-' ? -operand.value : operand.value);
    }
    case 'conditional': {
      const condition = evaluate(expression.condition, scope);
      if (!condition.ok) return condition;
      if (typeof condition.value !== 'boolean') return fail(expression.condition.at, `the condition must be true or false, not ${typeName(condition.value)}`);
      return evaluate(condition.value ? expression.then : expression.else, scope);
    }
    case 'index': {
      const value = evaluate(expression.value, scope);
      if (!value.ok) return value;
      const index = evaluate(expression.index, scope);
      return index.ok ? indexInto(value.value, index.value, expression) : index;
    }
    case 'call': {
      const fn = EXPRESSION_FUNCTIONS.get(expression.name);
      if (!fn) return { ok: false, error: unknownFunction(expression.name, expression.nameAt) };
      const values: ParamValue[] = [];
      for (const argument of expression.arguments) {
        const result = evaluate(argument, scope);
        if (!result.ok) return result;
        values.push(result.value);
      }
      if (values.length < fn.arity[0] || values.length > fn.arity[1]) {
        return { ok: false, error: { code: 'E405', message: `${expression.name} does not take ${values.length} arguments`, at: expression.at, hint: fn.signature } };
      }
      const result = fn.apply(values);
      return typeof result === 'string' ? fail(expression.at, result) : finite(result.value, expression.at);
    }
    case 'binary':
      return evaluateBinary(expression, scope);
    default:
      return expression satisfies never;
  }
}

export function unknownName(name: string, at: Span, known: Iterable<string>): ExpressionError {
  const close = nearest(name, known);
  return { code: 'E403', message: `no parameter is called \`${name}\``, at, ...(close === undefined ? {} : { hint: `did you mean \`${close}\`?` }) };
}

export function unknownFunction(name: string, at: Span): ExpressionError {
  const close = nearest(name, EXPRESSION_FUNCTIONS.keys());
  const known = [...EXPRESSION_FUNCTIONS.keys()].join(', ');
  return { code: 'E405', message: `there is no function \`${name}\``, at, hint: close === undefined ? `there are ${known}` : `did you mean \`${close}\`?` };
}

function evaluateBinary(expression: Extract<Expression, { kind: 'binary' }>, scope: Scope): Evaluation {
  const { operator } = expression;
  const left = evaluate(expression.left, scope);
  if (!left.ok) return left;
  if (operator === '??') return left.value === null ? evaluate(expression.right, scope) : left;
  if (operator === '&&' || operator === '||') {
    if (typeof left.value !== 'boolean') return fail(expression.left.at, `${operator} takes true or false, not ${typeName(left.value)}`);
    if (left.value === (operator === '||')) return left;
    const right = evaluate(expression.right, scope);
    if (right.ok && typeof right.value !== 'boolean') return fail(expression.right.at, `${operator} takes true or false, not ${typeName(right.value)}`);
    return right;
  }
  const right = evaluate(expression.right, scope);
  if (!right.ok) return right;
  if (operator === '==' || operator === '!=') return done(same(left.value, right.value) === (operator === '=='));
  if (typeof left.value !== 'number') return fail(expression.left.at, `${operator} takes numbers, not ${typeName(left.value)}`);
  if (typeof right.value !== 'number') return fail(expression.right.at, `${operator} takes numbers, not ${typeName(right.value)}`);
  return arithmetic(operator, left.value, right.value, expression.at);
}

type NumericOperator = Exclude<BinaryOperator, '&&' | '||' | '??' | '==' | '!='>;

function arithmetic(operator: NumericOperator, a: number, b: number, at: Span): Evaluation {
  switch (operator) {
    case '+': return finite(a + b, at);
    case '-': return finite(a - b, at);
    case '*': return finite(a * b, at);
    case '/': return b === 0 ? fail(at, `${a} is divided by 0`) : finite(a / b, at);
    case '//': return b === 0 ? fail(at, `${a} is divided by 0`) : finite(Math.floor(a / b), at);
    case '%': return b === 0 ? fail(at, `the remainder of ${a} by 0`) : finite(a - b * Math.floor(a / b), at);
    case '**': {
      const result = power(a, b);
      return typeof result === 'string' ? fail(at, result) : finite(result.value, at);
    }
    case '<': return done(a < b);
    case '<=': return done(a <= b);
    case '>': return done(a > b);
    case '>=': return done(a >= b);
    default: return operator satisfies never;
  }
}

/** Elements and keys that are not there are null, and so is anything of null: `a.b.c ?? default` is always safe. */
function indexInto(value: ParamValue, index: ParamValue, expression: Extract<Expression, { kind: 'index' }>): Evaluation {
  if (value === null || index === null) return done(null);
  if (isList(value)) {
    if (typeof index !== 'number' || !Number.isInteger(index)) return fail(expression.index.at, `a list is indexed by a whole number, not by ${typeName(index)}`);
    return done(value[index < 0 ? value.length + index : index] ?? null);
  }
  if (typeof value === 'object') {
    if (typeof index !== 'string') return fail(expression.index.at, `a map is indexed by a text, not by ${typeName(index)}`);
    return done(Object.prototype.hasOwnProperty.call(value, index) ? (value as Readonly<Record<string, ParamValue>>)[index] ?? null : null);
  }
  return fail(expression.value.at, `${typeName(value)} cannot be indexed`);
}

function finite(value: ParamValue, at: Span): Evaluation {
  return typeof value === 'number' && !Number.isFinite(value) ? fail(at, 'the result is not a finite number') : done(value);
}

function done(value: ParamValue): Evaluation {
  return { ok: true, value };
}

function fail(at: Span, message: string): Evaluation {
  return { ok: false, error: { code: 'E402', message, at } };
}
