/** The trained models that ship: how well they predict unseen text, and that they compute what transformers recorded for them. */
import { beforeAll, describe, expect, test } from 'vitest';
import { peel, prepare } from '../cli/peel.ts';

/** Most bits per byte on the last tenth of the text: what the models were trained to reach. */
const mostBitsPerByte = 2.4;

function object(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error(`an object was expected: ${text}`);
  return { ...value };
}

describe.each(['nano-gpt', 'nano-llama', 'nano-deepseek'])('%s', (name) => {
  beforeAll(prepare);
  test('predicts the last tenth of its text', async () => {
    const { code, out, err } = await peel('eval', name, '--text', 'models/nano/tinyshakespeare.txt', '--from', '0.9', '--device', 'cpu', '--json');
    expect(`${code} ${code === 0 ? '' : err}`).toBe('0 ');
    const result = object(out);
    expect(result['bytes']).toBe(111540);
    expect(result['bitsPerByte']).toBeGreaterThan(1.5);
    expect(result['bitsPerByte']).toBeLessThanOrEqual(mostBitsPerByte);
  });
  test.each(['reference', 'cpu', 'webgpu'])('agrees with transformers on %s', async (device) => {
    const { code, out, err } = await peel('diff', name, '--against', `test/golden-nano/${name}/golden.safetensors`, '--device', device);
    expect(`${code} ${code === 0 ? '' : out + err}`).toBe('0 ');
  });
});
