/** How short the texts of a grammar can be. */
import type { Expression, Grammar } from './grammar.ts';

/** Gives the bytes of the shortest text that an expression of `grammar` matches; Infinity where none does. */
export function shortestTexts(grammar: Grammar): (e: Expression) => number {
  const rules = new Map<string, number>();
  const shortest = (e: Expression): number => {
    switch (e.kind) {
      case 'byte': return e.ranges.length > 0 ? 1 : Infinity;
      case 'sequence': return e.items.reduce((sum, item) => sum + shortest(item), 0);
      case 'choice': return e.items.reduce((least, item) => Math.min(least, shortest(item)), Infinity);
      case 'repeat': return e.min === 0 ? 0 : e.min * shortest(e.item);
      case 'rule': return rules.get(e.name) ?? Infinity;
      default: throw e satisfies never;
    }
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const [name, e] of grammar) {
      const bytes = shortest(e);
      if (bytes < (rules.get(name) ?? Infinity)) { rules.set(name, bytes); changed = true; }
    }
  }
  return shortest;
}
