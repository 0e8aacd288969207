import { tokenize } from './lexer.ts';
import type { Token } from './lexer.ts';
import type { BinaryOperator, Expression, ExpressionError, Span } from './types.ts';

/** Deepest tree, so that nothing that recurses over an expression overflows. */
const DEEPEST_EXPRESSION = 100;
const LONGEST_EXPRESSION = 10_000;

/** Binary operators from the loosest to the tightest; each level associates to the left, except `**`. */
const LEVELS: readonly (readonly BinaryOperator[])[] = [
  ['??'], ['||'], ['&&'], ['==', '!='], ['<', '<=', '>', '>='], ['+', '-'], ['*', '/', '//', '%'],
];

export type ParsedExpression =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly error: ExpressionError };

/**
 * Parses one expression:
 * `a ? b : c`, `?? || && == != < <= > >= + - * / // % **`, unary `- + !`, `f(x, y)`, `a[i]`, `a.key`, `[x, y]`, numbers, 'strings', true, false, null.
 */
export function parseExpression(text: string): ParsedExpression {
  if (text.length > LONGEST_EXPRESSION) {
    return { ok: false, error: { code: 'E401', message: `the expression has ${text.length} characters, at most ${LONGEST_EXPRESSION} are read`, at: { start: 0, end: 1 } } };
  }
  const tokens = tokenize(text);
  if (!Array.isArray(tokens)) return { ok: false, error: tokens };
  try {
    const parser = new Parser(tokens);
    return { ok: true, expression: parser.whole() };
  } catch (error) {
    if (error instanceof ParseFailure) return { ok: false, error: error.error };
    throw error;
  }
}

class ParseFailure extends Error {
  constructor(readonly error: ExpressionError) {
    super(error.message);
  }
}

interface Deep {
  readonly node: Expression;
  readonly depth: number;
}

class Parser {
  private position = 0;
  private open = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  whole(): Expression {
    const { node } = this.conditional();
    const next = this.peek();
    if (next.kind !== 'end') this.fail(next, `${describe(next)} does not belong here; the expression could end before it`);
    return node;
  }

  private conditional(): Deep {
    const condition = this.nested(() => this.binary(0));
    if (!this.accept('?')) return condition;
    const then = this.nested(() => this.conditional());
    this.expect(':', 'a conditional is `condition ? a : b`');
    const otherwise = this.nested(() => this.conditional());
    const at = { start: condition.node.at.start, end: otherwise.node.at.end };
    return this.grow({ kind: 'conditional', condition: condition.node, then: then.node, else: otherwise.node, at }, condition, then, otherwise);
  }

  private binary(level: number): Deep {
    const operators = LEVELS[level];
    if (!operators) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      const next = this.peek();
      const operator = next.kind === 'symbol' ? operators.find((candidate) => candidate === next.symbol) : undefined;
      if (operator === undefined) return left;
      this.position++;
      const right = this.binary(level + 1);
      const at = { start: left.node.at.start, end: right.node.at.end };
      left = this.grow({ kind: 'binary', operator, left: left.node, right: right.node, at }, left, right);
    }
  }

  private unary(): Deep {
    const token = this.peek();
    if (token.kind === 'symbol' && (token.symbol === '-' || token.symbol === '+' || token.symbol === '!')) {
      const operator = token.symbol;
      this.position++;
      const operand = this.nested(() => this.unary());
      return this.grow({ kind: 'unary', operator, operand: operand.node, at: { start: token.at.start, end: operand.node.at.end } }, operand);
    }
    return this.power();
  }

  /** `-a ** b` is -(a ** b); `a ** -b` and `a ** b ** c` = a ** (b ** c) are allowed. */
  private power(): Deep {
    const base = this.postfix();
    if (!this.accept('**')) return base;
    const exponent = this.nested(() => this.unary());
    const at = { start: base.node.at.start, end: exponent.node.at.end };
    return this.grow({ kind: 'binary', operator: '**', left: base.node, right: exponent.node, at }, base, exponent);
  }

  private postfix(): Deep {
    let value = this.primary();
    for (;;) {
      if (this.accept('[')) {
        const index = this.nested(() => this.conditional());
        const end = this.expect(']', 'the index is not closed');
        value = this.grow({ kind: 'index', value: value.node, index: index.node, at: { start: value.node.at.start, end: end.end } }, value, index);
      } else if (this.accept('.')) {
        const key = this.peek();
        if (key.kind !== 'name') this.fail(key, `a name must follow the dot, not ${describe(key)}`);
        this.position++;
        const index: Expression = { kind: 'literal', value: key.name, at: key.at };
        value = this.grow({ kind: 'index', value: value.node, index, at: { start: value.node.at.start, end: key.at.end } }, value);
      } else return value;
    }
  }

  private primary(): Deep {
    const token = this.peek();
    switch (token.kind) {
      case 'number': case 'string':
        this.position++;
        return { node: { kind: 'literal', value: token.value, at: token.at }, depth: 1 };
      case 'name':
        this.position++;
        return this.named(token.name, token.at);
      case 'symbol':
        if (token.symbol === '(') {
          this.position++;
          const inside = this.nested(() => this.conditional());
          const end = this.expect(')', 'the parenthesis is not closed');
          return { node: { ...inside.node, at: { start: token.at.start, end: end.end } }, depth: inside.depth };
        }
        if (token.symbol === '[') {
          this.position++;
          const { items, end } = this.sequence(']');
          return this.grow({ kind: 'list', items: items.map((item) => item.node), at: { start: token.at.start, end } }, ...items);
        }
        return this.fail(token, `a value is missing before ${describe(token)}`);
      case 'end':
        return this.fail(token, this.tokens.length === 1 ? 'the expression is empty' : 'the expression ends where a value is missing');
      default:
        return token satisfies never;
    }
  }

  private named(name: string, at: Span): Deep {
    if (name === 'true' || name === 'false') return { node: { kind: 'literal', value: name === 'true', at }, depth: 1 };
    if (name === 'null') return { node: { kind: 'literal', value: null, at }, depth: 1 };
    if (!this.accept('(')) return { node: { kind: 'name', name, at }, depth: 1 };
    const { items, end } = this.sequence(')');
    return this.grow({ kind: 'call', name, arguments: items.map((item) => item.node), at: { start: at.start, end }, nameAt: at }, ...items);
  }

  private sequence(close: ')' | ']'): { items: Deep[]; end: number } {
    const items: Deep[] = [];
    for (;;) {
      const next = this.peek();
      if (next.kind === 'symbol' && next.symbol === close) {
        this.position++;
        return { items, end: next.at.end };
      }
      if (items.length > 0) this.expect(',', `a comma or ${close} is missing`);
      items.push(this.nested(() => this.conditional()));
    }
  }

  private grow(node: Expression, ...children: readonly Deep[]): Deep {
    const depth = 1 + children.reduce((most, child) => Math.max(most, child.depth), 0);
    if (depth > DEEPEST_EXPRESSION) this.fail({ at: node.at }, `the expression nests more than ${DEEPEST_EXPRESSION} operations; name parts of it as params`);
    return { node, depth };
  }

  private nested(parse: () => Deep): Deep {
    if (++this.open > DEEPEST_EXPRESSION) this.fail(this.peek(), `the expression nests more than ${DEEPEST_EXPRESSION} deep`);
    const result = parse();
    this.open--;
    return result;
  }

  private peek(): Token {
    const token = this.tokens[this.position];
    return token ?? { kind: 'end', at: { start: 0, end: 0 } };
  }

  private accept(symbol: string): boolean {
    const token = this.peek();
    if (token.kind !== 'symbol' || token.symbol !== symbol) return false;
    this.position++;
    return true;
  }

  private expect(symbol: string, message: string): Span {
    const token = this.peek();
    if (!this.accept(symbol)) this.fail(token, `${message}: expected ${symbol}, found ${describe(token)}`);
    return token.at;
  }

  private fail(where: { readonly at: Span }, message: string): never {
    throw new ParseFailure({ code: 'E401', message, at: where.at });
  }
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'number': return `the number ${token.value}`;
    case 'string': return `the text '${token.value.slice(0, 40)}'`;
    case 'name': return `\`${token.name.slice(0, 40)}\``;
    case 'symbol': return `\`${token.symbol}\``;
    case 'end': return 'the end';
    default: return token satisfies never;
  }
}
