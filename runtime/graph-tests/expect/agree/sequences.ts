/** What a sequence gives depends on nothing that the session ran before: not on a longer sequence, nor on their order. Exactly. */
import type { Finding } from '../../case.ts';
import { failed } from '../expectation.ts';
import type { Trial } from './trial.ts';

export async function sequences(trial: Trial): Promise<readonly Finding[]> {
  const session = await trial.session();
  const long = trial.ids;
  // Other tokens, and fewer, so that rows of the longer one stay behind in the state.
  const short = long.slice(0, Math.ceil(long.length / 2)).reverse();
  const first = { short: await trial.rowsOf(session, short), long: await trial.rowsOf(session, long) };
  const again = { short: await trial.rowsOf(session, short), long: await trial.rowsOf(session, long) };
  return (['short', 'long'] as const).flatMap((which) => {
    const at = again[which].findIndex((x, i) => !Object.is(x, first[which][i]));
    if (at < 0) return [];
    const length = (which === 'short' ? short : long).length;
    return [failed(`a sequence of ${length} tokens gives other ${trial.rows} in a session that ran another one before: ${again[which][at] ?? NaN} in place of ${first[which][at] ?? NaN} at token ${Math.floor(at / (first[which].length / length))}`, '/sequences')];
  });
}
