/** Each model type and each architecture of GGUF files is served by one spec, which is found by it. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readHeader } from '../../compiler/load.ts';
import { parseSpec } from '../../compiler/parse.ts';
import { modelsFolder, specsFor } from '../../runtime/locate.ts';

const folder = modelsFolder();
const headers = readdirSync(folder).filter((name) => name.endsWith('.yaml')).map((name) => {
  const file = path.join(folder, name);
  return { file, header: readHeader(parseSpec(readFileSync(file), file).document!.root) };
});

test.each(['modelTypes', 'ggufArchitectures'] as const)('%s', (serves) => {
  const pairs = headers.flatMap(({ file, header }) => header[serves].map((type) => ({ type, file })));
  expect(pairs.length).toBeGreaterThan(0);
  expect(pairs.map(({ type }) => ({ type, files: specsFor(type, folder, serves) }))).toEqual(pairs.map(({ type, file }) => ({ type, files: [file] })));
});
