/** Where in the spec something of the model comes from, for messages. */
import type { Origin } from '../../../compiler/graph/types.ts';
import { locateDiagnostics } from '../../../compiler/locate.ts';
import type { CaseContext, Finding } from '../case.ts';

/** In words, `layers.1.attention.q (models/llama.yaml:20)`, and as the place that a finding names. */
export interface Where { readonly text: string; readonly finding: Pick<Finding, 'spec'> }

export async function whereOf(context: CaseContext, { label, path }: Origin): Promise<Where> {
  const { spec } = await context.compiled();
  const [placed] = spec && path !== undefined ? locateDiagnostics(spec.root, [{ code: '', severity: 'error', path, message: '' }]) : [];
  const location = placed?.location;
  return location ? { text: `${label} (${location.file}:${location.line})`, finding: { spec: location } } : { text: label, finding: {} };
}

/** At most `most` different texts of a list, and how many more there are. */
export function several(all: readonly string[], most = 4): string {
  const texts = [...new Set(all)];
  return texts.length <= most ? texts.join(', ') : `${texts.slice(0, most).join(', ')} and ${texts.length - most} more`;
}
