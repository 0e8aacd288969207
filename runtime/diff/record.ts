/** What a model computes, as a recording that another implementation or device can be compared with. */
import type { Session } from '../session.ts';
import type { TensorData } from '../weights/writer.ts';
import { comparedOutputs } from './outputs.ts';

/**
 * What a model computes for `ids` and `steps` greedy tokens after them, as a recording that `compareWithRecording` takes. Encoders have
 * `last_hidden` in place of logits and tokens. `values`: named values to record besides, which the session must bring back.
 */
export async function record(session: Session, ids: readonly number[], steps: number, values: readonly string[] = []): Promise<Map<string, TensorData>> {
  const { layers, outputs: width, bidirectional } = session.model;
  const names = comparedOutputs(layers).filter((name) => width > 0 || name !== 'logits');
  const more = values.filter((name) => !names.includes(name));
  session.rewind(0);
  const result = await session.feed(ids, { outputs: [...names, ...more], logitRows: ids.length });
  const tensors = new Map<string, TensorData>([['input_ids', { dtype: 'I32', shape: [ids.length], data: Int32Array.from(ids) }]]);
  const add = (name: string, data: Float32Array | undefined, rows: number): void => {
    if (data) tensors.set(name, { dtype: 'F32', shape: [rows, data.length / Math.max(1, rows)], data });
  };
  // transformers' numbering: 0 is the embeddings, the last one is behind the final norm.
  for (let i = 0; i <= layers; i++) add(`hidden.${i}`, result.outputs.get(i === 0 ? 'embeddings' : i < layers ? `hidden.${i - 1}` : 'final'), ids.length);
  for (const name of more) add(name, result.outputs.get(name), ids.length);
  const logits = result.outputs.get('logits');
  if (!logits || bidirectional) {
    add('last_hidden', result.outputs.get('final'), ids.length);
    return tensors;
  }
  add('logits', logits, ids.length);
  const tokens: number[] = [];
  const rows: Float32Array[] = [logits.slice(logits.length - width)];
  for (let token = result.argmax; tokens.length < steps;) {
    tokens.push(token);
    if (tokens.length === steps) break;
    const step = await session.feed([token], { outputs: ['logits'] });
    rows.push(step.outputs.get('logits') ?? new Float32Array(width));
    token = step.argmax;
  }
  if (steps > 0) {
    tensors.set('generated', { dtype: 'I32', shape: [steps], data: Int32Array.from(tokens) });
    add('gen_logits', concat(rows), steps);
  }
  return tensors;
}

export function concat(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}
