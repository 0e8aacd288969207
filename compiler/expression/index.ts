export { evaluate, unknownFunction, unknownName } from './evaluate.ts';
export type { Evaluation, Scope } from './evaluate.ts';
export { EXPRESSION_FUNCTIONS, isList, typeName } from './functions.ts';
export { expressionNames, walkExpression } from './names.ts';
export { parseExpression } from './parser.ts';
export type { ParsedExpression } from './parser.ts';
export { printExpression } from './print.ts';
export { spellExpression } from './spell.ts';
export type { BinaryOperator, Expression, ExpressionError, Span, UnaryOperator } from './types.ts';
