/** Passes as data: a name, what it does, and a pure function. */
import type { Graph, Node } from '../graph/types.ts';
import type { Schedule } from '../kernels/types.ts';
import type { Alike } from './alike.ts';
import type { KernelReads } from './workspace.ts';
import type { FusionRecord, Target } from '../plan.ts';

export interface GraphPass {
  readonly name: string;
  readonly description: string;
  readonly run: (graph: Graph) => Graph;
}

export interface KernelPassContext {
  readonly target: Target;
  /** Graph nodes by id, to tell what a kernel came from. */
  readonly node: (id: number) => Node | undefined;
  /** For workspaces: what kernels read. */
  readonly reads: KernelReads;
  /** What was made of kernels, for those that are alike. */
  readonly alike: Alike;
  /** Notes what was fused, or what was not and why; `origin` is a label of the model. */
  readonly record: (fired: boolean, origin: string, reason: string) => void;
}

/** Takes and gives a schedule of open kernels (see kernels/sources.ts). */
export interface KernelPass {
  readonly name: string;
  readonly description: string;
  readonly run: (schedule: Schedule, context: KernelPassContext) => Schedule;
}

export interface PipelineContext {
  readonly target: Target;
  readonly fuse: boolean | { readonly without: readonly string[] };
  /** Passes over kernels; the usual ones if absent. */
  readonly passes?: readonly KernelPass[];
  readonly record: (r: FusionRecord) => void;
  /** Called with each pass's verified result. */
  readonly onGraphPass?: (name: string, graph: Graph) => void;
  readonly onPass?: (name: string, schedule: Schedule) => void;
}
