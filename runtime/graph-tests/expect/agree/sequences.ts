/** What a sequence gives depends on nothing that the session ran before: not on a longer sequence, nor on their order. Exactly. */
import type { Finding } from '../../case.ts';
import { failed } from '../expectation.ts';
import type { Trial } from './trial.ts';

export async function sequences(trial: Trial): Promise<readonly Finding[]> {
  const session = await trial.session();
  const long = trial.ids;
  // Other tokens, and fewer, so that rows of the longer one stay behind in the state.
  const short = long.slice(0, Math.ceil(long.length / 2)).reverse();
  const order = [short, long, short, long];
  const runs: Float32Array[] = [];
  for (const ids of order) runs.push((await trial.rowsOf(session, ids)).data);
  return [0, 1].flatMap((which) => {
    const [ids = [], first = new Float32Array(0), again = new Float32Array(0)] = [order[which], runs[which], runs[which + 2]];
    const at = again.findIndex((x, i) => !Object.is(x, first[i]));
    if (at < 0) return [];
    const token = Math.floor(at / (first.length / ids.length));
    return [failed(`${ids.length} tokens give other ${trial.rows} in a session that ran another sequence before: ${again[at] ?? NaN} in place of ${first[at] ?? NaN} at token ${token}`, '/sequences')];
  });
}
