import type { Expression } from './types.ts';

/** An expression as text that parses to the same tree. Every operation is in parentheses, except the outermost. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'literal': return printLiteral(expression.value);
    case 'name': return expression.name;
    case 'list': return `[${expression.items.map(printExpression).join(', ')}]`;
    case 'unary': return `${expression.operator}${operand(expression.operand)}`;
    case 'binary': return `${operand(expression.left)} ${expression.operator} ${operand(expression.right)}`;
    case 'conditional': return `${operand(expression.condition)} ? ${operand(expression.then)} : ${operand(expression.else)}`;
    case 'call': return `${expression.name}(${expression.arguments.map(printExpression).join(', ')})`;
    case 'index': return `${operand(expression.value)}[${printExpression(expression.index)}]`;
    default: return expression satisfies never;
  }
}

function operand(expression: Expression): string {
  const text = printExpression(expression);
  return expression.kind === 'unary' || expression.kind === 'binary' || expression.kind === 'conditional' ? `(${text})` : text;
}

function printLiteral(value: number | string | boolean | null): string {
  if (typeof value !== 'string') return String(value);
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}
