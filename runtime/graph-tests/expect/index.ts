/** Every expectation, in the order in which a case is checked: the cheap ones first. */
import type { Expectation } from '../case.ts';
import { diagnostics } from './diagnostics.ts';
import { parameters } from './parameters.ts';
import { valid } from './valid.ts';

export const expectations: readonly Expectation[] = [valid, diagnostics, parameters];
