import type { Diagnostic } from './diagnostics.ts';
import { locate, nodeAt, placeOf } from './source.ts';
import type { SourceNode } from './source.ts';
import { expressionPlace } from './resolve/context.ts';

/** Gives problems that know only their path (and the part of an expression there) the line and column in the spec. */
export function locateDiagnostics(root: SourceNode, diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.map((diagnostic) => {
    if (diagnostic.location) return diagnostic;
    const node = nodeAt(root, diagnostic.path);
    const place = node?.kind === 'scalar' && diagnostic.span ? expressionPlace(node, diagnostic.span) : placeOf(root, diagnostic.path).value;
    return { ...diagnostic, ...locate(place) };
  });
}
