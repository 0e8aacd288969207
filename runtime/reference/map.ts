/** map: one expression for every element of the result. */
import { compileScalar } from './scalar.ts';
import { count, strides, zeros } from './tensor.ts';
import type { Sizes, Tensor } from './tensor.ts';
import type { Scalar } from '../../compiler/kernels/scalar.ts';

export function map(expression: Scalar, operands: readonly Tensor[], shape: readonly number[], sizes: Sizes): Tensor<Float64Array> {
  const result = zeros(shape);
  const evaluate = compileScalar(expression, sizes);
  const rank = shape.length;
  // Steps of each operand along the result's axes: 0 where it is stretched.
  const steps = operands.map((operand) => {
    const own = strides(operand.shape);
    const shift = rank - operand.shape.length;
    return shape.map((_, axis) => (axis < shift || operand.shape[axis - shift] === 1 ? 0 : own[axis - shift] ?? 0));
  });
  const offsets = operands.map(() => 0);
  const cursor = { args: new Float64Array(operands.length), index: new Int32Array(rank) };
  const total = count(shape);
  for (let flat = 0; flat < total; flat++) {
    for (let n = 0; n < operands.length; n++) cursor.args[n] = operands[n]?.data[offsets[n] ?? 0] ?? NaN;
    result.data[flat] = evaluate(cursor);
    for (let axis = rank - 1; axis >= 0; axis--) {
      const next = (cursor.index[axis] ?? 0) + 1;
      const wraps = next >= (shape[axis] ?? 0);
      for (let n = 0; n < operands.length; n++) offsets[n] = (offsets[n] ?? 0) + (steps[n]?.[axis] ?? 0) * (wraps ? 1 - next : 1);
      cursor.index[axis] = wraps ? 0 : next;
      if (!wraps) break;
    }
  }
  return result;
}
