/** `a.{q,k}.b` -> `a.q.b` with the choice q, `a.k.b` with the choice k. Without braces, the text itself. At most 1000 results. */
export function expandBraces(text: string): { readonly text: string; readonly choices: readonly string[] }[] {
  let results: { readonly text: string; readonly choices: readonly string[] }[] = [{ text: '', choices: [] }];
  let rest = text;
  for (;;) {
    const open = rest.indexOf('{');
    const close = open < 0 ? -1 : rest.indexOf('}', open);
    const literal = close < 0 ? rest : rest.slice(0, open);
    results = results.map((result) => ({ ...result, text: result.text + literal }));
    if (close < 0) return results;
    const options = rest.slice(open + 1, close).split(',').map((option) => option.trim());
    if (results.length * options.length <= 1000) {
      results = results.flatMap((result) => options.map((option) => ({ text: result.text + option, choices: [...result.choices, option] })));
    }
    rest = rest.slice(close + 1);
  }
}
