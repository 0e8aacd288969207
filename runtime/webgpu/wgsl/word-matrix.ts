/** A linear kernel's weights as words: rows of one quantised form, or each weight's rows in a form of its own. */
import { formStart, sameForm, type WordForms } from '../word-rows.ts';
import { wordFunctions } from './word-format.ts';
import type { Module } from './module.ts';

export class WordMatrix {
  /** Elements of k that share a scale in every form. */
  readonly run: number;
  private readonly same: boolean;

  constructor(module: Module, private readonly name: string, private readonly weights: WordForms, k: number) {
    const { forms } = weights;
    this.run = Math.min(...forms.map((f) => f.run));
    this.same = sameForm(weights);
    const formats = [...new Set(forms.map((f) => f.format))];
    for (const format of formats) {
      const { scale, eight } = wordFunctions(format, name, k, `${name}_${format}`);
      module.declare(scale);
      module.declare(eight);
    }
    if (this.same) return;
    module.declare(`fn start_${name}(n: i32) -> i32 { ${this.byWeight((which, first) => this.startText(which, first))} }`);
    if (formats.length === 1) return;
    for (const [fn, type] of [['scale', 'vec2<f32>'], ['eight', 'mat2x4<f32>']] as const) {
      module.declare(`fn ${fn}_${name}(n: i32, row: i32, k: i32) -> ${type} { ${this.byWeight((which) => `${fn}_${name}_${forms[which]?.format}(row, k)`)} }`);
    }
  }

  /** Statements that give `value` of the weight that row n belongs to, and of its first row. */
  private byWeight(value: (which: number, first: number) => string): string {
    const { forms, interleaved } = this.weights;
    let text = interleaved ? `let which = n % ${forms.length}; ` : '';
    let first = 0;
    forms.forEach(({ rows }, which) => {
      const last = which === forms.length - 1;
      const test = interleaved ? `which == ${which}` : `n < ${first + rows}`;
      text += last ? `return ${value(which, first)};` : `if (${test}) { return ${value(which, first)}; } `;
      first += rows;
    });
    return text;
  }
  private startText(which: number, first: number): string {
    const { forms, interleaved } = this.weights;
    const words = forms.map((f) => f.words);
    if (interleaved) return `n / ${forms.length} * ${words.reduce((a, b) => a + b, 0)} + ${words.slice(0, which).reduce((a, b) => a + b, 0)}`;
    return `${formStart(this.weights, first)} + (n - ${first}) * ${words[which]}`;
  }

  /** First word of row n, an expression without operators of its own. */
  start(n: string): string { return this.same ? `(${n}) * ${this.weights.forms[0]?.words}` : `start_${this.name}(${n})`; }

  private call(fn: string, n: string, row: string, k: string): string {
    const [first, ...others] = this.weights.forms;
    return others.every((f) => f.format === first?.format) ? `${fn}_${this.name}_${first?.format}(${row}, ${k})` : `${fn}_${this.name}(${n}, ${row}, ${k})`;
  }
  /** d and m of the run that element k of row n is in; the row's words begin at `row`. */
  scale(n: string, row: string, k: string): string { return this.call('scale', n, row, k); }
  /** Eight weights from k (a multiple of 8) on, but for their scale, as two vectors. */
  eight(n: string, row: string, k: string): string { return this.call('eight', n, row, k); }
}
