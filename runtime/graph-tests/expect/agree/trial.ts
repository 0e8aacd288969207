/** Sequences of tokens and the sessions that run them: what all parts of `agree` share. */
import { defaultOutputs } from '../../../../compiler/build-plan.ts';
import type { SessionOptions } from '../../../model.ts';
import { randomSource } from '../../../sampling/random.ts';
import type { Session } from '../../../session.ts';
import type { CaseContext } from '../../case.ts';

/** One output, row-major. */
export interface Result { readonly data: Float32Array; readonly shape: readonly number[] }
export type Results = ReadonlyMap<string, Result>;

export class Trial {
  private readonly sessions = new Map<string, Promise<Session>>();

  /** `ids` are run; `results` are the model's results, `rows` the one of them that has a row for each token. */
  private constructor(
    readonly context: CaseContext, readonly ids: readonly number[], readonly results: readonly string[], readonly rows: string, readonly bidirectional: boolean,
  ) {}

  /** `length` tokens, made up from the case's seed. */
  static async of(context: CaseContext, length: number): Promise<Trial> {
    const { graph, model, bidirectional } = await context.model();
    const rows = graph.outputs.some(({ name }) => name === 'logits') ? 'logits' : 'final';
    return new Trial(context, randomIds(context.test.seed, length, model.embeddings.token.rows), [...new Set([...defaultOutputs(graph), rows])], rows, bidirectional);
  }

  /** A session with room for the sequence, opened at the first call with these options. */
  session(options: SessionOptions = {}): Promise<Session> {
    const key = JSON.stringify(options);
    const { length } = this.ids;
    const opened = this.sessions.get(key) ?? this.context.session({ context: length, maxTokens: length, logitRows: length, outputs: this.results, ...options });
    this.sessions.set(key, opened);
    return opened;
  }

  /** What a session gives for a sequence that it begins anew, all at once or in chunks. */
  async run(session: Session, ids: readonly number[], outputs: readonly string[], chunk?: number): Promise<Results> {
    session.rewind(0);
    const found = await session.feed(ids, { outputs, logitRows: ids.length, ...(chunk === undefined ? {} : { chunk }) });
    return new Map([...found.outputs].map(([name, data]) => [name, { data, shape: found.shapes.get(name) ?? [data.length] }]));
  }

  /** A row for each token of the sequence. */
  async rowsOf(session: Session, ids: readonly number[] = this.ids, chunk?: number): Promise<Result> {
    return resultOf(await this.run(session, ids, [this.rows], chunk), this.rows);
  }
}

/** An output by name; empty where it is missing, which equals nothing. */
export function resultOf(results: Results, name: string): Result {
  return results.get(name) ?? { data: new Float32Array(0), shape: [0] };
}

export function randomIds(seed: number, length: number, vocab: number): number[] {
  const random = randomSource(seed);
  return Array.from({ length }, () => Math.floor(random() * vocab));
}
