import type { BinaryOperator, Expression } from './types.ts';

/** How tightly operators bind; see the parser. Operands of a call, a list or an index stand alone. */
const BINDING: Readonly<Record<BinaryOperator, number>> = {
  '??': 2, '||': 3, '&&': 4, '==': 5, '!=': 5, '<': 6, '<=': 6, '>': 6, '>=': 6, '+': 7, '-': 7, '*': 8, '/': 8, '//': 8, '%': 8, '**': 10,
};
const CONDITIONAL = 1, UNARY = 9, TIGHTEST = 11;

/** An expression as text that parses to the same tree, with parentheses only where they are needed. */
export function spellExpression(expression: Expression): string {
  return spell(expression, 0);
}

/** `least`: how tightly the whole must bind to stand without parentheses. */
function spell(expression: Expression, least: number): string {
  const [text, binds] = plain(expression);
  return binds < least ? `(${text})` : text;
}

function plain(expression: Expression): readonly [string, number] {
  switch (expression.kind) {
    case 'literal': return [literal(expression.value), typeof expression.value === 'number' && expression.value < 0 ? UNARY : TIGHTEST];
    case 'name': return [expression.name, TIGHTEST];
    case 'list': return [`[${expression.items.map((item) => spell(item, 0)).join(', ')}]`, TIGHTEST];
    case 'unary': return [`${expression.operator}${spell(expression.operand, UNARY)}`, UNARY];
    case 'binary': {
      const binds = BINDING[expression.operator];
      // All levels lean to the left, but powers: their base stands alone, and their exponent may be a unary or another power.
      const [left, right] = expression.operator === '**' ? [TIGHTEST, UNARY] : [binds, binds + 1];
      return [`${spell(expression.left, left)} ${expression.operator} ${spell(expression.right, right)}`, binds];
    }
    case 'conditional': return [`${spell(expression.condition, CONDITIONAL + 1)} ? ${spell(expression.then, 0)} : ${spell(expression.else, 0)}`, CONDITIONAL];
    case 'call': return [`${expression.name}(${expression.arguments.map((argument) => spell(argument, 0)).join(', ')})`, TIGHTEST];
    case 'index': return [`${spell(expression.value, TIGHTEST)}[${spell(expression.index, 0)}]`, TIGHTEST];
    default: return expression satisfies never;
  }
}

function literal(value: number | string | boolean | null): string {
  if (typeof value !== 'string') return String(value);
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}
