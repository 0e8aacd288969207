import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { StopStrings } from '../../../runtime/generation/stop-strings.ts';

function run(stops: readonly string[], pieces: readonly string[]): { pieces: string[]; stop?: string } {
  const watch = new StopStrings(stops);
  const given: string[] = [];
  for (const piece of pieces) {
    const { text, stop } = watch.push(piece);
    given.push(text);
    if (stop !== undefined) return { pieces: given, stop };
  }
  return { pieces: [...given, watch.end()] };
}

describe('stop strings', () => {
  it('holds text back only while it may become one', () => {
    expect(run(['END'], ['a', 'E', 'N', 'x', 'EN', 'D', 'y'])).toEqual({ pieces: ['a', '', '', 'ENx', '', ''], stop: 'END' });
    expect(run(['END'], ['EN'])).toEqual({ pieces: ['', 'EN'] });
    expect(run([], ['a', 'b'])).toEqual({ pieces: ['a', 'b', ''] });
    expect(run(['aab'], ['a', 'a', 'a', 'b'])).toEqual({ pieces: ['', '', 'a', ''], stop: 'aab' });
    expect(run(['b', 'bc'], ['abc'])).toEqual({ pieces: ['a'], stop: 'bc' });
    expect(run(['x', 'abcx'], ['a', 'b', 'cx'])).toEqual({ pieces: ['', '', ''], stop: 'abcx' });
  });
  it('gives the text before the first stop string, however it is cut', () => {
    const letters = fc.constantFrom('a', 'b', 'c');
    fc.assert(fc.property(fc.array(fc.array(letters, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }), fc.array(fc.array(letters, { maxLength: 4 }), { maxLength: 12 }), (stopLists, pieceLists) => {
      const stops = stopLists.map((s) => s.join('')), pieces = pieceLists.map((s) => s.join(''));
      const all = pieces.join('');
      const found = stops.map((s) => all.indexOf(s)).filter((i) => i >= 0);
      const { pieces: given, stop } = run(stops, pieces);
      // A stop string may be complete before a longer one that began earlier is: then the text ends at the former.
      const text = given.join('');
      if (found.length === 0) expect([text, stop]).toEqual([all, undefined]);
      else {
        expect(stop).toBeDefined();
        expect(all.startsWith(text + (stop ?? ''))).toBe(true);
        expect(stops.some((s) => text.includes(s))).toBe(false);
      }
    }));
  });
});
