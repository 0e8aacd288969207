/** A spec of a family reduced to what one model uses: switches folded, absent parts left out, the one variant in place. */
import { parseExpression, spellExpression } from '../expression/index.ts';
import { BODY_KEYS } from '../merge.ts';
import type { Rules } from '../schema-rules.ts';
import { specRules } from '../schema-rules.ts';
import type { MapEntry, MapNode, ScalarNode, ScalarValue, SourceNode } from '../source.ts';
import { foldExpression, onlyValue, sameExpression, valuesOf } from './fold-expression.ts';
import type { Known } from './fold-expression.ts';

/** The same model in every layer, with expressions folded; with `drop`, also without the parts that are switched off. */
export function foldSpec(root: MapNode, known: Known, drop: boolean): MapNode {
  const activations = root.entries.get('activations')?.value;
  const own = new Set(activations?.kind === 'map' ? activations.entries.keys() : []);
  const folded = new Folder(known, own, drop).fold(specRules(), root, '');
  return folded?.kind === 'map' ? folded : root;
}

class Folder {
  constructor(private readonly known: Known, private readonly activations: ReadonlySet<string>, private readonly drop: boolean) {}

  /** Undefined where nothing is left. `key`: what the node stands under; an item, what its list stands under. */
  fold(rules: Rules, node: SourceNode, key: string): SourceNode | undefined {
    switch (node.kind) {
      case 'scalar': return this.scalar(rules, node, key);
      case 'list': {
        const { items } = rules;
        if (!items) return node;
        // Where a null has a place among others, it keeps it.
        const folded = node.items.flatMap((item) => this.fold(items, item, key) ?? (rules.expression === undefined ? [] : [item]));
        return { ...node, items: key === 'variants' ? untilCertain(folded) : folded };
      }
      case 'map': return this.map(rules, node, key);
      default: return node satisfies never;
    }
  }

  private scalar(rules: Rules, node: ScalarNode, key: string): SourceNode | undefined {
    const kind = rules.expression;
    if (kind === undefined || typeof node.value !== 'string') return node;
    if (rules.names.includes(node.value) || (kind === 'choice' && this.activations.has(node.value))) return this.drop && isAbsentNorm(key, node.value) ? undefined : node;
    const parsed = parseExpression(node.value);
    if (!parsed.ok) return node;
    const folded = foldExpression(parsed.expression, this.known);
    if (sameExpression(folded, parsed.expression)) return node;
    const written = (value: ScalarValue): ScalarNode => ({ kind: 'scalar', value, place: node.place });
    if (folded.kind !== 'literal') return written(spellExpression(folded));
    if (typeof folded.value !== 'string') return folded.value === null && this.drop ? undefined : written(folded.value);
    const name = kind === 'choice' && /^[A-Za-z][A-Za-z_0-9^]*$/.test(folded.value);
    if (this.drop && isAbsentNorm(key, folded.value)) return undefined;
    return written(name ? folded.value : spellExpression(folded));
  }

  private map(rules: Rules, node: MapNode, key: string): SourceNode | undefined {
    let entries = new Map<string, MapEntry>();
    for (const [name, entry] of node.entries) {
      const below = rules.under(name);
      const value = below ? this.fold(below, entry.value, name) : entry.value;
      if (value) entries.set(name, { key: entry.key, value });
      else if (key === 'params' || key === 'with') entries.set(name, { key: entry.key, value: { kind: 'scalar', value: null, place: entry.value.place } });
    }
    if (!this.drop) return { ...node, entries };
    for (const name of key === 'qk_norm' ? ['enabled'] : ['when']) {
      const condition = constantOf(entries.get(name));
      if (condition === false) return undefined;
      if (condition === true) entries.delete(name);
    }
    entries = inlineVariant(entries);
    const rest: MapNode = { ...node, entries };
    switch (key) {
      case 'window': return entries.has('size') ? rest : undefined;
      case 'scaling': return usedScaling(rest);
      case 'shared': return this.isZero(entries.get('hidden')) ? undefined : rest;
      case 'position': return entries.size > 0 ? rest : { kind: 'scalar', value: 'none', place: node.place };
      case 'residual': case 'parallel': case 'variants': return BODY_KEYS.some((body) => hasBody(entries.get(body))) ? rest : undefined;
      default: return rest;
    }
  }

  private isZero(entry: MapEntry | undefined): boolean {
    if (entry?.value.kind !== 'scalar') return false;
    if (typeof entry.value.value !== 'string') return entry.value.value === 0;
    const parsed = parseExpression(entry.value.value);
    return parsed.ok && onlyValue(valuesOf(parsed.expression, this.known) ?? []) === 0;
  }
}

const ABSENT_NORMS = new Set(['norm', 'post_norm', 'out_norm', 'mid_norm', 'sub_norm', 'v_norm']);

function isAbsentNorm(key: string, value: string): boolean {
  return value === 'none' && ABSENT_NORMS.has(key);
}

function constantOf(entry: MapEntry | undefined): ScalarValue | undefined {
  return entry?.value.kind === 'scalar' ? entry.value.value : undefined;
}

/** Variants up to the first that is for all layers left. */
function untilCertain(variants: readonly SourceNode[]): readonly SourceNode[] {
  const certain = variants.findIndex((variant) => variant.kind === 'map' && !variant.entries.has('when'));
  return certain < 0 ? variants : variants.slice(0, certain + 1);
}

function hasBody(entry: MapEntry | undefined): boolean {
  return entry !== undefined && !(entry.value.kind === 'list' && entry.value.items.length === 0);
}

/** One variant for all layers is the body itself. The step keeps its name. */
function inlineVariant(entries: ReadonlyMap<string, MapEntry>): Map<string, MapEntry> {
  const variants = entries.get('variants')?.value;
  const [only, ...others] = variants?.kind === 'list' ? variants.items : [];
  if (only?.kind !== 'map' || others.length > 0 || only.entries.has('when')) return new Map(entries);
  return new Map([...entries].flatMap(([name, entry]) => (name === 'variants' ? [...only.entries] : [[name, entry] as const])));
}

/** What each kind of scaling reads. */
const SCALING_KEYS: Readonly<Record<string, readonly string[]>> = {
  linear: ['factor'],
  dynamic: ['factor', 'original_context'],
  llama3: ['factor', 'original_context', 'low_freq_factor', 'high_freq_factor'],
  yarn: ['factor', 'original_context', 'beta_fast', 'beta_slow', 'truncate', 'attention_factor', 'mscale', 'mscale_all_dim'],
  longrope: ['factor', 'original_context', 'attention_factor', 'short_factor', 'long_factor'],
  proportional: ['factor', 'partial'],
};

function usedScaling(scaling: MapNode): MapNode | undefined {
  const type = constantOf(scaling.entries.get('type'));
  if (type === undefined || type === 'none' || type === 'default') return undefined;
  const keys = SCALING_KEYS[type === 'su' ? 'longrope' : String(type)];
  if (!keys) return scaling;
  return { ...scaling, entries: new Map([...scaling.entries].filter(([key]) => key === 'type' || key === 'when' || keys.includes(key))) };
}
