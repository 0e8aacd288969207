/** The ids of a conversation, with replies in the tokens that they were generated as. */
import type { ChatMessage, Tokenizer } from '../tokenizer/tokenizer.ts';

export interface ConversationMessage extends ChatMessage {
  /** Of a generated reply: its ids (`GeneratedText.ids`), so that a session which holds them need not compute it again. */
  readonly ids?: readonly number[];
}

/**
 * The ids of `messages` in the model's chat template, for the next reply. A reply that the model generated need not be cut into the tokens that
 * encoding its text gives; where a message has `ids` that decode to its content, those stand for it.
 */
export function conversationIds(tokenizer: Tokenizer, messages: readonly ConversationMessage[]): number[] {
  const whole = tokenizer.chat(messages);
  let ids = whole;
  for (const [i, message] of messages.entries()) {
    const generated = message.ids;
    if (message.role !== 'assistant' || generated === undefined || i === 0 || tokenizer.decode(generated) !== message.content) continue;
    // What the reply answered is in front of it, unless the template tells it otherwise now, or a token spans the border.
    const prompt = tokenizer.chat(messages.slice(0, i));
    if (prompt.length >= whole.length || prompt.some((id, at) => whole[at] !== id)) continue;
    const before = prompt.length + ids.length - whole.length;
    const length = lengthOfText(tokenizer, ids, before, message.content);
    if (length !== undefined) ids = [...ids.slice(0, before), ...generated, ...ids.slice(before + length)];
  }
  return ids;
}

/** How many of `ids`, from `from` on, decode to `text`; undefined where they do not. */
function lengthOfText(tokenizer: Tokenizer, ids: readonly number[], from: number, text: string): number | undefined {
  const stream = tokenizer.stream();
  let decoded = '';
  for (let at = from; at < ids.length && decoded.length < text.length; at++) {
    decoded += stream.push(ids[at] ?? 0);
    if (decoded === text) return at + 1 - from;
  }
  return undefined;
}
