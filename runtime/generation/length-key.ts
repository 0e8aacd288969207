/** Rotary scaling that depends on the sequence's length: keys rotated for one length do not serve another. */
import type { Model, RopeScaling } from '../../compiler/model.ts';

/** A text that is equal for lengths that a model rotates alike; undefined where the length never matters. */
export function lengthKey(model: Model): ((length: number) => string) | undefined {
  const scalings: RopeScaling[] = model.layers.flatMap((layer) => layer.steps.flatMap((step) => step.branches.flatMap(({ body }) =>
    ((body.kind === 'attention' || body.kind === 'mla') && body.position.kind === 'rope' ? [body.position.scaling] : []))));
  /** The base frequency grows with each token past the original context. */
  const dynamic = new Set(scalings.flatMap((s) => (s.type === 'dynamic' ? [s.originalContext] : [])));
  /** Two sets of frequencies, for lengths up to the original context and beyond. */
  const switching = new Set(scalings.flatMap((s) => (s.type === 'longrope' ? [s.originalContext] : [])));
  if (dynamic.size + switching.size === 0) return undefined;
  return (length) => [...[...dynamic].map((n) => Math.max(n, length)), ...[...switching].map((n) => length > n)].join();
}
