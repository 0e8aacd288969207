/** The bytes of all tokens of a vocabulary as a tree, so that what many tokens begin with is read once. */
import { dead, type Automaton } from './automaton.ts';

export interface TokenTrie {
  /** Nodes in the order in which they are visited: each in front of those below it. [nodes] */
  readonly bytes: Uint8Array;
  /** Bytes in front of the node's. [nodes] */
  readonly depths: Uint16Array;
  /** The first node that is not below this one. [nodes] */
  readonly after: Int32Array;
  /** `ids[from[n]]` to in front of `ids[from[n + 1]]` are the tokens that end at node n. [nodes + 1] */
  readonly from: Int32Array;
  readonly ids: Int32Array;
  /** Bytes of the longest token. */
  readonly longest: number;
}

/** `tokens`: bytes by id; those without bytes are left out. */
export function tokenTrie(tokens: ReadonlyMap<number, Uint8Array>): TokenTrie {
  const list = [...tokens].filter(([, { length }]) => length > 0);
  const most = list.reduce((sum, [, { length }]) => sum + length, 1);
  // As it grows: node 0 is in front of all; each has a first child, and each child a next one. 0: none.
  const byteOf = new Uint8Array(most), child = new Int32Array(most), sibling = new Int32Array(most);
  // Tokens that end at a node, each with the next one, by their place in the list plus 1.
  const ending = new Int32Array(most), another = new Int32Array(list.length + 1);
  // [256 * 256] the node of the first two bytes: the lists of children are long there.
  const beginnings = new Int32Array(1 << 16);
  let made = 1;
  list.forEach(([, text], place) => {
    const beginning = text.length < 2 ? -1 : ((text[0] ?? 0) << 8) | (text[1] ?? 0);
    let node = beginnings[beginning] ?? 0;
    for (let depth = node === 0 ? 0 : 2; depth < text.length; depth++) {
      const b = text[depth] ?? 0;
      let next = child[node] ?? 0;
      while (next !== 0 && byteOf[next] !== b) next = sibling[next] ?? 0;
      if (next === 0) {
        next = made++;
        byteOf[next] = b;
        sibling[next] = child[node] ?? 0;
        child[node] = next;
      }
      node = next;
      if (depth === 1) beginnings[beginning] = node;
    }
    another[place + 1] = ending[node] ?? 0;
    ending[node] = place + 1;
  });

  const nodes = made - 1;
  const bytes = new Uint8Array(nodes), depths = new Uint16Array(nodes), after = new Int32Array(nodes), from = new Int32Array(nodes + 1);
  const ids = new Int32Array(list.length);
  let at = 0, ended = 0, longest = 0;
  const place = (node: number, depth: number): void => {
    for (let next = child[node] ?? 0; next !== 0; next = sibling[next] ?? 0) {
      const here = at++;
      bytes[here] = byteOf[next] ?? 0;
      depths[here] = depth;
      for (let token = ending[next] ?? 0; token !== 0; token = another[token] ?? 0) ids[ended++] = list[token - 1]?.[0] ?? 0;
      from[here + 1] = ended;
      longest = Math.max(longest, depth + 1);
      place(next, depth + 1);
      after[here] = at;
    }
  };
  place(0, 0);
  return { bytes, depths, after, from, ids, longest };
}

/** Sets bit id % 32 of word id / 32 of `mask` for each token that can follow in a state. */
export function markAllowed(trie: TokenTrie, automaton: Automaton, state: number, mask: Int32Array): void {
  const { bytes, depths, after, from, ids, longest } = trie;
  const { classOf, classes } = automaton;
  const states = new Int32Array(longest + 1);
  states[0] = state;
  let { table } = automaton;
  for (let node = 0; node < bytes.length;) {
    const depth = depths[node] ?? 0;
    const before = states[depth] ?? dead, byteClass = classOf[bytes[node] ?? 0] ?? 0;
    let next = table[before * classes + byteClass] ?? dead;
    if (next < 0) {
      next = automaton.step(before, byteClass);
      table = automaton.table;
    }
    if (next === dead) { node = after[node] ?? bytes.length; continue; }
    states[depth + 1] = next;
    const end = from[node + 1] ?? 0;
    for (let i = from[node] ?? 0; i < end; i++) {
      const id = ids[i] ?? 0;
      mask[id >> 5] = (mask[id >> 5] ?? 0) | (1 << (id & 31));
    }
    node++;
  }
}
