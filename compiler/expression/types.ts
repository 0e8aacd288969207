/**
 * Expressions: total, without loops or side effects. Their size is bounded by their text, their nesting by the parser.
 * The same grammar serves scalar expressions in specs and tensor expressions in custom blocks.
 */

/** Where in the expression's text a node stands, in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type UnaryOperator = '-' | '+' | '!';
export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**' | '<' | '<=' | '>' | '>=' | '==' | '!=' | '&&' | '||' | '??';

export type Expression =
  | { readonly kind: 'literal'; readonly value: number | string | boolean | null; readonly at: Span }
  | { readonly kind: 'name'; readonly name: string; readonly at: Span }
  | { readonly kind: 'list'; readonly items: readonly Expression[]; readonly at: Span }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression; readonly at: Span }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression; readonly at: Span }
  | { readonly kind: 'conditional'; readonly condition: Expression; readonly then: Expression; readonly else: Expression; readonly at: Span }
  | { readonly kind: 'call'; readonly name: string; readonly arguments: readonly Expression[]; readonly at: Span; readonly nameAt: Span }
  /** `value[index]`; `value.key` is `value['key']`. */
  | { readonly kind: 'index'; readonly value: Expression; readonly index: Expression; readonly at: Span };

/** What is wrong with an expression, and where in its text. */
export interface ExpressionError {
  readonly code: 'E401' | 'E402' | 'E403' | 'E405';
  readonly message: string;
  readonly at: Span;
  readonly hint?: string;
}
