/** Graph tests as types: what a case is, what an expectation gets to see, and what comes out. */
import type { Compiled } from '../../compiler/compile.ts';
import type { Diagnostic, Location } from '../../compiler/diagnostics.ts';
import type { ParamValue } from '../../compiler/model.ts';
import type { ExecutionPlan, Target } from '../../compiler/plan.ts';
import type { PlainValue, SourceNode } from '../../compiler/source.ts';
import type { LoadedModel, SessionOptions } from '../model.ts';
import type { Session } from '../session.ts';

/** One expectation as a case writes it: `key: wanted`. */
export interface Wanted {
  readonly key: string;
  readonly value: PlainValue;
  /** Where it is written, and its JSON pointer there. */
  readonly node: SourceNode;
  readonly path: string;
}

export interface TestCase {
  /** Unique within its file: the name, and the spec in brackets where a case is run with several. */
  readonly name: string;
  /** The file that holds it, as messages show it. */
  readonly file: string;
  /** Its position among the cases of the file. */
  readonly index: number;
  /** Where its name is written. */
  readonly location: Location;
  /** Path of the spec. */
  readonly spec: string;
  readonly with: Readonly<Record<string, ParamValue>>;
  readonly config?: string;
  /** Folder or file of weights; random ones if absent. */
  readonly weights?: string;
  readonly seed: number;
  readonly target: Target;
  readonly context?: number;
  readonly expect: readonly Wanted[];
}

/** What an expectation found. */
export interface Finding {
  /** `not run`: it cannot be looked at on this machine, and why. `written`: --update wrote what is expected from now on. */
  readonly kind: 'failed' | 'not run' | 'written';
  /** JSON pointer under the expectation (`/0/path`), '' for the whole: where the caret stands. */
  readonly at: string;
  /** One or two lines: wanted, found, and where (layer, operator, spec line). */
  readonly message: string;
  /** The place in the spec that it is about, where there is one: annotations stand there. */
  readonly spec?: Location;
}

/**
 * What an expectation may use. Everything is made at the first call and kept for the case's other expectations; what has to be freed is
 * freed when the case ends.
 */
export interface CaseContext {
  readonly test: TestCase;
  /** Whether saved files (golden values, snapshots) are to be written rather than compared. */
  readonly update: boolean;
  /** The compiled spec with all its diagnostics, also where they are errors. */
  compiled(): Promise<Compiled>;
  /** The model with its graph; weights are made or read only when a session asks for them. Throws PeelError where the spec has errors. */
  model(): Promise<LoadedModel>;
  /** The plan for the case's target and context. */
  plan(options?: SessionOptions): Promise<ExecutionPlan>;
  /**
   * A session of the case's context and seed on its target's device, or on that of `options`. Throws PeelError (exit code 13) where the machine has
   * no such device.
   */
  session(options?: SessionOptions): Promise<Session>;
  /** The value of a number or of an expression of the spec's params; `names` are further names that it may use. Throws PeelError with its place for one that has no value. `at`: as in Finding. */
  number(wanted: number | string, at: string, names?: Readonly<Record<string, number>>): Promise<number>;
  /** A file that a case names, relative to the folder of its own. The case is run again when it changes. */
  file(name: string): string;
}

/** One file an expectation; `expect/index.ts` lists them. */
export interface Expectation {
  /** Its key under `expect`, whose values schema/test.schema.json describes. */
  readonly key: string;
  /** What does not hold; nothing where all holds. */
  readonly run: (context: CaseContext, wanted: PlainValue) => Promise<readonly Finding[]>;
}

/** A finding with the expectation that has it, and its place in the file. Plain data. */
export interface PlacedFinding {
  readonly kind: Finding['kind'] | 'error';
  /** Key under `expect`; '' for the case as a whole. */
  readonly expectation: string;
  readonly message: string;
  readonly location: Location;
  readonly sourceLine?: string;
  /** The place in the spec that it is about. */
  readonly spec?: Location;
}

/** `not run`: nothing of it could be looked at. `error`: it ended before it was done (a crash, a mistake in Peel, too much time). */
export type CaseStatus = 'passed' | 'failed' | 'not run' | 'error';

export interface CaseResult {
  readonly name: string;
  readonly file: string;
  readonly location: Location;
  readonly status: CaseStatus;
  readonly findings: readonly PlacedFinding[];
  readonly milliseconds: number;
  /** Files that it read: its own, specs, configs, weights. */
  readonly files: readonly string[];
  /** Whether the error is a mistake in Peel. */
  readonly internal?: boolean;
}

/** Cases of some files, and what is wrong with those files. */
export interface LoadedTests {
  readonly cases: readonly TestCase[];
  readonly diagnostics: readonly Diagnostic[];
}
