/** The bytes that a token stands for in the middle of a text. */
import { textAsBytes } from './byte-text.ts';
import type { Decode } from './decode.ts';

/** The types of a decoder and of all that it is made of. */
function typesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(typesIn);
  if (typeof value !== 'object' || value === null) return [];
  const { type, decoders } = value as Readonly<Record<string, unknown>>;
  return [...(typeof type === 'string' ? [type] : []), ...typesIn(decoders)];
}

/** `decoder`: as tokenizer.json has it; `decode`: what it does. */
export function tokenBytes(decoder: unknown, decode: Decode | undefined): (token: string) => Uint8Array {
  const types = new Set(typesIn(decoder));
  const encoder = new TextEncoder();
  return (token) => {
    if (types.has('ByteLevel')) return Uint8Array.from(textAsBytes(token) ?? encoder.encode(token));
    const byte = types.has('ByteFallback') ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(parseInt(byte, 16));
    // Behind another token, so that nothing happens to it that only happens at the beginning of a text.
    return encoder.encode(decode ? decode(['a', token]).join('').slice(1) : ` ${token}`);
  };
}
