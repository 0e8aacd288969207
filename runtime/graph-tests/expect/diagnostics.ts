/** `diagnostics: [{ code, path, message }]`: exactly these, in any order. */
import { formatDiagnostic, type Diagnostic } from '../../../compiler/diagnostics.ts';
import type { Finding } from '../case.ts';
import { expectation, failed } from './expectation.ts';

interface WantedDiagnostic { readonly code: string; readonly path?: string; readonly message?: string }

export const diagnostics = expectation<readonly WantedDiagnostic[]>('diagnostics', async (context, wanted) => {
  const left = [...(await context.compiled()).diagnostics];
  const findings: Finding[] = [];
  const missing: { readonly one: WantedDiagnostic; readonly at: string }[] = [];
  // Those that say most first, so that a bare code takes what nothing else asks for.
  const order = wanted.map((one, index) => ({ one, at: `/${index}` })).sort((a, b) => Object.keys(b.one).length - Object.keys(a.one).length);
  for (const { one, at } of order) {
    const found = left.findIndex((d) => matches(d, one));
    if (found >= 0) left.splice(found, 1);
    else missing.push({ one, at });
  }
  for (const { one, at } of missing) {
    const near = left.find((d) => d.code === one.code) ?? left.find((d) => d.path === one.path);
    findings.push(failed(`wanted ${describe(one)}, found ${near ? formatDiagnostic(near) : 'nothing like it'}`, at));
  }
  const explained = new Set(missing.map(({ one }) => left.find((d) => d.code === one.code) ?? left.find((d) => d.path === one.path)));
  for (const d of left) if (!explained.has(d)) findings.push({ ...failed(`found one that is not wanted: ${formatDiagnostic(d)}`), ...(d.location ? { spec: d.location } : {}) });
  return findings;
});

function matches(found: Diagnostic, wanted: WantedDiagnostic): boolean {
  return found.code === wanted.code && (wanted.path === undefined || found.path === wanted.path)
    && (wanted.message === undefined || `${found.message}; ${found.hint ?? ''}`.includes(wanted.message));
}

function describe({ code, path, message }: WantedDiagnostic): string {
  return `${code}${path === undefined ? '' : ` at ${path === '' ? '/' : path}`}${message === undefined ? '' : ` saying '${message}'`}`;
}
