/** Takes out of a grammar what no text can match: a model must not be led where no end can be reached. */
import type { Expression, Grammar } from './grammar.ts';

/** Whether some finite text matches, given the rules of which that is known. */
function productive(e: Expression, known: ReadonlySet<string>): boolean {
  switch (e.kind) {
    case 'byte': return e.ranges.length > 0;
    case 'sequence': return e.items.every((item) => productive(item, known));
    case 'choice': return e.items.some((item) => productive(item, known));
    case 'repeat': return e.min === 0 || productive(e.item, known);
    case 'rule': return known.has(e.name);
    default: throw e satisfies never;
  }
}

function pruned(e: Expression, known: ReadonlySet<string>): Expression {
  switch (e.kind) {
    case 'byte': case 'rule': return e;
    case 'sequence': return { kind: 'sequence', items: e.items.map((item) => pruned(item, known)) };
    case 'choice': return { kind: 'choice', items: e.items.filter((item) => productive(item, known)).map((item) => pruned(item, known)) };
    case 'repeat': return productive(e.item, known) ? { ...e, item: pruned(e.item, known) } : { kind: 'sequence', items: [] };
    default: throw e satisfies never;
  }
}

function used(e: Expression, into: Set<string>): void {
  switch (e.kind) {
    case 'byte': return;
    case 'sequence': case 'choice': e.items.forEach((item) => used(item, into)); return;
    case 'repeat': used(e.item, into); return;
    case 'rule': into.add(e.name); return;
    default: throw e satisfies never;
  }
}

/** The grammar without what matches nothing, and without rules that `root` does not reach; undefined where nothing is left. */
export function prune(grammar: Grammar): Grammar | undefined {
  const known = new Set<string>();
  for (let before = -1; before < known.size;) {
    before = known.size;
    for (const [name, e] of grammar) if (!known.has(name) && productive(e, known)) known.add(name);
  }
  if (!known.has('root')) return undefined;
  const result = new Map<string, Expression>();
  for (const waiting = ['root']; waiting.length > 0;) {
    const name = waiting.pop() ?? '';
    const e = grammar.get(name);
    if (!e || result.has(name)) continue;
    const left = pruned(e, known);
    result.set(name, left);
    const names = new Set<string>();
    used(left, names);
    waiting.push(...names);
  }
  return result;
}
