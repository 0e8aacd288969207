/** peel trace, as a user runs it. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '../../runtime/weights/safetensors.ts';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { golden, peel, prepare } from './peel.ts';

const folder = temporaryFolder();
beforeAll(prepare);
afterAll(() => folder.remove());
const llama = golden('llama');

describe('peel trace', () => {
  it('prints what fits in 120 columns, and writes the page and the values', async () => {
    const [html, save] = [path.join(folder.path, 'trace.html'), path.join(folder.path, 'values.safetensors')];
    const { code, out, err } = await peel('trace', 'nano-deepseek', '--prompt', 'ROMEO: What light', '--threads', '2', '--html', html, '--save', save, '--tap', 'layers.0.*.q');
    expect(err).toMatch(/values saved to .*\n.*the page is /);
    expect(code).toBe(0);
    for (const title of ['residual stream: ', 'attention: entropy', 'experts: ', 'logit lens: ', 'kernels, in ms: ']) expect(out).toContain(`\n${title}`);
    const [head = '', ...lines] = out.split('\n');
    expect(head).toMatch(/^deepseek_v3 on cpu: /);
    // Sentences may be longer: terminals break them.
    const rows = lines.filter((line) => !line.includes(': '));
    expect(Math.max(...rows.map((line) => [...line].length))).toBeLessThanOrEqual(120);
    expect(readFileSync(html, 'utf8')).toMatch(/<h1>nano-deepseek<\/h1>[\s\S]*<\/html>\n$/);
    const saved = await openSafetensors(save);
    const shapes = Object.fromEntries([...saved.tensors].map(([name, { shape, dtype }]) => [name, `${dtype} ${shape.join('x')}`]));
    const tokens = Number(/F32 (\d+)x/.exec(shapes.embeddings ?? '')?.[1]);
    expect(shapes).toMatchObject({ input_ids: `I32 ${tokens}`, 'layers.0.attention.probs': `F32 ${tokens}x4x${tokens}`, 'layers.1.ffn.choice': `I32 ${tokens}x2`, 'layers.0.attention.q': expect.stringMatching(`F32 ${tokens}x4x`) as string, 'lens.3.top': `I32 ${tokens}x5` });
    await saved.dispose();
  });

  it('gives all numbers as JSON, on the reference too', async () => {
    const { code, out } = await peel('trace', llama, '--ids', '1,2,3', '--device', 'reference', '--repeat', '1', '--lens', '2', '--json');
    expect(code).toBe(0);
    const trace = JSON.parse(out) as { ok: boolean; tokens: { id: number; text: string }[]; layers: { steps: unknown[] }[]; lens: { guesses: unknown[][] }[]; kernels: { how: string; prompt: { rows: { kind: string }[] } }; values: Record<string, number[]> };
    expect(trace).toMatchObject({ ok: true, tokens: [{ id: 1, text: '#1' }, { id: 2 }, { id: 3 }], kernels: { how: 'a clock read after each operator' }, values: { 'layers.0.attention.probs': [3, 4, 3] } });
    expect(trace.lens[0]?.guesses[2]).toHaveLength(2);
    expect(trace.kernels.prompt.rows.some(({ kind }) => kind === 'softmax')).toBe(true);
  });

  it.each<[string, string[], number, RegExp]>([
    ['nothing to read', [llama], 2, /there is nothing to read; give --prompt TEXT, or --ids 1,2,3/],
    ['too long a text', ['nano-gpt', '--prompt', 'to be or not to be '.repeat(100)], 2, /the text has \d+ tokens, a trace takes at most 256/],
    ['a value that is not there', [llama, '--ids', '1', '--tap', 'layers.*.attn.q', '--save', 'x.safetensors'], 2, /E030.*no value of the model fits.*did you mean `layers\.\*\.attention\.q`/],
    ['a tap that goes nowhere', [llama, '--ids', '1', '--tap', 'logits'], 2, /--tap needs --save FILE/],
    ['a context', [llama, '--ids', '1', '--context', '64'], 2, /--context is not for traces/],
    ['a page that cannot be written', [llama, '--ids', '1', '--no-kernels', '--html', 'no/such/folder/x.html'], 14, /E721.*cannot be written/],
    ['a spec without weights', ['test/specs/gated.yaml', '--ids', '1'], 10, /E501/],
  ])('says what is wrong with %s', async (_, args, code, says) => {
    const ran = await peel('trace', ...args);
    expect(ran.err).toMatch(says);
    expect(ran.code).toBe(code);
    expect(ran.out).toBe('');
    expect(existsSync('x.safetensors')).toBe(false);
  });
});
