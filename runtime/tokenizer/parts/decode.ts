/** What turns tokens back into text, as the Rust library does it. The JavaScript library drops U+FEFF from bytes and strips a space that Metaspace never put there. */
import { textAsBytes } from './byte-text.ts';
import { list, text, type Fields } from './fields.ts';
import { patternOf } from './pattern.ts';

export type Decode = (tokens: readonly string[]) => readonly string[];

function byteLevel(tokens: readonly string[]): string[] {
  const chunks = tokens.map((token) => { const bytes = textAsBytes(token); return bytes ? Buffer.from(bytes) : Buffer.from(token, 'utf8'); });
  return [Buffer.concat(chunks).toString('utf8')];
}

/** Runs of byte tokens as text; a run that is none gives U+FFFD for each byte. */
function byteFallback(tokens: readonly string[]): string[] {
  const result: string[] = [];
  let run: number[] = [];
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const flush = (): void => {
    if (run.length === 0) return;
    try {
      result.push(utf8.decode(Uint8Array.from(run)));
    } catch {
      for (let i = 0; i < run.length; i++) result.push('\ufffd');
    }
    run = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) { run.push(parseInt(byte, 16)); continue; }
    flush();
    result.push(token);
  }
  flush();
  return result;
}

function metaspace(fields: Fields): Decode {
  const replacement = text(fields, 'replacement', '▁');
  const prefixed = text(fields, 'prepend_scheme', fields.add_prefix_space === false ? 'never' : 'always') !== 'never';
  return (tokens) => tokens.map((token, i) => token.replaceAll(replacement, i === 0 && prefixed ? '' : ' '));
}

function strip(fields: Fields): Decode {
  const content = text(fields, 'content', ' ');
  const [start, stop] = [Number(fields.start ?? 0), Number(fields.stop ?? 0)];
  return (tokens) => tokens.map((token) => {
    const chars = [...token];
    let [from, to] = [0, chars.length];
    while (from < start && chars[from] === content) from++;
    while (chars.length - to < stop && to > 0 && chars[to - 1] === content) to--;
    return chars.slice(from, Math.max(from, to)).join('');
  });
}

const cleaned = (token: string): string => [
  [' .', '.'], [' ?', '?'], [' !', '!'], [' ,', ','], [" ' ", "'"], [" n't", "n't"], [" 'm", "'m"], [' do not', " don't"], [" 's", "'s"], [" 've", "'ve"], [" 're", "'re"],
].reduce((result, [from = '', to = '']) => result.replaceAll(from, to), token);

function wordPiece(fields: Fields): Decode {
  const prefix = text(fields, 'prefix', '##');
  const cleanup = fields.cleanup !== false;
  return (tokens) => tokens.map((token, i) => {
    const joined = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    return cleanup ? cleaned(joined) : joined;
  });
}

/** Throws Error where a component is wrong or not known. */
export function decoder(fields: Fields): Decode {
  switch (fields.type) {
    case 'Sequence': {
      const steps = list(fields, 'decoders').map(decoder);
      return (tokens) => steps.reduce((result, step) => step(result), tokens);
    }
    case 'ByteLevel': return byteLevel;
    case 'ByteFallback': return byteFallback;
    case 'Metaspace': return metaspace(fields);
    case 'WordPiece': return wordPiece(fields);
    case 'Fuse': return (tokens) => [tokens.join('')];
    case 'Strip': return strip(fields);
    case 'Replace': {
      const [pattern, content] = [patternOf(fields), text(fields, 'content', '')];
      return (tokens) => tokens.map((token) => token.replace(pattern, () => content));
    }
    case 'BPEDecoder': {
      const suffix = text(fields, 'suffix', '</w>');
      return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
    }
    default: throw new Error(`there is no decoder '${String(fields.type)}'`);
  }
}
