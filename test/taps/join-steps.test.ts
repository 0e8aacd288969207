/** Outputs of a sequence that is fed in steps. */
import { expect, test } from 'vitest';
import { joinSteps, type StepPart } from '../../runtime/join-steps.ts';

const step = (T: number, P: number, data: number[], R = 1): StepPart => ({ data: Float32Array.from(data), sizes: { T, P, S: P + T, R, L: P + T } });

test('rows of tokens lie behind each other', () => {
  expect(joinSteps(['T', 2], [step(2, 0, [1, 2, 3, 4]), step(1, 2, [5, 6])])).toEqual({ shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
  expect(joinSteps(['R', 1], [step(2, 0, [1, 2], 2), step(3, 2, [3], 1)])).toEqual({ shape: [3, 1], data: Float32Array.of(1, 2, 3) });
});

test('rows over keys end with 0 where there were no keys yet', () => {
  expect(joinSteps(['T', 2, 'S'], [step(1, 0, [1, 2]), step(2, 1, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])])).toEqual({
    shape: [3, 2, 3], data: Float32Array.of(1, 0, 0, 2, 0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14),
  });
  expect(joinSteps(['T', 'S', 2], [step(1, 0, [1, 2]), step(1, 1, [3, 4, 5, 6])])).toEqual({ shape: [2, 2, 2], data: Float32Array.of(1, 2, 0, 0, 3, 4, 5, 6) });
  expect(joinSteps(['T', 2, 'S', 2], [step(1, 0, [1, 2, 3, 4]), step(1, 1, [5, 6, 7, 8, 9, 10, 11, 12])])).toEqual({
    shape: [2, 2, 2, 2], data: Float32Array.of(1, 2, 0, 0, 3, 4, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12),
  });
});

test('values of the whole sequence, and of no token, are the last step\'s', () => {
  expect(joinSteps(['S', 1], [step(1, 0, [1]), step(2, 1, [1, 2, 3])])).toEqual({ shape: [3, 1], data: Float32Array.of(1, 2, 3) });
  expect(joinSteps([2], [step(1, 0, [1, 2]), step(2, 1, [3, 4])])).toEqual({ shape: [2], data: Float32Array.of(3, 4) });
});

test('without a step there is nothing, and data of another size is a mistake of ours', () => {
  expect(joinSteps(['T', 3], [])).toEqual({ shape: [0, 3], data: new Float32Array(0) });
  expect(() => joinSteps(['T', 2], [step(1, 0, [1, 2, 3]), step(1, 1, [1, 2])])).toThrow('3 elements for [1, 2]');
});
