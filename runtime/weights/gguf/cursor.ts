/** Reads little-endian values from the bytes at hand, and says when they do not suffice. */

/** The bytes at hand end before `needed`. */
export class OutOfBytes extends Error {
  constructor(readonly needed: bigint, readonly what: string) { super(`byte ${needed} is not at hand`); }
}

/** The bytes are not what the format says, at byte `at`. */
export class Malformed extends Error {
  constructor(message: string, readonly at: number, readonly code: 'E723' | 'E724' | 'E725' | 'E737' = 'E724') { super(message); }
}

export class ByteCursor {
  at = 0;
  /** What is being read, for messages. */
  what = 'the beginning';
  private readonly view: DataView;

  /** `bytes` is the beginning of a file of `fileBytes` bytes. */
  constructor(readonly bytes: Uint8Array, readonly fileBytes: number) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Steps over `count` bytes, which may be any number that a file holds, and gives where they begin. */
  take(count: number | bigint): number {
    const end = BigInt(this.at) + BigInt(count);
    if (end > BigInt(this.bytes.length)) throw new OutOfBytes(end, this.what);
    const start = this.at;
    this.at = Number(end);
    return start;
  }
  private step(count: number): number {
    const start = this.at;
    if (start + count > this.bytes.length) throw new OutOfBytes(BigInt(start + count), this.what);
    this.at = start + count;
    return start;
  }
  u8(): number { return this.view.getUint8(this.step(1)); }
  i8(): number { return this.view.getInt8(this.step(1)); }
  u16(): number { return this.view.getUint16(this.step(2), true); }
  i16(): number { return this.view.getInt16(this.step(2), true); }
  u32(): number { return this.view.getUint32(this.step(4), true); }
  i32(): number { return this.view.getInt32(this.step(4), true); }
  u64(): bigint { return this.view.getBigUint64(this.step(8), true); }
  i64(): bigint { return this.view.getBigInt64(this.step(8), true); }
  f32(): number { return this.view.getFloat32(this.step(4), true); }
  f64(): number { return this.view.getFloat64(this.step(8), true); }

  /** Steps over a string: 8 bytes of length, then UTF-8. Gives where its text begins and ends. */
  skipString(most: number, what: string): { begin: number; end: number } {
    const start = this.at;
    const low = this.u32();
    const high = this.u32();
    if (high > 0 || low > most) throw new Malformed(`${what} would have ${(BigInt(high) << 32n) + BigInt(low)} bytes, at most ${most} are allowed`, start);
    const begin = this.step(low);
    return { begin, end: begin + low };
  }
  /** Steps over strings, one after the other. */
  skipStrings(count: number, most: number, what: string): void {
    const { bytes, view } = this;
    let at = this.at;
    for (let i = 0; i < count; i++) {
      if (at + 8 > bytes.length) throw new OutOfBytes(BigInt(at + 8), this.what);
      const length = view.getUint32(at, true);
      if (length > most || view.getUint32(at + 4, true) > 0) {
        this.at = at;
        this.skipString(most, `element ${i} of ${what}`);
      }
      at += 8 + length;
    }
    if (at > bytes.length) throw new OutOfBytes(BigInt(at), this.what);
    this.at = at;
  }
  string(most: number, what: string): string {
    const { begin, end } = this.skipString(most, what);
    return this.text(begin, end, what);
  }
  /** A name: a text without control characters. */
  name(most: number, what: string): string {
    const at = this.at;
    const text = this.string(most, what);
    if (text === '') throw new Malformed(`${what} is empty`, at);
    if (/\p{Cc}/u.test(text)) throw new Malformed(`${what} has control characters: ${JSON.stringify(text.slice(0, 80))}`, at);
    return text;
  }
  /** Bytes as text. */
  text(begin: number, end: number, what: string): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes.subarray(begin, end));
    } catch {
      throw new Malformed(`${what} is not valid UTF-8`, begin);
    }
  }
}
