/** The logit lens as a report: the tokens that follow each token of a text if the model stopped after a layer. */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { TracedValues } from './layers.ts';
import { tokenText } from './token-text.ts';

export interface Guess {
  readonly id: number;
  readonly text: string;
  readonly probability: number;
}

export interface LensLayer {
  readonly layer: number;
  /** For each token of the text, what may follow it, the most likely first. */
  readonly guesses: readonly (readonly Guess[])[];
}

export function lensReport(layers: readonly number[], values: TracedValues, tokens: number, tokenizer: Tokenizer | undefined): LensLayer[] {
  const texts = new Map<number, string>();
  const textOf = (id: number): string => {
    const known = texts.get(id) ?? tokenText(id, tokenizer);
    texts.set(id, known);
    return known;
  };
  return layers.flatMap((layer): LensLayer[] => {
    const top = values.get(`lens.${layer}.top`)?.data;
    const probabilities = values.get(`lens.${layer}.probabilities`)?.data;
    if (!top || !probabilities) return [];
    const k = top.length / tokens;
    return [{
      layer,
      guesses: Array.from({ length: tokens }, (_, t) => Array.from({ length: k }, (__, n) => {
        const id = top[t * k + n] ?? -1;
        return { id, text: textOf(id), probability: probabilities[t * k + n] ?? NaN };
      })),
    }];
  });
}
