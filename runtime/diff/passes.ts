/** Which pass of the compiler changes a result: those before it, all together, do not. */
import { graphPasses, kernelPasses } from '../../compiler/passes/index.ts';
import type { KernelPass } from '../../compiler/passes/types.ts';
import type { FusionRecord } from '../../compiler/plan.ts';

export interface PassBlame {
  readonly pass: string;
  readonly description: string;
  /** Whether the result is right with every other pass: then this one alone is to blame. */
  readonly alone: boolean;
  /** Plans that were tried. */
  readonly tried: number;
  /** What the pass did where the numbers begin to differ. */
  readonly fusions: readonly FusionRecord[];
}

/** Passes that may be left out, in the order in which they run. */
export function passNames(passes: readonly KernelPass[] = kernelPasses): readonly { readonly name: string; readonly description: string }[] {
  return [...graphPasses.filter((pass) => pass.name !== 'dead-code'), ...passes];
}

/**
 * `agrees`: whether the result without some passes is as it should be. Given that it is without all of them and is not with all. Bisects the prefixes of
 * the list: the pass that it ends at is one whose adding makes the difference.
 */
export async function findPass(passes: readonly { readonly name: string; readonly description: string }[], agrees: (without: readonly string[]) => Promise<boolean>): Promise<Omit<PassBlame, 'fusions'> | undefined> {
  const names = passes.map((pass) => pass.name);
  let right = 0, wrong = names.length, tried = 0;
  while (wrong - right > 1) {
    const middle = Math.floor((right + wrong) / 2);
    tried++;
    if (await agrees(names.slice(middle))) right = middle;
    else wrong = middle;
  }
  const blamed = passes[wrong - 1];
  if (!blamed) return undefined;
  return { pass: blamed.name, description: blamed.description, alone: await agrees([blamed.name]), tried: tried + 1 };
}
