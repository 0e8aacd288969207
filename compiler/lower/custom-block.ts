/** Blocks that the spec writes itself. */
import { InternalError } from '../diagnostics.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { CustomBlock } from '../model.ts';

export function lowerCustomBlock(_ctx: LowerContext, _x: Node, body: CustomBlock, slot: string): Node {
  throw new InternalError('lower', `${slot}: block ${body.block}`);
}
