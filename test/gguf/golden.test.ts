/** Golden checkpoints as GGUF files (written by make.py), against what transformers computed for them. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readGolden } from '../support/golden.ts';
import { expectRecorded, onReference, withLoader } from '../support/golden-suite.ts';
import { furtherFolder, goldenFolder, openGguf } from '../support/model-folder.ts';
import type { ParamValue } from '../../compiler/model.ts';

const folder = fileURLToPath(new URL('files', import.meta.url));
const names = readdirSync(folder).filter((file) => file.endsWith('.gguf')).map((file) => file.slice(0, -5));

/** What the tiny checkpoints have otherwise than their families, and no metadata tell. */
const untold: Readonly<Record<string, Readonly<Record<string, ParamValue>>>> = {
  mistral: { window: 9 },
  gemma2: { query_scalar: 10 },
  gemma3: { query_scalar: 10, pattern: 3 },
};

describe('golden checkpoints as GGUF files on the reference backend', () => {
  withLoader(onReference, (loader) => {
    test.each(names)('%s', async (name) => {
      const recorded = [goldenFolder, furtherFolder].map((base) => path.join(base, name)).find((candidate) => existsSync(candidate));
      if (recorded === undefined) throw new Error(`no recording of ${name}`);
      await expectRecorded(loader(), await readGolden(recorded), await openGguf(path.join(folder, `${name}.gguf`), untold[name]));
    });
  });

  test('are of every family that both have', () => {
    expect(names.length).toBeGreaterThanOrEqual(32);
  });
});
