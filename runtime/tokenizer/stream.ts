/** Incremental decoding: decodes a sliding window of ids and gives what became certain. */
import type { DecodeStream } from './tokenizer.ts';

/** A character has at most 4 bytes, and so 4 byte tokens: longer waits are for bytes that are no text. */
const longestWait = 8;

/**
 * `decode` gives the text of some ids. A window starts at ids whose text was given already, so that what a decoder does at the start of
 * a text (dropping a space) is the same in the text before and after a new id.
 */
export function decodeStream(decode: (ids: readonly number[]) => string): DecodeStream {
  let window: number[] = [];
  let given = ''; // Text of the window that was given.
  let context = 0; // Ids of the window that had been given when `given` was taken.
  const flush = (text: string): string => {
    const fresh = text.slice(given.length);
    window = window.slice(context);
    context = window.length;
    given = decode(window);
    return fresh;
  };
  return {
    push(id) {
      window.push(id);
      const text = decode(window);
      if (text.length <= given.length) return '';
      if (text.endsWith('\ufffd') && window.length - context < longestWait) return '';
      return flush(text);
    },
    end() {
      if (window.length === context) return '';
      const text = decode(window);
      window = [];
      context = 0;
      const fresh = text.slice(given.length);
      given = '';
      return fresh;
    },
  };
}
