/**
 * Filters: each takes ids, and gives those that stay. `logits` is f64[outputs] by id; -Infinity is a token that cannot be chosen.
 * Where two tokens are alike, the one with the lower id comes first.
 */

/** Most likely first. */
const byLogit = (logits: Float64Array) => (i: number, j: number): number => (logits[j] ?? 0) - (logits[i] ?? 0) || i - j;

function peakOf(ids: readonly number[], logits: Float64Array): number {
  let peak = -Infinity;
  for (const id of ids) if ((logits[id] ?? peak) > peak) peak = logits[id] ?? peak;
  return peak;
}

/** The k largest, most likely first. */
export function topK(ids: readonly number[], logits: Float64Array, k: number): readonly number[] {
  const compare = byLogit(logits);
  if (k * 8 >= ids.length) return [...ids].sort(compare).slice(0, k);
  // A few of many: the best so far, in order; most tokens are turned away by the last of them.
  const best: number[] = [];
  for (const id of ids) {
    if (best.length === k && compare(id, best[k - 1] ?? id) >= 0) continue;
    let low = 0, high = best.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(id, best[middle] ?? id) < 0) high = middle;
      else low = middle + 1;
    }
    best.splice(low, 0, id);
    if (best.length > k) best.pop();
  }
  return best;
}

/** The fewest whose -ln p is nearest to the entropy H = -sum p ln p and that hold `p` together; nearest first. */
export function typical(ids: readonly number[], logits: Float64Array, p: number): readonly number[] {
  const peak = peakOf(ids, logits);
  let total = 0;
  for (const id of ids) total += Math.exp((logits[id] ?? 0) - peak);
  const logTotal = Math.log(total);
  const surprise = new Map(ids.map((id) => [id, peak + logTotal - (logits[id] ?? 0)]));
  let entropy = 0;
  for (const s of surprise.values()) entropy += s === Infinity ? 0 : s * Math.exp(-s);
  const distance = (id: number): number => Math.abs((surprise.get(id) ?? 0) - entropy);
  const order = [...ids].sort((i, j) => distance(i) - distance(j) || i - j);
  let sum = 0;
  const last = order.findIndex((id) => (sum += Math.exp(-(surprise.get(id) ?? 0))) > p);
  return last < 0 ? order : order.slice(0, last + 1);
}

/** The fewest most likely that hold at least `p` of what is left, most likely first. */
export function topP(ids: readonly number[], logits: Float64Array, p: number): readonly number[] {
  const peak = peakOf(ids, logits);
  const weight = (id: number): number => Math.exp((logits[id] ?? 0) - peak);
  let total = 0;
  for (const id of ids) total += weight(id);
  // Sorting a whole vocabulary is slow, and the likely tokens are few: those within e^-8 of the best are nearly always enough.
  for (const spread of [8, 16, Infinity]) {
    const order = ids.filter((id) => (logits[id] ?? 0) >= peak - spread).sort(byLogit(logits));
    let sum = 0;
    const last = order.findIndex((id) => (sum += weight(id)) >= p * total);
    if (last >= 0) return order.slice(0, last + 1);
    if (order.length === ids.length) return order; // Rounding kept the sum just below p.
  }
  return ids;
}

/** Those at least `p` times as likely as the most likely. */
export function minP(ids: readonly number[], logits: Float64Array, p: number): readonly number[] {
  const least = peakOf(ids, logits) + Math.log(p);
  return ids.filter((id) => (logits[id] ?? 0) >= least);
}

/** Draws from softmax(logit / temperature) of `ids`; `random` gives one number in [0, 1). */
export function draw(ids: readonly number[], logits: Float64Array, temperature: number, random: () => number): number {
  const peak = peakOf(ids, logits);
  const weights = ids.map((id) => Math.exp(((logits[id] ?? 0) - peak) / temperature));
  let total = 0;
  for (const w of weights) total += w;
  let rest = random() * total;
  for (const [i, w] of weights.entries()) {
    rest -= w;
    if (rest < 0) return ids[i] ?? -1;
  }
  // Rounding left a little: the last that can be drawn at all.
  return ids[weights.findLastIndex((w) => w > 0)] ?? -1;
}
