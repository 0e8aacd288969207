/** Values already computed where code is being written, by structure; one scope a region of control flow. */
import type { ValueType } from '../wasm/opcodes.ts';
import type { Value } from '../wasm/value.ts';

export class Scopes {
  private readonly stack: Map<string, Value>[] = [new Map()];

  find<T extends ValueType>(type: T, key: string): Value<T> | undefined {
    for (let i = this.stack.length - 1; i >= 0; i--) {
      const known = this.stack[i]?.get(`${type} ${key}`);
      if (known) return known as Value<T>;
    }
    return undefined;
  }

  add<T extends ValueType>(key: string, value: Value<T>): Value<T> {
    this.stack[this.stack.length - 1]?.set(`${value.type} ${key}`, value);
    return value;
  }

  /** Runs `body` in a region of its own: what it computes is not known after it. */
  within(body: () => void): void {
    this.stack.push(new Map());
    body();
    this.stack.pop();
  }
}
