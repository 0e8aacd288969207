/** The expressions of a grammar as nodes of which equal ones are the same object, over classes of bytes that no expression tells apart. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { Expression, Grammar } from './grammar.ts';
import { shortestTexts } from './shortest.ts';

export type Node =
  | { readonly id: number; readonly kind: 'empty' }
  /** [classes], 1 where a byte of the class matches. */
  | { readonly id: number; readonly kind: 'byte'; readonly has: Uint8Array }
  | { readonly id: number; readonly kind: 'pair'; readonly first: Node; readonly second: Node }
  | { readonly id: number; readonly kind: 'choice'; readonly items: readonly Node[] }
  | RepeatNode
  | { readonly id: number; readonly kind: 'rule'; readonly name: string };

/** `bytes`: the fewest that a round takes, at least 1. */
export interface RepeatNode { readonly id: number; readonly kind: 'repeat'; readonly item: Node; readonly min: number; readonly max: number; readonly bytes: number }

/** Bytes at the beginning of alternatives that are looked at. */
const mostShared = 200;

export class Nodes {
  /** [256] the class of each byte. */
  readonly classOf: Uint8Array;
  readonly classes: number;
  readonly empty: Node = { id: 0, kind: 'empty' };
  private readonly known = new Map<string, Node>();
  private readonly bodies: ReadonlyMap<string, Node>;
  private made = 1;

  /** `grammar`: a countable one. */
  constructor(grammar: Grammar) {
    const cuts = new Uint8Array(257);
    for (const e of grammar.values()) markCuts(e, cuts);
    this.classOf = new Uint8Array(256);
    for (let b = 1, c = 0; b < 256; b++) this.classOf[b] = (c += cuts[b] ?? 0);
    this.classes = (this.classOf[255] ?? 0) + 1;
    const shortest = shortestTexts(grammar);
    this.bodies = new Map([...grammar].map(([name, e]) => [name, this.of(e, shortest)]));
  }

  /** What a rule stands for. */
  body(name: string): Node {
    const body = this.bodies.get(name);
    if (!body) throw new InternalError('constraint', `there is no rule ${name}`);
    return body;
  }

  repeat(item: Node, min: number, max: number, bytes: number): Node {
    return this.intern(`r${item.id},${min},${max}`, (id) => ({ id, kind: 'repeat', item, min, max, bytes }));
  }

  private of(e: Expression, shortest: (e: Expression) => number): Node {
    switch (e.kind) {
      case 'byte': {
        const ranges = e.ranges.map(([from, to]) => `${from}-${to}`).join();
        return this.intern(`b${ranges}`, (id) => {
          const has = new Uint8Array(this.classes);
          for (const [from, to] of e.ranges) for (let b = from; b <= to; b++) has[this.classOf[b] ?? 0] = 1;
          return { id, kind: 'byte', has };
        });
      }
      case 'sequence': {
        let all = this.empty;
        for (const item of e.items.toReversed()) all = this.pair(this.of(item, shortest), all);
        return all;
      }
      case 'choice': return this.choice(e.items.map((item) => this.of(item, shortest)));
      case 'repeat': return e.max === 0 ? this.empty : this.repeat(this.of(e.item, shortest), e.min, e.max, Math.max(1, shortest(e.item)));
      case 'rule': return this.intern(`n${e.name}`, (id) => ({ id, kind: 'rule', name: e.name }));
      default: throw e satisfies never;
    }
  }

  /** What all alternatives with the same beginning begin with is written once: of thousands of words, or characters, few are open at a time. */
  private choice(all: readonly Node[], depth = 0): Node {
    const groups = new Map<Node, Node[]>();
    for (const node of new Set(all)) {
      const shared = depth < mostShared && (node.kind === 'byte' || (node.kind === 'pair' && node.first.kind === 'byte'));
      const [first, rest] = shared && node.kind === 'pair' ? [node.first, node.second] : [node, this.empty];
      const group = groups.get(first);
      if (group) group.push(rest);
      else groups.set(first, [rest]);
    }
    const items = [...groups].map(([first, rests]) => this.pair(first, rests.length === 1 ? rests[0] ?? this.empty : this.choice(rests, depth + 1)));
    const [only] = items;
    return items.length === 1 && only ? only : this.intern(`c${items.map((item) => item.id).join(',')}`, (id) => ({ id, kind: 'choice', items }));
  }

  private pair(first: Node, second: Node): Node {
    if (first.kind === 'empty') return second;
    if (second.kind === 'empty') return first;
    return this.intern(`p${first.id},${second.id}`, (id) => ({ id, kind: 'pair', first, second }));
  }

  private intern(key: string, make: (id: number) => Node): Node {
    let node = this.known.get(key);
    if (!node) this.known.set(key, node = make(this.made++));
    return node;
  }
}

/** Marks the bytes at which a range begins, or behind which one ends. */
function markCuts(e: Expression, cuts: Uint8Array): void {
  switch (e.kind) {
    case 'byte': for (const [from, to] of e.ranges) cuts[from] = cuts[to + 1] = 1; return;
    case 'sequence': case 'choice': for (const item of e.items) markCuts(item, cuts); return;
    case 'repeat': markCuts(e.item, cuts); return;
    case 'rule': return;
    default: throw e satisfies never;
  }
}
