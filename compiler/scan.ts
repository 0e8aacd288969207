import { CST, Lexer } from 'yaml';

export interface ScanLimits {
  readonly nesting: number;
  readonly scalars: number;
}
export interface ScanFinding {
  readonly kind: 'deep' | 'many' | 'directive' | 'tag' | 'document';
  readonly offset: number;
  readonly length: number;
}

/**
 * What must be known of YAML text before a composer, which recurses, sees it: one pass over the lexer's tokens.
 * Nesting is followed with a stack of columns: a block node is inside every node that starts on a smaller column and has not ended;
 * brackets are counted. Stops at the first text that is too deep or too much.
 */
export function scan(text: string, limits: ScanLimits): ScanFinding[] {
  const found: ScanFinding[] = [];
  const columns: number[] = [];
  let brackets = 0;
  let scalars = 0;
  let offset = 0;
  let lineStart = 0;
  let content = false;
  /** Whether the next token with content starts a node: at a line's beginning and after `- `, `? ` and `: `. */
  let fresh = true;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    switch (type) {
      case 'scalar':
        // A mark that announces a scalar; not part of the text.
        if (++scalars > limits.scalars) return [...found, { kind: 'many', offset, length: 1 }];
        continue;
      case 'doc-mode': case 'flow-error-end':
        continue;
      case 'newline':
        lineStart = offset + token.length;
        if (brackets === 0) fresh = true;
        break;
      case 'directive-line': case 'tag':
        if (found.length < 50) found.push({ kind: type === 'tag' ? 'tag' : 'directive', offset, length: token.length });
        break;
      case 'doc-start': case 'doc-end':
        if (content && type === 'doc-start' && found.length < 50) found.push({ kind: 'document', offset, length: token.length });
        content ||= type === 'doc-end';
        break;
      case 'space': case 'comment': case 'anchor': case 'comma': case 'byte-order-mark':
        break;
      case 'flow-map-start': case 'flow-seq-start':
        brackets++;
        content = true;
        fresh = false;
        break;
      case 'flow-map-end': case 'flow-seq-end':
        brackets = Math.max(0, brackets - 1);
        break;
      default:
        content = true;
        if (brackets === 0 && fresh) {
          const column = offset - lineStart;
          while (columns.length > 0 && (columns[columns.length - 1] ?? 0) >= column) columns.pop();
          columns.push(column);
        }
        fresh = type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind';
        // A block scalar or a quoted text may span lines.
        if (token.includes('\n')) {
          lineStart = offset + token.lastIndexOf('\n') + 1;
          if (brackets === 0) fresh = true;
        }
    }
    if (columns.length + brackets > limits.nesting) return [...found, { kind: 'deep', offset, length: 1 }];
    offset += token.length;
  }
  return found;
}
