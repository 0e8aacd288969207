/** A matcher of our grammars that is slow and plain: what the fast one is compared with. */
import { formatDiagnostic, PeelError } from '../../../compiler/diagnostics.ts';
import type { Expression, Grammar } from '../../../runtime/constrain/grammar.ts';

/** Whether the whole of `text` matches. */
export function matches(grammar: Grammar, text: Uint8Array): boolean {
  /** Ends of what matches `e` from `at` on. */
  const ends = (e: Expression, at: number): ReadonlySet<number> => {
    switch (e.kind) {
      case 'byte': return new Set(at < text.length && e.ranges.some(([a, b]) => (text[at] ?? -1) >= a && (text[at] ?? -1) <= b) ? [at + 1] : []);
      case 'sequence': {
        let places = new Set([at]);
        for (const item of e.items) places = new Set([...places].flatMap((p) => [...ends(item, p)]));
        return places;
      }
      case 'choice': return new Set(e.items.flatMap((item) => [...ends(item, at)]));
      case 'repeat': {
        const found = new Set<number>(e.min === 0 ? [at] : []);
        let places = new Set([at]);
        const seen = new Set<number>();
        for (let n = 1; n <= e.max && places.size > 0; n++) {
          places = new Set([...places].flatMap((p) => [...ends(e.item, p)]).filter((p) => n <= e.min || !seen.has(p)));
          if (n >= e.min) for (const p of places) { found.add(p); seen.add(p); }
        }
        return found;
      }
      case 'rule': {
        const body = grammar.get(e.name);
        if (!body) throw new Error(`no rule ${e.name}`);
        return ends(body, at);
      }
      default: throw e satisfies never;
    }
  };
  return ends({ kind: 'rule', name: 'root' }, 0).has(text.length);
}

export function problemOf(work: () => unknown): string {
  try {
    work();
    return 'fine';
  } catch (error) {
    return error instanceof PeelError ? error.diagnostics.map((d) => formatDiagnostic(d)).join('\n') : `internal: ${String(error)}`;
  }
}

/** A random text that matches, as bytes; short where there is a choice. */
export function randomText(grammar: Grammar, random: () => number, patience = 400): Uint8Array {
  const out: number[] = [];
  let left = patience;
  const shortest = new Map<string, number>();
  const cost = (e: Expression): number => {
    switch (e.kind) {
      case 'byte': return 1;
      case 'sequence': return e.items.reduce((n, item) => n + cost(item), 0);
      case 'choice': return Math.min(...e.items.map(cost));
      case 'repeat': return e.min * (e.min === 0 ? 0 : cost(e.item));
      case 'rule': return shortest.get(e.name) ?? 1e6;
      default: throw e satisfies never;
    }
  };
  for (let round = 0; round < 12; round++) for (const [name, e] of grammar) shortest.set(name, Math.min(1e6, cost(e)));
  const write = (e: Expression): void => {
    left--;
    switch (e.kind) {
      case 'byte': {
        const [a = 0, b = 0] = e.ranges[Math.floor(random() * e.ranges.length)] ?? [];
        out.push(a + Math.floor(random() * (b - a + 1)));
        return;
      }
      case 'sequence': e.items.forEach(write); return;
      case 'choice': {
        const least = Math.min(...e.items.map(cost));
        const items = left > 0 ? e.items : e.items.filter((item) => cost(item) === least);
        const item = items[Math.floor(random() * items.length)];
        if (item) write(item);
        return;
      }
      case 'repeat': {
        const most = left > 0 ? Math.min(e.max, e.min + 4) : e.min;
        const n = e.min + Math.floor(random() * (most - e.min + 1));
        for (let i = 0; i < n; i++) write(e.item);
        return;
      }
      case 'rule': { const body = grammar.get(e.name); if (body) write(body); return; }
      default: throw e satisfies never;
    }
  };
  write({ kind: 'rule', name: 'root' });
  return Uint8Array.from(out);
}
