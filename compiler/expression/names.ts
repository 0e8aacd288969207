import type { Expression } from './types.ts';

/** Calls `visit` for every node, operands before operators. */
export function walkExpression(expression: Expression, visit: (node: Expression) => void): void {
  switch (expression.kind) {
    case 'literal': case 'name': break;
    case 'list': expression.items.forEach((item) => walkExpression(item, visit)); break;
    case 'unary': walkExpression(expression.operand, visit); break;
    case 'binary': walkExpression(expression.left, visit); walkExpression(expression.right, visit); break;
    case 'conditional':
      walkExpression(expression.condition, visit);
      walkExpression(expression.then, visit);
      walkExpression(expression.else, visit);
      break;
    case 'call': expression.arguments.forEach((argument) => walkExpression(argument, visit)); break;
    case 'index': walkExpression(expression.value, visit); walkExpression(expression.index, visit); break;
    default: expression satisfies never;
  }
  visit(expression);
}

/** The names an expression reads (not the functions it calls). */
export function expressionNames(expression: Expression): Set<string> {
  const names = new Set<string>();
  walkExpression(expression, (node) => {
    if (node.kind === 'name') names.add(node.name);
  });
  return names;
}
