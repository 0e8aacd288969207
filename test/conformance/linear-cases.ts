/** Products with weights in their three groups, alone and with what is usually fused around them. */
import * as e from '../../compiler/graph/expressions.ts';
import { operatorCase, type ConformanceCase } from './case.ts';

const shapes: readonly (readonly [n: number, k: number])[] = [[1, 1], [3, 2], [8, 4], [7, 13], [16, 32], [33, 65], [130, 31], [96, 128]];
const silu = e.mul(e.mul(e.arg(0), e.unary('sigmoid', e.arg(0))), e.arg(1));

export function linearCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const [n, k] of shapes) {
    const steps = [1, 2, 3, 4, 5, 9, 17];
    cases.push(
      operatorCase(`linear ${n}x${k}`, (b, x) => b.linear(x('a', k), b.weight('w', [n, k])), { steps }),
      operatorCase(`linear ${n}x${k} after a norm, with bias and residual`, (b, x) => {
        const a = x('a', k);
        const y = b.linear(b.mul(b.norm('rms', a, 1e-5), b.weight('norm', [k])), b.weight('w', [n, k]));
        return b.add(b.add(y, b.weight('bias', [n])), x('skip', n));
      }, { steps }),
      operatorCase(`gated pair ${n}x${k}`, (b, x) => {
        const a = x('a', k);
        return b.map([b.linear(a, b.weight('gate', [n, k])), b.linear(a, b.weight('up', [n, k]))], silu);
      }, { steps }),
      operatorCase(`linear per head ${n}x${k}`, (b, x) => b.headLinear(x('a', 3, k), b.weight('w', [3, n, k])), { steps: [1, 6, 2] }),
      operatorCase(`linear per expert ${n}x${k}`, (b, x) => {
        const choice = b.node({ op: 'topk', k: 2 }, [x('router', 5)]);
        return b.expertLinear(x('a', k), b.weight('w', [5, n, k]), choice);
      }, { steps: [1, 11, 2] }),
      operatorCase(`linear per expert ${n}x${k} with its own rows`, (b, x) => {
        const choice = b.node({ op: 'topk', k: 2 }, [x('router', 5)]);
        return b.expertLinear(x('a', 2, k), b.weight('w', [5, n, k]), choice);
      }, { steps: [1, 11, 2] }),
    );
  }
  cases.push(
    operatorCase('three products of one input', (b, x) => {
      const a = b.norm('layer', x('a', 19), 1e-5);
      const q = b.add(b.linear(a, b.weight('q', [15, 19])), b.weight('q.bias', [15]));
      return b.concat([q, b.linear(a, b.weight('k', [5, 19])), b.linear(a, b.weight('v', [5, 19]))], 1);
    }),
    operatorCase('softcapped tied head', (b, x) => b.softcap(b.linear(b.norm('rms', x('a', 12), 1e-6), b.weight('table.a', [23, 12])), 3)),
    operatorCase('more rows than one chunk', (b, x) => b.linear(x('a', 24), b.weight('w', [40, 24])), { steps: [64, 37] }),
    operatorCase('heads of unlike outer shape', (b, x) => b.linear(x('a', 3, 14), b.weight('w', [9, 14]))),
  );
  return cases;
}
