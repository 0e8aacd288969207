/** Every key of a GGUF file's metadata, accounted for: read by a param, known to be irrelevant, expected to have one value, or reported. */
import { capDiagnostics } from './diagnostics.ts';
import type { Diagnostic } from './diagnostics.ts';
import { matchesGlob } from './glob.ts';
import type { LoadedSpec } from './load.ts';
import { textList } from './load.ts';
import { nearest } from './nearest.ts';
import { nodeAt, plainValue, pointer } from './source.ts';

export interface MetadataFile {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Where a key stands: its byte, from 1. */
  readonly columnOf: (key: string) => number;
}

/** Errors where the spec describes another model than the file, warnings for keys that nothing accounts for. */
export function checkMetadata(spec: LoadedSpec, file: MetadataFile): readonly Diagnostic[] {
  const architecture = String(file.values['general.architecture'] ?? '');
  const filled = (key: string): string => key.replaceAll('{arch}', architecture);
  const found: Diagnostic[] = [];
  const report = (key: string, code: Diagnostic['code'], severity: Diagnostic['severity'], path: string, message: string, hint?: string): void => {
    found.push({ code, severity, path, message, location: { file: file.name, line: 1, column: file.columnOf(key) }, ...(hint === undefined ? {} : { hint }) });
  };
  const read = new Set(readKeys(spec).map(filled));
  const ignored = textList(nodeAt(spec.root, '/metadata/ignore')).map(filled);
  const expected = new Map(expectations(spec).map(([key, allowed]) => [filled(key), { written: key, allowed }]));
  for (const [key, { written, allowed }] of expected) {
    const value = file.values[key];
    if (value === undefined || allowed.some((candidate) => JSON.stringify(candidate) === shown(value))) continue;
    const wanted = allowed.map((candidate) => JSON.stringify(candidate)).join(' or ');
    report(key, 'E505', 'error', pointer('/metadata/expect', written), `${key} is ${shown(value)}, but the spec describes only ${wanted}`);
  }
  for (const key of Object.keys(file.values)) {
    if (read.has(key) || expected.has(key) || ignored.some((pattern) => matchesGlob(pattern, key))) continue;
    const close = nearest(key, [...read, ...expected.keys()]);
    report(key, 'W506', 'warning', '/metadata', `the spec does not know the metadata key ${key}`,
      close === undefined ? 'if it does not change the result, add it to metadata.ignore' : `nearest known: ${close}`);
  }
  return capDiagnostics(found);
}

/** Keys that params read. */
function readKeys(spec: LoadedSpec): string[] {
  const params = nodeAt(spec.root, '/params');
  if (params?.kind !== 'map') return [];
  return [...params.entries.values()].flatMap(({ value }) => (value.kind === 'map' ? textList(value.entries.get('gguf')?.value) : []));
}

function expectations(spec: LoadedSpec): [string, readonly unknown[]][] {
  const node = nodeAt(spec.root, '/metadata/expect');
  if (node?.kind !== 'map') return [];
  return [...node.entries].map(([key, { value }]) => {
    const plain = plainValue(value);
    return [key, Array.isArray(plain) ? plain : [plain]];
  });
}

function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
