/** Activations that the spec writes itself. */
import { InternalError } from '../diagnostics.ts';
import type { BoundActivation } from './activation.ts';
import type { LowerContext } from './context.ts';
import type { ActivationDefinition } from '../model.ts';

export function customActivation(_ctx: LowerContext, definition: ActivationDefinition, slot: string): BoundActivation {
  throw new InternalError('lower', `${slot}: activation ${definition.name}`);
}
