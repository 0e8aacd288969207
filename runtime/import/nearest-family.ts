/** For a model that no spec serves: the spec whose description fits it best. */
import path from 'node:path';
import { expandBraces } from '../../compiler/braces.ts';
import { compileSpec, type Compiled } from '../../compiler/compile.ts';
import { loadSpec, readHeader, textList, type LoadedSpec } from '../../compiler/load.ts';
import { editDistance } from '../../compiler/nearest.ts';
import { nodeAt } from '../../compiler/source.ts';
import { readSpecFile, specNames, type Located } from '../locate.ts';
import { compileInput } from '../model.ts';
import { weightProblems } from '../problems.ts';
import type { TensorSource } from '../weights/safetensors.ts';

/** Specs that are compiled, of those whose tensor names are most alike. */
const MOST_COMPILED = 6;

/** The file of the spec that leaves least of the model unplaced. Undefined where models/ has none with a tensor name in common. */
export function nearestFamily(located: Omit<Located, 'spec'>, modelType: string, models: string, source: TensorSource): string | undefined {
  const wanted = new Set([...source.tensors.keys()].map(generalName));
  const ranked = specNames(models).flatMap((name) => {
    const file = path.join(models, `${name}.yaml`);
    const { spec } = loadSpec(file, readSpecFile, models);
    const served = spec ? readHeader(spec.root).modelTypes : [];
    if (!spec || served.length === 0) return [];
    const known = tensorNames(spec);
    const shared = [...wanted].filter((tensor) => known.has(tensor)).length;
    // A plain family before one that says much more than the file has.
    const score = shared - (known.size - shared) / 100 - Math.min(...served.map((type) => editDistance(type, modelType))) / 10;
    return shared === 0 ? [] : [{ file, score }];
  }).sort((a, b) => b.score - a.score).slice(0, MOST_COMPILED);
  const [best] = ranked.map(({ file, score }) => {
    const compiled = compileSpec(compileInput({ ...located, spec: file }, { path: '' }));
    return { file, score: score - problemCount(compiled, source) };
  }).sort((a, b) => b.score - a.score);
  return best?.file;
}

/** Problems that a draft would have. One that does not even resolve is worse than any that does. */
function problemCount(compiled: Compiled, source: TensorSource): number {
  const errors = compiled.diagnostics.filter((d) => d.severity === 'error').length;
  return compiled.graph ? errors + generalProblems(weightProblems(compiled, source).map((d) => d.message)).length : 1000 + errors;
}

/** Messages without the numbers of layers and experts, once each. */
export function generalProblems(messages: readonly string[]): string[] {
  return [...new Set(messages.map(generalName))];
}

/** A name, or a text with names, in which numbers between dots are one and the same. */
export function generalName(name: string): string {
  return name.replace(/\.\d+(?=\.)/g, '.*');
}

/** Every tensor name that a spec's map knows, without prefixes, with the endings that names may take. */
function tensorNames(spec: LoadedSpec): Set<string> {
  const map = nodeAt(spec.root, '/weights/huggingface/tensors');
  const prefixes = textList(nodeAt(spec.root, '/weights/huggingface/prefixes'));
  const names = new Set<string>();
  for (const [key, { value }] of map?.kind === 'map' ? map.entries : []) {
    const sources = value.kind === 'list' ? value.items : [value];
    const written = sources.flatMap((item) => textList(item.kind === 'map' ? item.entries.get('name')?.value : item));
    for (const { choices } of expandBraces(key)) {
      for (const name of written) {
        let used = 0;
        const filled = name.replace(/\{\}/g, () => choices[Math.min(used++, choices.length - 1)] ?? '').replaceAll(/\{[ie]\}/g, '*');
        const endings = /\.(weight|bias)$/.test(key) || /\.(weight|bias)$/.test(name) ? [''] : ['.weight', '.bias'];
        for (const prefix of prefixes.length === 0 ? [''] : prefixes) for (const ending of endings) names.add(prefix + filled + ending);
      }
    }
  }
  return names;
}
