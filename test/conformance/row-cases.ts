/** What looks at a whole row: norms, softmax, reductions, selections. */
import * as e from '../../compiler/graph/expressions.ts';
import { operatorCase, type ConformanceCase } from './case.ts';

const widths = [1, 3, 8, 37, 130];

export function rowCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const width of widths) {
    for (const kind of ['rms', 'layer', 'l2'] as const) {
      cases.push(operatorCase(`${kind} norm of ${width}`, (b, x) => b.norm(kind, x('a', width), 1e-5)));
    }
    cases.push(
      operatorCase(`rms norm of ${width} with weights`, (b, x) => b.mul(b.norm('rms', x('a', width), 1e-6), b.weight('w', [width]))),
      operatorCase(`layer norm per head of ${width}`, (b, x) => b.norm('layer', x('a', 3, width), 1e-5)),
      operatorCase(`softmax of ${width}`, (b, x) => b.softmax(b.scale(x('a', width), 20))),
      operatorCase(`softmax of ${width} with sinks`, (b, x) => b.softmax(b.scale(x('a', 3, width), 4), b.weight('sinks', [3]))),
      operatorCase(`topk members of ${width}`, (b, x) =>
        b.node({ op: 'member', size: width }, [b.node({ op: 'topk', k: Math.min(3, width) }, [x('a', width)])])),
      operatorCase(`take of topk of ${width}`, (b, x) => {
        const a = x('a', 2, width);
        return b.node({ op: 'take' }, [a, b.node({ op: 'topk', k: Math.min(4, width) }, [a])]);
      }),
    );
    for (const fn of ['sum', 'max', 'min', 'mean'] as const) {
      cases.push(operatorCase(`${fn} over the last of 3x${width}`, (b, x) => b.reduce(fn, x('a', 3, width), 2)));
      cases.push(operatorCase(`${fn} over the middle of 3x${width}`, (b, x) => b.reduce(fn, x('a', 3, width), 1)));
    }
  }
  cases.push(
    operatorCase('topk with ties', (b, x) => {
      const a = b.unary('round', x('a', 9));
      return b.node({ op: 'member', size: 9 }, [b.node({ op: 'topk', k: 4 }, [a])]);
    }),
    operatorCase('softmax with closed entries', (b, x) =>
      b.softmax(b.map([x('a', 2, 11)], e.select(e.binary('lt', e.position(2), e.constant(4)), e.constant(-Infinity), e.arg(0))))),
    operatorCase('norm of a norm', (b, x) => b.norm('rms', b.mul(b.norm('layer', x('a', 21), 1e-5), b.weight('w', [21])), 1e-6)),
    operatorCase('mean over tokens', (b, x) => b.reduce('mean', x('a', 10), 0)),
  );
  return cases;
}
