/**
 * The conformance suite: each case is declared once, as a small graph, and run on every backend against the reference.
 * Activations come from a table looked up by the ids of the step, so that a case needs nothing but a graph. Shapes are odd on
 * purpose: dimensions that divide by nothing, one row, one column, more rows than a tile.
 */
import { attentionCases } from './attention-cases.ts';
import { elementwiseCases } from './elementwise-cases.ts';
import { linearCases } from './linear-cases.ts';
import { rowCases } from './row-cases.ts';
import type { ConformanceCase } from './case.ts';

export function conformanceCases(): readonly ConformanceCase[] {
  return [...elementwiseCases(), ...rowCases(), ...linearCases(), ...attentionCases()];
}
