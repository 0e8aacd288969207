/** The outputs that every comparison looks at, and what recordings call them. */

/** The graph's name for a recorded tensor: hidden.0 is the embeddings, hidden.{i} the output of layer i - 1, the last one the final norm's. */
export function outputName(recorded: string, layers: number): string | undefined {
  if (recorded === 'logits' || recorded === 'embeddings') return recorded;
  if (recorded === 'last_hidden') return 'final';
  const index = /^hidden\.(\d+)$/.exec(recorded)?.[1];
  if (index === undefined) return undefined;
  const i = Number(index);
  return i === 0 ? 'embeddings' : i < layers ? `hidden.${i - 1}` : i === layers ? 'final' : undefined;
}

/** Outputs that comparisons look at, in the order of computation. */
export function comparedOutputs(layers: number): string[] {
  return ['embeddings', ...Array.from({ length: layers }, (_, i) => `hidden.${i}`), 'final', 'logits'];
}
