/** Causality: another token changes nothing before it, and something from it on. */
import type { Finding } from '../../case.ts';
import { failed } from '../expectation.ts';
import type { Trial } from './trial.ts';

/**
 * true: nothing, exactly. A number: nothing beyond that tolerance, where a device adds in an order that depends on the other rows of a step, as with
 * experts that take their tokens together. false: later tokens do have a say in earlier ones, as in an encoder.
 */
export async function causal(trial: Trial, wanted: boolean | number): Promise<readonly Finding[]> {
  const session = await trial.session();
  const { ids } = trial;
  const { vocab } = session.model;
  const { data: before } = await trial.rowsOf(session);
  const width = before.length / ids.length;
  // Backwards, so that where several tokens leak the last one is reported first.
  const places = [...new Set([ids.length - 1, Math.floor(ids.length / 2), 1])];
  let leaks = false;
  for (const place of places) {
    const other = ids.map((id, i) => (i === place ? (id + 1) % vocab : id));
    const { data: after } = await trial.rowsOf(session, other);
    if (after.every((x, i) => Object.is(x, before[i]))) return [failed(`another token at position ${place} changes nothing at all, not even its own ${trial.rows}`, '/causal')];
    const limit = typeof wanted === 'number' ? wanted * Math.max(1, rootMeanSquare(before)) : 0;
    const changed = after.findIndex((x, i) => i < place * width && !Object.is(x, before[i]) && !(Math.abs(x - (before[i] ?? NaN)) <= limit));
    leaks ||= changed >= 0;
    if (wanted !== false && changed >= 0) {
      const row = Math.floor(changed / width);
      return [failed(`another token at position ${place} changes the ${trial.rows} of position ${row}: ${before[changed] ?? NaN} becomes ${after[changed] ?? NaN}`, '/causal')];
    }
  }
  return wanted !== false || leaks ? [] : [failed(`wanted later tokens to have a say in earlier ${trial.rows}, they have none: the model is causal`, '/causal')];
}

function rootMeanSquare(data: Float32Array): number {
  let sum = 0;
  for (const x of data) sum += x * x;
  return Math.sqrt(sum / Math.max(1, data.length));
}
