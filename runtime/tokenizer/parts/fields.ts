/** Reading the components of a tokenizer.json. */
export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A component's parts, under any of the names that the Rust library gives such lists. */
export function list(fields: Fields, key: string): readonly Fields[] {
  const value = fields[key];
  if (!Array.isArray(value) || !value.every(isFields)) throw new Error(`'${key}' must be a list of objects`);
  return value;
}

export function text(fields: Fields, key: string, otherwise: string): string {
  const value = fields[key];
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== 'string') throw new Error(`'${key}' must be a text`);
  return value;
}

/** What the Rust library calls white space. */
export const whiteSpace = '\\p{White_Space}';
