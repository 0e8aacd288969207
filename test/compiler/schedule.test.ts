import { describe, expect, it } from 'vitest';
import { checkSchedule } from '../../compiler/kernels/verify.ts';
import { printSchedule } from '../../compiler/kernels/print.ts';
import { schedule } from '../../compiler/schedule.ts';
import { verifyGraph } from '../../compiler/graph/verify.ts';
import { handGraphs, llamaGraph } from '../support/hand-graphs.ts';
import { expectSameAsReference } from '../support/same-as-reference.ts';

describe('unfused schedule', () => {
  for (const [name, build] of handGraphs) {
    it(`${name}: is valid and computes what the reference computes, prefill and decode`, async () => {
      const graph = build();
      verifyGraph(graph, 'test');
      await expectSameAsReference(graph, checkSchedule(schedule(graph), 'schedule'));
    });
  }

  it('prints', () => {
    const text = printSchedule(schedule(llamaGraph({ layers: 1 })));
    expect(text).toContain('#4 linear layers.0.attention.q rows [T] k 12 group none weights %layers.0.attention.q.weight:24 granule 1');
    expect(text).toContain(' argmax %argmax = argmax %logits[R, 23]');
  });
});
