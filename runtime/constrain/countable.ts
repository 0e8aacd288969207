/**
 * Grammars in which each round of a repetition takes text. `(?:a?b?){2,5}` is `(?:ab?|b){0,5}`: what may be empty can be left out, so such a
 * repetition has no lower limit. Rounds can then be counted while a text is read, and no more of them are open than the text has bytes.
 */
import { choice, empty, repeat, rule, sequence, type Expression, type Grammar } from './grammar.ts';
import { shortestTexts } from './shortest.ts';

const nothing: Expression = { kind: 'choice', items: [] };

export function countable(grammar: Grammar): Grammar {
  const shortest = shortestTexts(grammar);
  const nullable = (e: Expression): boolean => shortest(e) === 0;
  const rules = new Map<string, Expression>();
  /** Rules for what `body` matches but the empty text, by the rule or expression that they come from. */
  const full = new Map<string | Expression, string>();
  const fullRule = (key: string | Expression, body: Expression): Expression => {
    let name = full.get(key);
    if (name === undefined) {
      name = `full${full.size}`;
      full.set(key, name);
      rules.set(name, nothing);
      rules.set(name, withoutEmpty(body));
    }
    return rule(name);
  };

  /** The same texts, with countable repetitions. */
  const whole = (e: Expression): Expression => {
    switch (e.kind) {
      case 'byte': case 'rule': return e;
      case 'sequence': return { kind: 'sequence', items: e.items.map(whole) };
      case 'choice': return { kind: 'choice', items: e.items.map(whole) };
      // A rule, so that it is not written out in each of the places that nested repetitions make of it.
      case 'repeat': return e.max === 0 ? empty : nullable(e.item) ? repeat(fullRule(e.item, e.item), 0, e.max) : repeat(whole(e.item), e.min, e.max);
      default: throw e satisfies never;
    }
  };

  /** What `e` matches but the empty text. */
  const withoutEmpty = (e: Expression): Expression => {
    if (!nullable(e)) return whole(e);
    switch (e.kind) {
      case 'byte': return e;
      case 'rule': return fullRule(e.name, grammar.get(e.name) ?? nothing);
      case 'choice': return { kind: 'choice', items: e.items.map(withoutEmpty) };
      case 'repeat': {
        if (e.max === 0) return nothing;
        return nullable(e.item) ? repeat(fullRule(e.item, e.item), 1, e.max) : repeat(whole(e.item), 1, e.max);
      }
      case 'sequence': {
        // One of the items is the first that is not empty.
        const items: Expression[] = [];
        let rest: Expression = empty;
        for (const item of e.items.toReversed()) {
          items.push(sequence(withoutEmpty(item), rest));
          rest = sequence(whole(item), rest);
          // What follows the first, the second, ... stands in two places each.
          if (e.items.length > 2) {
            const name = `after${rules.size}`;
            rules.set(name, rest);
            rest = rule(name);
          }
        }
        return items.length === 0 ? nothing : choice(...items.reverse());
      }
      default: throw e satisfies never;
    }
  };

  for (const [name, e] of grammar) rules.set(name, whole(e));
  return rules;
}
