/** Two sessions of a model against each other: on two devices, with and without fusion, rounded and exact. */
import type { Session } from '../session.ts';
import { comparedOutputs } from './outputs.ts';
import { concat } from './record.ts';
import { difference, rowsOf, verdict, type ComparisonReport, type Difference, type Limits } from './report.ts';

const none = new Float32Array(0);

/** The same ids token by token, and in chunks of 5: their logits against those of one prefill. */
export async function agreement(session: Session, ids: readonly number[], logits: Float32Array, limits: Limits): Promise<Difference[]> {
  const results: Difference[] = [];
  for (const [name, chunk] of [['token by token', 1], ['in chunks of 5', 5]] as const) {
    session.rewind(0);
    const again = await session.feed(ids, { outputs: ['logits'], logitRows: ids.length, chunk });
    const found = again.outputs.get('logits') ?? none;
    // Logits as all others, whatever the way is called.
    results.push({ ...difference('logits', found, logits, limits, rowsOf(logits, ids.length)), name });
  }
  return results;
}

/** Runs `ids` on both sessions and compares every output; `steps` more tokens are chosen greedily by the first. */
export async function compareSessions(found: Session, expected: Session, ids: readonly number[], steps: number, limits: Limits | number): Promise<ComparisonReport> {
  const within = typeof limits === 'number' ? { tolerance: limits } : limits;
  const { layers, outputs: width, bidirectional } = expected.model;
  const names = comparedOutputs(layers).filter((name) => width > 0 || name !== 'logits');
  const feed = async (session: Session) => {
    session.rewind(0);
    return session.feed(ids, { outputs: names, logitRows: ids.length });
  };
  const [a, b] = [await feed(found), await feed(expected)];
  const outputs = names.filter((name) => b.outputs.has(name)).map((name) => {
    const want = b.outputs.get(name) ?? none;
    return difference(name, a.outputs.get(name) ?? none, want, within, rowsOf(want, ids.length));
  });
  const logits = a.outputs.get('logits');
  if (logits === undefined || bidirectional) return verdict(within, outputs, [], undefined);
  const choices: { expected: number[]; found: number[] } = { expected: [b.argmax], found: [a.argmax] };
  const rows: { a: Float32Array[]; b: Float32Array[] } = { a: [], b: [] };
  for (let i = 0; i < steps; i++) {
    const token = choices.expected[i] ?? 0;
    // A model whose logits are no numbers chooses nothing.
    if (token < 0) break;
    const [x, y] = [await found.feed([token], { outputs: ['logits'] }), await expected.feed([token], { outputs: ['logits'] })];
    choices.found.push(x.argmax);
    choices.expected.push(y.argmax);
    rows.a.push(x.outputs.get('logits') ?? none);
    rows.b.push(y.outputs.get('logits') ?? none);
  }
  if (rows.b.length > 0) outputs.push(difference('gen_logits', concat(rows.a), concat(rows.b), within, [rows.b.length, width]));
  const tokens = { ...choices, firstDifference: choices.expected.findIndex((id, i) => id !== choices.found[i]) };
  return verdict(within, outputs, await agreement(found, ids, logits, within), tokens);
}
