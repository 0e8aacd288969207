/** What `agree` finds in sessions that are wrong: no spec makes one, so that these are made by hand. */
import { expect, it } from 'vitest';
import { causal } from '../../runtime/graph-tests/expect/agree/causal.ts';
import { sequences } from '../../runtime/graph-tests/expect/agree/sequences.ts';
import type { Trial } from '../../runtime/graph-tests/expect/agree/trial.ts';

/** A session whose logits are `row(ids, position, runs before)`. */
function trial(row: (ids: readonly number[], position: number, run: number) => number): Trial {
  let runs = 0;
  const fake: Pick<Trial, 'ids' | 'rows'> & { session: () => Promise<unknown>; rowsOf: (session: unknown, ids?: readonly number[]) => Promise<unknown> } = {
    ids: [3, 1, 4, 1, 5, 9], rows: 'logits',
    session: () => Promise.resolve({ model: { vocab: 10 } }),
    rowsOf: (_session, ids = [3, 1, 4, 1, 5, 9]) => {
      const run = runs++;
      return Promise.resolve({ data: Float32Array.from(ids, (_id, position) => row(ids, position, run)), shape: [ids.length, 1] });
    },
  };
  return fake as unknown as Trial;
}

const past = (ids: readonly number[], position: number): number => ids.slice(0, position + 1).reduce((sum, id) => sum + id, 0);

it('finds what a sequence leaves behind', async () => {
  expect(await sequences(trial(past))).toEqual([]);
  expect(await sequences(trial((ids, position, run) => past(ids, position) + (run === 2 && position === 1 ? 1 : 0)))).toEqual([
    { kind: 'failed', at: '/sequences', message: '3 tokens give other logits in a session that ran another sequence before: 6 in place of 5 at token 1' },
  ]);
});

it('finds a token that is seen too early, and one that is not seen', async () => {
  expect(await causal(trial(past), true)).toEqual([]);
  const early = trial((ids, position) => past(ids, position) + (ids[position + 1] ?? 0) / 1024);
  expect(await causal(early, true)).toEqual([{ kind: 'failed', at: '/causal', message: expect.stringMatching(/^another token at position 5 changes the logits of position 4: /) as string }]);
  expect(await causal(trial((ids, position) => past(ids, position) + (ids[position + 1] ?? 0) / 1024), 0.1)).toEqual([]);
  expect(await causal(trial(past), false)).toMatchObject([{ message: 'wanted later tokens to have a say in earlier logits, they have none: the model is causal' }]);
  expect(await causal(trial((ids) => ids.length), true)).toMatchObject([{ message: 'another token at position 5 changes nothing at all, not even its own logits' }]);
});
