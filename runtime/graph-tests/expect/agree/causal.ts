/** Causality: another token changes nothing before it, exactly, and something from it on. */
import type { Finding } from '../../case.ts';
import { failed } from '../expectation.ts';
import type { Trial } from './trial.ts';

/** `wanted` false: later tokens do have a say in earlier ones, as in an encoder. */
export async function causal(trial: Trial, wanted: boolean): Promise<readonly Finding[]> {
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
    const changed = after.findIndex((x, i) => !Object.is(x, before[i]));
    if (changed < 0) return [failed(`another token at position ${place} changes nothing at all, not even its own ${trial.rows}`, '/causal')];
    const row = Math.floor(changed / width);
    leaks ||= row < place;
    if (wanted && row < place) {
      return [failed(`another token at position ${place} changes the ${trial.rows} of position ${row}: ${before[changed] ?? NaN} becomes ${after[changed] ?? NaN}`, '/causal')];
    }
  }
  return wanted || leaks ? [] : [failed(`wanted later tokens to have a say in earlier ${trial.rows}, they have none: the model is causal`, '/causal')];
}
