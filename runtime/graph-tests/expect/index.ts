/** Every expectation, in the order in which a case is checked: the cheap ones first. */
import type { Expectation } from '../case.ts';
import { agree } from './agree.ts';
import { diagnostics } from './diagnostics.ts';
import { flopsPerToken } from './flops.ts';
import { fusions } from './fusions.ts';
import { golden } from './golden.ts';
import { kernels } from './kernels.ts';
import { activationBytes, peakBytes, stateBytes, weightBytes } from './memory.ts';
import { operators } from './operators.ts';
import { parameters } from './parameters.ts';
import { plan } from './plan.ts';
import { text } from './text.ts';
import { valid } from './valid.ts';
import { values } from './values.ts';

export const expectations: readonly Expectation[] = [
  valid, diagnostics, parameters, values, operators, weightBytes, stateBytes, activationBytes, peakBytes, flopsPerToken, kernels, fusions, plan, agree, golden, text,
];
