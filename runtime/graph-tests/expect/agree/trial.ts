/** Sequences of tokens and the sessions that run them: what all parts of `agree` share. */
import { defaultOutputs } from '../../../../compiler/build-plan.ts';
import { InternalError } from '../../../../compiler/diagnostics.ts';
import type { SessionOptions } from '../../../model.ts';
import { randomSource } from '../../../sampling/random.ts';
import type { Session } from '../../../session.ts';
import type { CaseContext } from '../../case.ts';

export type Results = ReadonlyMap<string, Float32Array>;

export class Trial {
  private readonly sessions = new Map<string, Promise<Session>>();

  /** `ids` are run; `results` are the model's results, `rows` the one of them that has a row for each token. */
  private constructor(readonly context: CaseContext, readonly ids: readonly number[], readonly results: readonly string[], readonly rows: string, readonly bidirectional: boolean) {}

  /** `length` tokens, made up from the case's seed. */
  static async of(context: CaseContext, length: number): Promise<Trial> {
    const { graph, model } = await context.model();
    const names = new Set(graph.outputs.map(({ name }) => name));
    const rows = names.has('logits') ? 'logits' : 'final';
    return new Trial(context, tokens(context.test.seed, length, model.embeddings.token.rows), [...new Set([...defaultOutputs(graph), rows])], rows, (await context.model()).bidirectional);
  }

  /** A session for the sequence, opened at the first call with these options. */
  session(options: SessionOptions = {}): Promise<Session> {
    const key = JSON.stringify(options);
    const opened = this.sessions.get(key) ?? this.context.session({ ...this.sizes, outputs: this.results, ...options });
    this.sessions.set(key, opened);
    return opened;
  }

  /** Room for the sequence, whatever the case's context: numbers do not depend on it. */
  get sizes(): SessionOptions {
    const { length } = this.ids;
    return { context: length, maxTokens: length, logitRows: length };
  }

  /** What a session gives for a sequence that it begins anew, all at once or in chunks. */
  async run(session: Session, ids: readonly number[] = this.ids, options: { readonly outputs?: readonly string[]; readonly chunk?: number } = {}): Promise<Results> {
    session.rewind(0);
    return (await session.feed(ids, { outputs: this.results, logitRows: ids.length, ...options })).outputs;
  }

  /** The rows of a sequence's tokens, each of `width` numbers. */
  async rowsOf(session: Session, ids: readonly number[] = this.ids, chunk?: number): Promise<Float32Array> {
    const results = await this.run(session, ids, { outputs: [this.rows], ...(chunk === undefined ? {} : { chunk }) });
    const found = results.get(this.rows);
    if (!found) throw new InternalError('graph tests', `a session does not give \`${this.rows}\``);
    return found;
  }
}

/** Ids at random, so that equal neighbours are rare. */
function tokens(seed: number, length: number, vocab: number): number[] {
  const random = randomSource(seed);
  return Array.from({ length }, () => Math.floor(random() * vocab));
}
