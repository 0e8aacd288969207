/** Token by token and in chunks gives what one prefill gives. */
import type { Finding } from '../../case.ts';
import { failed } from '../expectation.ts';
import { apart } from './apart.ts';
import type { Trial } from './trial.ts';

const CHUNKS = [{ size: 1, name: 'token by token' }, { size: 5, name: 'in chunks of 5' }] as const;

export async function decode(trial: Trial, tolerance: number): Promise<readonly Finding[]> {
  if (trial.bidirectional) return [failed('the model is bidirectional: it reads a sequence in one step', '/decode')];
  const session = await trial.session();
  const { data: expected, shape } = await trial.rowsOf(session);
  const findings: Finding[] = [];
  for (const { size, name } of CHUNKS) {
    const found = await trial.rowsOf(session, trial.ids, size);
    const wrong = apart(trial.rows, found.data, expected, shape, tolerance);
    if (wrong !== undefined) findings.push(failed(`${name} and in one prefill: ${wrong}`, '/decode'));
  }
  return findings;
}
