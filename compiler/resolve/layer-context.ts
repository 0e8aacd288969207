import type { Cursor } from './cursor.ts';
import type { Layer, Norm } from '../model.ts';

/** What the bodies of a layer need to know of the rest of the spec. */
export interface LayerContext {
  readonly index: number;
  /** Values in this layer of params that depend on its index. */
  readonly params: NonNullable<Layer['params']>;
  /** Width of the residual stream. */
  readonly dim: number;
  /** What `norm: default` means. */
  readonly norm: Norm;
  readonly activations: ReadonlySet<string>;
  /** Custom blocks: where each is defined. */
  readonly blocks: ReadonlyMap<string, Cursor>;
}
