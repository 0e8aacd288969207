/** A conversation with a model: its messages, the replies to them, and what they took. */
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { conversationIds, type ConversationMessage } from '../../runtime/generation/conversation.ts';
import { generateText, type GeneratedText, type TextOptions } from '../../runtime/generation/text.ts';
import type { Session } from '../../runtime/session.ts';
import type { Tokenizer } from '../../runtime/tokenizer/tokenizer.ts';

/** One turn's figures. Tokens of the prompt: the whole conversation; `reused` of them were in the state. Times in milliseconds. */
export interface Turn {
  readonly prompt: number;
  readonly reused: number;
  readonly prefill: number;
  readonly tokens: number;
  readonly decode: number;
  readonly stopped: GeneratedText['stopped'];
  /** Cut before it was what a constraint asks for. */
  readonly unfinished: boolean;
  /** Messages left out because the context could not hold them. */
  readonly leftOut: number;
}

export interface ConversationOptions {
  readonly system?: string;
  readonly generation: TextOptions;
  /** Called while a prompt is computed. */
  readonly onProgress?: (done: number, total: number) => void;
}

export class Conversation {
  private messages: ConversationMessage[];
  private turns = 0;
  private last: Turn | undefined;
  private total = { reused: 0, fed: 0, tokens: 0 };

  constructor(private readonly session: Session, private readonly tokenizer: Tokenizer, private readonly options: ConversationOptions) {
    this.messages = this.beginning();
  }

  private beginning(): ConversationMessage[] {
    return this.options.system === undefined ? [] : [{ role: 'system', content: this.options.system }];
  }

  /** Forgets what was said, but for the system message. */
  reset(): void {
    this.messages = this.beginning();
    this.session.rewind(0);
    this.last = undefined;
  }

  /** Ids of the conversation with room for a reply. With context shift, the oldest exchanges are left out where the context cannot hold all. */
  private promptIds(): { ids: number[]; leftOut: number } {
    const start = this.messages[0]?.role === 'system' ? 1 : 0;
    const before = this.messages.length;
    let ids = conversationIds(this.tokenizer, this.messages);
    if (this.options.generation.contextShift) {
      while (ids.length > this.session.context && this.messages.length - start > 2) {
        this.messages.splice(start, 2);
        ids = conversationIds(this.tokenizer, this.messages);
      }
    }
    if (ids.length > this.session.context) {
      const message = `the conversation has ${ids.length} tokens, the context holds ${this.session.context}`;
      throw new PeelError(ExitCode.usage, [{ code: 'E024', severity: 'error', path: '', message, hint: '/reset begins a new one; --context makes room, --context-shift leaves out the oldest messages' }]);
    }
    return { ids, leftOut: before - this.messages.length };
  }

  /** The reply to a message, shown piece by piece. A reply that was stopped stays in the conversation as far as it got. */
  async say(content: string, signal: AbortSignal, show: (piece: string) => void): Promise<Turn> {
    const { generation, onProgress } = this.options;
    this.messages.push({ role: 'user', content });
    let answered = false;
    try {
      const { ids, leftOut } = this.promptIds();
      const started = performance.now();
      let reused: number | undefined, prefill = 0;
      const seed = generation.seed === undefined ? {} : { seed: generation.seed + this.turns };
      const pieces = generateText(this.session, this.tokenizer, ids, {
        ...generation, ...seed, signal, fresh: true,
        onProgress: (done, total) => {
          reused ??= done;
          if (done === total) prefill = performance.now() - started;
          onProgress?.(done, total);
        },
      });
      let step = await pieces.next();
      for (; !step.done; step = await pieces.next()) show(step.value);
      const reply = step.value;
      if (reply.text !== '') this.messages.push({ role: 'assistant', content: reply.text, ids: reply.ids });
      answered = reply.text !== '';
      this.turns++;
      const turn = { prompt: ids.length, reused: reused ?? 0, prefill, tokens: reply.ids.length, decode: performance.now() - started - prefill, stopped: reply.stopped, unfinished: reply.unfinished ?? false, leftOut };
      this.last = turn;
      this.total = { reused: this.total.reused + turn.reused, fed: this.total.fed + turn.prompt - turn.reused, tokens: this.total.tokens + turn.tokens };
      return turn;
    } finally {
      // Templates want users and assistants to take turns: a message without an answer is as if it had not been sent.
      if (!answered) this.messages.pop();
    }
  }

  /** Lines about the last turn and all of them. */
  stats(): string[] {
    const { session, last, total } = this;
    const rate = (tokens: number, time: number): string => (tokens > 0 && time > 0 ? `${((tokens / time) * 1000).toFixed(1)} tokens/s` : 'at once');
    const fed = last ? last.prompt - last.reused : 0;
    return [
      `context: ${session.position} of ${session.context} tokens, ${this.messages.length} messages`,
      ...(last ? [
        `last turn: ${last.prompt} tokens of conversation, ${last.reused} of them kept from before, ${fed} computed (${rate(fed, last.prefill)}); ${last.tokens} tokens written (${rate(last.tokens, last.decode)})`,
        `all ${this.turns} turns: ${total.reused} tokens kept, ${total.fed} computed, ${total.tokens} written`,
      ] : ['no turn yet']),
      `${session.model.name} on ${session.device.description}`,
    ];
  }
}
