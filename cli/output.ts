/** What the command line writes: results to stdout, everything else to stderr. */
import { describeQuantisation, type QuantisationChoice } from '../compiler/quantise-choice.ts';
import { ExitCode, formatDiagnostic, InternalError, orderDiagnostics, PeelError, type Diagnostic } from '../compiler/diagnostics.ts';

/** Exit code for an error, after saying what it is: one line a problem, without a stack. */
export function reportError(error: unknown, options: { json: boolean }): ExitCode {
  if (error instanceof PeelError) {
    if (options.json) writeJson({ ok: false, exitCode: error.exitCode, diagnostics: error.diagnostics });
    reportDiagnostics(error.diagnostics);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  const where = error instanceof InternalError ? error.where : error instanceof Error ? error.name : 'error';
  if (options.json) writeJson({ ok: false, exitCode: ExitCode.internal, diagnostics: [], internal: message });
  process.stderr.write(`E000 / this is a mistake in Peel, not in your input: ${error instanceof InternalError ? message : `${where}: ${message}`}\n`);
  if (process.env.PEEL_DEBUG && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n${error instanceof InternalError ? error.dump ?? '' : ''}\n`);
  else process.stderr.write('set PEEL_DEBUG=1 to see where, and please report it\n');
  return ExitCode.internal;
}

/** Diagnostics with their excerpts, in the order in which they are fixed. */
export function reportDiagnostics(diagnostics: readonly Diagnostic[]): void {
  for (const d of orderDiagnostics(diagnostics)) process.stderr.write(`${d.severity === 'warning' ? 'warning: ' : ''}${formatDiagnostic(d, true)}\n`);
}

/** One JSON object on stdout. Numbers that JSON lacks become null. */
export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, (_key, v: unknown) => (v instanceof Map ? Object.fromEntries(v) : ArrayBuffer.isView(v) ? Array.from(v as Float32Array) : v))}\n`);
}

export function line(text = ''): void {
  process.stdout.write(`${text}\n`);
}
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Rows as columns: numbers to the right, text to the left. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? '').length)));
  const right = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || /^([<>]?[-\d.,]+([eE][-+]?\d+)?( ?[kKMGT]?i?B)?)?$/.test(String(row[i]))));
  return cells.map((row) => row.map((cell, i) => (right[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ').trimEnd());
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0, value = n;
  while (value >= 1024 && i < units.length - 1) { value /= 1024; i++; }
  return `${i === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[i] ?? ''}`;
}

/** A short number: 0, 1.2e-7, 0.35. */
export function short(x: number): string {
  if (x === 0 || Number.isNaN(x)) return String(x);
  return Math.abs(x) >= 1e-3 && Math.abs(x) < 1e4 ? x.toPrecision(3) : x.toExponential(1);
}

/** What --quantize did, in one line. */
export function noteQuantisation(choice: QuantisationChoice | undefined): void {
  if (choice) note(describeQuantisation(choice));
}

/** What --quantize did, for --json. */
export function quantisationResult(choice: QuantisationChoice | undefined): Readonly<Record<string, unknown>> {
  return choice ? { quantisation: { format: choice.wanted, weights: choice.forms.size, kept: choice.kept, unmatched: choice.unmatched, already: choice.already, fallbacks: choice.fallbacks, bytes: choice.bytes } } : {};
}
