/**
 * Filters: each takes ids, and gives those that stay. `logits` is f64[outputs] by id; -Infinity is a token that cannot be chosen.
 * Where two tokens are alike, the one with the lower id comes first.
 */

type Ids = Int32Array;

/** Most likely first. */
const byLogit = (logits: Float64Array) => (i: number, j: number): number => (logits[j] ?? 0) - (logits[i] ?? 0) || i - j;

function peakOf(ids: Ids, logits: Float64Array): number {
  let peak = -Infinity;
  for (const id of ids) if ((logits[id] ?? peak) > peak) peak = logits[id] ?? peak;
  return peak;
}

/** Those of `ids` for which something holds. A loop, because `filter` on typed arrays is slow. */
function where(ids: Ids, holds: (id: number) => boolean): Ids {
  const kept = new Int32Array(ids.length);
  let n = 0;
  for (const id of ids) if (holds(id)) kept[n++] = id;
  return kept.subarray(0, n);
}

/** The k largest, most likely first. */
export function topK(ids: Ids, logits: Float64Array, k: number): Ids {
  const compare = byLogit(logits);
  if (k * 8 >= ids.length) return ids.slice().sort(compare).subarray(0, k);
  // A few of many: the best so far, in order; most tokens are turned away by the last of them.
  const best: number[] = [];
  let least = -Infinity;
  for (const id of ids) {
    const logit = logits[id] ?? 0;
    if (best.length === k && (logit < least || compare(id, best[k - 1] ?? id) >= 0)) continue;
    let low = 0, high = best.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(id, best[middle] ?? id) < 0) high = middle;
      else low = middle + 1;
    }
    best.splice(low, 0, id);
    if (best.length > k) best.pop();
    if (best.length === k) least = logits[best[k - 1] ?? 0] ?? 0;
  }
  return Int32Array.from(best);
}

/** The fewest whose -ln p is nearest to the entropy H = -sum p ln p and that hold `p` together; nearest first. */
export function typical(ids: Ids, logits: Float64Array, p: number): Ids {
  const peak = peakOf(ids, logits);
  let total = 0;
  for (const id of ids) total += Math.exp((logits[id] ?? 0) - peak);
  const normaliser = peak + Math.log(total);
  const surprise = (id: number): number => normaliser - (logits[id] ?? 0);
  let entropy = 0;
  for (const id of ids) { const s = surprise(id); entropy += s * Math.exp(-s); }
  const distance = (id: number): number => Math.abs(surprise(id) - entropy);
  // Unlikely tokens are far from the entropy, and many: those near it are nearly always enough.
  for (const reach of [3, 8, Infinity]) {
    const order = where(ids, (id) => distance(id) <= reach).sort((i, j) => distance(i) - distance(j) || i - j);
    let sum = 0;
    const last = order.findIndex((id) => (sum += Math.exp(-surprise(id))) > p);
    if (last >= 0) return order.subarray(0, last + 1);
    if (order.length === ids.length) return order;
  }
  return ids;
}

/** The fewest most likely that hold at least `p` of what is left, most likely first. */
export function topP(ids: Ids, logits: Float64Array, p: number): Ids {
  const peak = peakOf(ids, logits);
  const weight = (id: number): number => Math.exp((logits[id] ?? 0) - peak);
  let total = 0;
  for (const id of ids) total += weight(id);
  // Sorting a whole vocabulary is slow, and the likely tokens are few: those within e^-8 of the best are nearly always enough.
  for (const spread of [8, 16, Infinity]) {
    const order = where(ids, (id) => (logits[id] ?? 0) >= peak - spread).sort(byLogit(logits));
    let sum = 0;
    const last = order.findIndex((id) => (sum += weight(id)) >= p * total);
    if (last >= 0) return order.subarray(0, last + 1);
    if (order.length === ids.length) return order; // Rounding kept the sum just below p.
  }
  return ids;
}

/** Those at least `p` times as likely as the most likely. */
export function minP(ids: Ids, logits: Float64Array, p: number): Ids {
  const least = peakOf(ids, logits) + Math.log(p);
  return where(ids, (id) => (logits[id] ?? 0) >= least);
}

/** Draws from softmax(logit / temperature) of `ids`; `random` gives one number in [0, 1). */
export function draw(ids: Ids, logits: Float64Array, temperature: number, random: () => number): number {
  const peak = peakOf(ids, logits);
  const weights = new Float64Array(ids.length);
  let total = 0, last = 0;
  for (let i = 0; i < ids.length; i++) {
    const w = Math.exp(((logits[ids[i] ?? 0] ?? 0) - peak) / temperature);
    weights[i] = w;
    total += w;
    if (w > 0) last = i;
  }
  let rest = random() * total;
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i] ?? 0;
    if (rest < 0) return ids[i] ?? -1;
  }
  // Rounding left a little: the last that can be drawn at all.
  return ids[last] ?? -1;
}
