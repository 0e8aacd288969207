/** Random small graphs of primitive operators, for comparing a backend with the reference where no case has been thought of. */
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import * as e from '../../compiler/graph/expressions.ts';
import type { Node } from '../../compiler/graph/types.ts';
import { activation, vocabulary, type ConformanceCase } from './case.ts';
import { generator } from './harness.ts';

const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 24, 33];

/** A graph of some ten operators; the same seed gives the same graph. */
export function randomCase(seed: number): ConformanceCase {
  const name = `random graph ${seed}`;
  const random = generator(name);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <V>(list: readonly V[]): V => list[below(list.length)] as V;
  const b = new GraphBuilder(name);
  const nodes: Node[] = [activation(b, 'a', [pick(sizes)]), activation(b, 'b', [below(3) + 1, pick(sizes)])];
  const row = (n: Node): number[] => n.shape.slice(1).map(Number);
  const width = (n: Node): number => row(n).reduce((p, d) => p * d, 1);
  let weights = 0;
  const weight = (...shape: number[]): Node => b.weight(`w${weights++}`, shape);
  const last = (n: Node): number => Number(n.shape[n.shape.length - 1]);
  const bounded = (n: Node): Node => b.map([n], pick([
    e.unary('tanh', e.arg(0)), e.mul(e.arg(0), e.unary('sigmoid', e.arg(0))), e.unary('erf', e.arg(0)),
    e.select(e.binary('gt', e.arg(0), e.constant(0.1)), e.arg(0), e.mul(e.constant(0.2), e.arg(0))),
  ]));
  const divisor = (n: number): number => pick(Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0));
  const steps: readonly (() => Node | undefined)[] = [
    () => bounded(pick(nodes)),
    () => {
      const x = pick(nodes);
      return b.add(b.mul(x, weight(last(x))), weight(last(x)));
    },
    () => {
      const x = pick(nodes);
      const partner = nodes.find((n) => n !== x && JSON.stringify(n.shape) === JSON.stringify(x.shape)) ?? x;
      return b.binary(pick(['add', 'mul', 'sub', 'max', 'min'] as const), x, partner);
    },
    () => b.norm(pick(['rms', 'layer', 'l2'] as const), pick(nodes), 1e-3),
    () => b.softmax(pick(nodes)),
    () => {
      const x = pick(nodes);
      const [d, n] = [divisor(width(x)), width(x)];
      return b.reshape(x, ['T', d, n / d]);
    },
    () => {
      const x = pick(nodes);
      return b.reshape(x, ['T', width(x)]);
    },
    () => {
      const x = pick(nodes.filter((n) => n.shape.length === 3));
      return x && b.transpose(x, [0, 2, 1]);
    },
    () => {
      const x = pick(nodes);
      const [length, axis] = [1 + below(last(x)), x.shape.length - 1];
      return b.slice(x, axis, below(last(x) - length + 1), length);
    },
    () => {
      const x = pick(nodes);
      const partner = pick(nodes.filter((n) => n.shape.length === x.shape.length && JSON.stringify(n.shape.slice(0, -1)) === JSON.stringify(x.shape.slice(0, -1))));
      return partner && last(x) + last(partner) < 80 ? b.concat([x, partner], x.shape.length - 1) : undefined;
    },
    () => {
      const x = pick(nodes);
      return x.shape.length > 2 ? b.reduce(pick(['sum', 'max', 'min', 'mean'] as const), x, 1 + below(x.shape.length - 1)) : undefined;
    },
    () => {
      const x = pick(nodes);
      return b.linear(x, weight(pick(sizes), last(x)));
    },
    () => {
      const x = pick(nodes);
      const normed = b.mul(b.norm('rms', x, 1e-3), weight(last(x)));
      const n = pick(sizes);
      return b.mul(bounded(b.linear(normed, weight(n, last(x)))), b.linear(normed, weight(n, last(x))));
    },
    () => {
      const x = pick(nodes.filter((n) => n.shape.length === 3));
      return x && b.headLinear(x, weight(Number(x.shape[1]), pick(sizes), last(x)));
    },
    () => {
      const x = pick(nodes.filter((n) => n.shape.length === 2));
      if (!x) return undefined;
      const choice = b.node({ op: 'topk', k: 2 }, [b.linear(x, weight(4, last(x)))]);
      return b.expertLinear(x, weight(4, pick(sizes), last(x)), choice);
    },
    () => {
      const x = pick(nodes.filter((n) => n.shape.length === 3 && last(n) >= 2));
      if (!x) return undefined;
      const dims = 2 * (1 + below(Math.floor(last(x) / 2)));
      const angle = b.map([], e.mul(e.tokenPosition(0), e.binary('pow', e.constant(100), e.mul(e.position(1), e.constant(-2 / dims)))), ['T', dims / 2]);
      return b.node({ op: 'rope', pairing: pick(['half', 'interleaved'] as const), dims, scale: 1 }, [x, angle]);
    },
  ];
  const count = 4 + below(10);
  for (let n = 0; n < count; n++) {
    const made = pick(steps)();
    // What grows is brought back, so that errors of one operator are not multiplied by the next.
    if (made && width(made) <= 200) nodes.push(random() < 0.3 ? bounded(made) : made);
  }
  b.output('out', b.norm('rms', nodes[nodes.length - 1]!, 1e-3));
  return { name, graph: b.finish(), steps: [1 + below(9), 1, 1 + below(4)], limit: 1e-8, vocab: vocabulary };
}
