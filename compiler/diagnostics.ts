/** What is wrong with a user's input, in terms of that input. Collected, never thrown one at a time. */

export type Severity = 'error' | 'warning';

/** A place in a text file. Lines and columns count from 1; `offset` counts UTF-16 units from 0. */
export interface Location {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly offset?: number;
  readonly length?: number;
}

export interface Diagnostic {
  /** Stable identifier such as `E204`; the first digit names the stage (1 syntax, 2 schema, 3 rule, 4 expression, 5 reference, 6 shape, 7 weights, 8 tokenizer, 9 device). */
  readonly code: string;
  readonly severity: Severity;
  /** JSON pointer into the spec, such as `/layers/residual/0/attention/heads`. */
  readonly path: string;
  /** One sentence: what is wrong, with what was found and what was expected. */
  readonly message: string;
  readonly location?: Location;
  /** Part of the text at `path`, where that is an expression and `location` is not known yet. */
  readonly span?: { readonly start: number; readonly end: number };
  /** The text of the line that `location` names, for the caret excerpt. */
  readonly sourceLine?: string;
  /** What to do about it, such as the nearest known name. */
  readonly hint?: string;
}

/** Exit codes of the command line. */
export const ExitCode = {
  done: 0, failed: 1, usage: 2, spec: 10, weights: 11, tokenizer: 12, device: 13, fileSystem: 14, internal: 70,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A user's mistake that stops the work. Carries every diagnostic found, and the exit code that the command line gives. */
export class PeelError extends Error {
  override readonly name = 'PeelError';
  constructor(readonly exitCode: ExitCode, readonly diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((d) => formatDiagnostic(d)).join('\n'));
  }
}

/** A mistake of ours: an invariant of the pass or stage `where` does not hold. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
  constructor(readonly where: string, message: string, readonly dump?: string) {
    super(`${where}: ${message}`);
  }
}

/** `file:line:col CODE /path message; hint`, and under it the source line with a caret when `excerpt` is set. */
export function formatDiagnostic(d: Diagnostic, excerpt = false): string {
  const at = d.location ? `${d.location.file}:${d.location.line}:${d.location.column} ` : '';
  const head = printable(`${at}${d.code} ${d.path === '' ? '/' : d.path} ${d.message}${d.hint ? `; ${d.hint}` : ''}`);
  if (!excerpt || d.sourceLine === undefined || !d.location) return head;
  const width = Math.max(1, Math.min(d.location.length ?? 1, d.sourceLine.length - d.location.column + 1));
  const gutter = `${d.location.line} | `;
  return `${head}\n${gutter}${d.sourceLine}\n${' '.repeat(gutter.length + d.location.column - 1)}${'^'.repeat(width)}`;
}

/** A text in one line: control characters, which names in files may hold, by their numbers. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);
}

/** Problems listed before the rest is only counted. */
export const MOST_DIAGNOSTICS = 50;

/** Errors first, and each file's from top to bottom; files stay in the order in which they first come up, what has no place comes last. */
export function orderDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const files = [...new Set(diagnostics.map((d) => d.location?.file))];
  const rank = ({ severity, location }: Diagnostic): readonly number[] =>
    [severity === 'error' ? 0 : 1, location ? files.indexOf(location.file) : files.length, location?.line ?? 0, location?.column ?? 0];
  return diagnostics.map((d) => ({ d, key: rank(d) }))
    .sort((a, b) => a.key.map((part, n) => part - (b.key[n] ?? 0)).find((difference) => difference !== 0) ?? 0)
    .map(({ d }) => d);
}

/** At most 50 problems, and how many more there are. */
export function capDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const ordered = orderDiagnostics(diagnostics);
  if (ordered.length <= MOST_DIAGNOSTICS) return ordered;
  const last = ordered[MOST_DIAGNOSTICS - 1];
  const more = ordered.length - MOST_DIAGNOSTICS + 1;
  if (!last) return ordered;
  return [...ordered.slice(0, MOST_DIAGNOSTICS - 1), { code: last.code, severity: last.severity, path: last.path, message: `and ${more} more problems` }];
}
