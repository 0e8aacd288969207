/** A map from two whole numbers to one: an open hash table on typed arrays, several times faster than a Map with joined keys. */
export class PairTable {
  private keys: Int32Array;
  private values: Int32Array;
  private used = 0;
  private mask: number;

  constructor(expected = 1024) {
    let size = 1024;
    while (size < expected * 2) size *= 2;
    this.keys = new Int32Array(2 * size).fill(-1);
    this.values = new Int32Array(size);
    this.mask = size - 1;
  }

  get size(): number { return this.used; }

  private slot(a: number, b: number): number {
    let at = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)) >>> 0;
    at = (at ^ (at >>> 15)) & this.mask;
    while (this.keys[2 * at] !== -1 && (this.keys[2 * at] !== a || this.keys[2 * at + 1] !== b)) at = (at + 1) & this.mask;
    return at;
  }

  /** `absent` where there is none. Keys are not negative. */
  get(a: number, b: number, absent: number): number {
    const at = this.slot(a, b);
    return this.keys[2 * at] === -1 ? absent : this.values[at] ?? absent;
  }

  set(a: number, b: number, value: number): void {
    if (this.used * 2 > this.mask) this.grow();
    const at = this.slot(a, b);
    if (this.keys[2 * at] === -1) {
      this.used++;
      this.keys[2 * at] = a;
      this.keys[2 * at + 1] = b;
    }
    this.values[at] = value;
  }

  private grow(): void {
    const { keys, values } = this;
    this.keys = new Int32Array(2 * keys.length).fill(-1);
    this.values = new Int32Array(2 * values.length);
    this.mask = 2 * this.mask + 1;
    this.used = 0;
    for (let i = 0; i < values.length; i++) {
      const a = keys[2 * i] ?? -1;
      if (a !== -1) this.set(a, keys[2 * i + 1] ?? 0, values[i] ?? 0);
    }
  }
}
