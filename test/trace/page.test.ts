/** The trace's page: well-formed, complete in itself, and nothing in a token can become markup. */
import { createHash } from 'node:crypto';
import { Script } from 'node:vm';
import { inflateRawSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../runtime/model.ts';
import { tracePage } from '../../runtime/trace/page/page.ts';
import { traceModel, type Trace } from '../../runtime/trace/trace.ts';
import { goldenFolder } from '../support/model-folder.ts';
import type { PageData } from '../../runtime/trace/page/data.ts';

const ids = [5, 9, 2, 6, 5, 3, 5];
const model = await loadModel({ path: `${goldenFolder}/qwen3_moe` });
afterAll(() => model.dispose());
const plain = await traceModel(model, ids, { device: 'cpu', threads: 1, repetitions: 1 });

const nasty = ['</script><script>alert(1)</script>', '<b onclick="x">', '&amp;\'"', '<!--<script>', ']]>', '${x}`', '\u2028'];
const trace: Trace = {
  ...plain, model: 'a <b>model</b> & "more"', tokens: plain.tokens.map((token, n) => ({ ...token, text: nasty[n]! })),
  lens: plain.lens!.map(({ layer, guesses }) => ({ layer, guesses: guesses.map((list) => list.map((guess, n) => ({ ...guess, text: nasty[n]! }))) })),
};
const page = tracePage(trace);
const dataText = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)![1]!;
const data = JSON.parse(dataText) as PageData;
const code = /<script>(.*?)<\/script>/s.exec(page)![1]!;

/** Checks that tags are closed in order; gives their names. Of scripts and styles, nothing inside. */
function tags(html: string): string[] {
  const open: string[] = [];
  const all: string[] = [];
  const bare = html.replace(/(<(script|style)\b[^>]*>).*?(<\/\2>)/gs, '$1$3').replace('<!doctype html>', '');
  for (const [, end, name = '', rest = ''] of bare.matchAll(/<(\/?)([a-z0-9]+)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)\s*>/g)) {
    if (end === '/') expect(open.pop()).toBe(name);
    else {
      all.push(name);
      if (!['meta', 'input', 'br'].includes(name)) open.push(name);
      expect(rest).not.toMatch(/\s(on\w+|src|href)\s*=/);
    }
  }
  expect(open).toEqual([]);
  // Whatever is no tag has no angle bracket.
  expect(bare.replace(/<\/?[a-z0-9]+(?:\s+[a-z-]+(?:="[^"<>]*")?)*\s*>/g, '')).not.toMatch(/[<>]/);
  return all;
}

describe('a page with tokens that look like markup', () => {
  test('has its own elements only', () => {
    const names = tags(page);
    expect(names.filter((name) => name === 'script')).toHaveLength(2);
    expect(names).not.toContain('b onclick');
    expect(page.match(/<\/script/gi)).toHaveLength(2);
    expect(page).not.toContain('<b onclick');
    expect(page).toContain('<h1>a &lt;b&gt;model&lt;/b&gt; &amp; &quot;more&quot;</h1>');
    expect(dataText).not.toMatch(/[<>\u2028]/);
  });

  test('holds their texts as they are', () => {
    expect(data.tokens.map(({ text }) => text)).toEqual(nasty);
    expect(data.lens!.guesses[0]![0]!.map(([text]) => data.lens!.texts[text])).toEqual(nasty.slice(0, 5));
  });

  test('asks for nothing, and runs no script but its own, which is JavaScript', () => {
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|@import|url\(/);
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!.replaceAll('&#39;', "'");
    expect(policy).toBe(`default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${createHash('sha256').update(code).digest('base64')}'`);
    expect(() => new Script(code)).not.toThrow();
    expect(code).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
  });
});

test('every element that the script asks for is there', () => {
  const wanted = [...code.matchAll(/\$\('(\w+)'\)/g)].map(([, id]) => id!);
  expect(wanted.length).toBeGreaterThan(8);
  for (const id of wanted) expect(page).toContain(`id="${id}"`);
});

test('weights of attention are there, a byte each, head by head', () => {
  const bytes = inflateRawSync(Buffer.from(data.weights, 'base64'));
  const T = ids.length;
  const heads = data.maps.map((map) => map.heads.length);
  expect(data.maps).toHaveLength(model.model.layers.length);
  expect(bytes).toHaveLength(heads.reduce((a, b) => a + b) * T * T);
  const weights = plain.values.get('layers.1.attention.probs')!.data;
  const [query, key, head] = [5, 2, 1];
  const byte = bytes[(heads[0]! + head) * T * T + query * T + key]!;
  expect(byte).toBe(Math.round(255 * Math.sqrt(weights[(query * heads[1]! + head) * T + key]!)));
  expect(byte).toBeGreaterThan(0);
});

test('without a lens, attention, experts or times, their sections are not there', async () => {
  const bare = tracePage({ ...await traceModel(model, [3], { device: 'reference', kernels: false, lens: 0 }), layers: [] });
  expect(tags(bare)).toContain('h1');
  expect([...bare.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, text]) => text)).toEqual(['1 token', 'Residual stream']);
  expect([...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, text]) => text)).toEqual(['7 tokens', 'Logit lens', 'Attention', 'Residual stream', 'Experts', 'Kernels']);
});
