/**
 * Whether two replies to a prompt agree. A greedy reply is decided at every token, and two computations that round differently decide differently
 * where two logits are nearly equal; from there on the texts are different ones. So: equal; or near ties, where Peel, fed the other's reply, finds every
 * token of it (the first that differs among them) nearly as likely as the likeliest; or DIFFERENT.
 *
 * Distances are in standard deviations of the logits (over the vocabulary), so that they mean the same in every model.
 */

/**
 * How near is near, by what rounds differently.
 *
 * `inputs`: inputs of products in 8 bits, in blocks of 32, on at least one side (Peel's default on the CPU; llama.cpp always). On SmolLM2-135M that moves
 * Peel's logits by 0.04 to 0.05 in root mean square against its own f32 inputs (every run prints this), and as much again in another program, on
 * other tokens: the difference of two logits by sqrt(2) times that. The limit is three times as much, 3 * sqrt(2) * 0.05.
 * `order`: f32 throughout, only sums are in another order: the tests hold the NMSE of a model's logits below 1e-8, 1e-4 in root mean square; ten times that.
 * `none`: the same operations in the same order, whatever the number of threads.
 */
export const limits = { inputs: 0.2, order: 1e-3, none: 0 };

/** `difference`: what Peel says of its first difference with the other reply, if there is one. `most`: tokens that both were to write at most. */
export function verdict(own, other, difference, limit, most) {
  if (own.ids.join() !== other.ids.join()) return { word: 'DIFFERENT', why: 'the prompts have other ids', idsEqual: false, equal: 0 };
  const length = Math.min(own.tokens.length, other.tokens.length);
  if (difference === undefined) {
    if (length < most && own.tokens.length !== other.tokens.length) return { word: 'DIFFERENT', why: 'one ends where the other goes on', idsEqual: true, equal: length };
    return { word: 'equal', idsEqual: true, equal: length };
  }
  const distance = Math.max(difference.gap / difference.deviation, ...difference.behind);
  return { word: distance <= limit ? 'near tie' : 'DIFFERENT', idsEqual: true, equal: difference.at, distance };
}

const mean = (row) => row.reduce((x, y) => x + y, 0) / row.length;

export function deviationOf(row) {
  const middle = mean(row);
  return Math.sqrt(row.reduce((sum, x) => sum + (x - middle) ** 2, 0) / row.length);
}

/** By how much the logits of `a` are from those of `b`: root mean square, in deviations of `b`'s. A constant added to all of them changes nothing. */
export function distanceOf(a, b) {
  const [ma, mb] = [mean(a), mean(b)];
  const error = b.reduce((sum, x, i) => sum + (a[i] - ma - (x - mb)) ** 2, 0);
  return Math.sqrt(error / b.length) / deviationOf(b);
}
