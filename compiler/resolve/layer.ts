import { BODY_KEYS } from '../merge.ts';
import type { Branch, BranchBody, CustomBlock, Layer, ParamValue, ResidualStep } from '../model.ts';
import { nearest } from '../nearest.ts';
import { resolveAttention, resolveLatentAttention } from './attention.ts';
import type { Cursor } from './cursor.ts';
import { resolveFeedForward, resolveMixture } from './feed-forward.ts';
import type { LayerContext } from './layer-context.ts';
import { resolveNorm } from './norm.ts';

/** The residual steps of one layer. `residual`'s scope has this layer's index. */
export function resolveLayer(residual: Cursor, context: LayerContext): Layer {
  const ids = new Map<string, string>();
  const steps = residual.items().flatMap((item) => resolveStep(item, context, ids) ?? []);
  return { index: context.index, params: context.params, steps };
}

function resolveStep(field: Cursor, context: LayerContext, ids: Map<string, string>): ResidualStep | undefined {
  if (!field.get('when').boolean(true)) return undefined;
  const parallel = field.get('parallel');
  const body = bodyKey(field);
  const id = field.get('id').text() ?? (body === 'variants' ? variantKind(field) : body) ?? 'step';
  const branches = parallel.present
    ? parallel.items().flatMap((item) => resolveBranch(item, context, ids) ?? [])
    : singleBranch(field, id, context);
  claim(field, id, ids);
  if (branches.length === 0) return undefined;
  const norm = resolveNorm(field.get('norm'), context.norm);
  const postNorm = resolveNorm(field.get('post_norm'), context.norm);
  const outNorm = resolveNorm(field.get('out_norm'), context.norm);
  const from = field.get('skip_from').choice(['input', 'normed'] as const) ?? 'input';
  if (from === 'normed' && !norm) field.get('skip_from').report('E306', 'the skip connection is from the normed input, but the step has no norm');
  return {
    id, path: field.path, branches, from,
    ...(norm ? { norm } : {}), ...(postNorm ? { postNorm } : {}), ...(outNorm ? { outNorm } : {}),
    scale: field.get('scale').number() ?? 1,
    skipScale: field.get('skip_scale').number() ?? 1,
  };
}

function singleBranch(field: Cursor, id: string, context: LayerContext): Branch[] {
  const body = resolveBody(field, context);
  return body ? [{ id, path: field.path, body }] : [];
}

function resolveBranch(field: Cursor, context: LayerContext, ids: Map<string, string>): Branch | undefined {
  if (!field.get('when').boolean(true)) return undefined;
  const key = bodyKey(field);
  const id = field.get('id').text() ?? (key === 'variants' ? variantKind(field) : key) ?? 'branch';
  claim(field, id, ids);
  const body = resolveBody(field, context);
  if (!body) return undefined;
  const norm = resolveNorm(field.get('norm'), context.norm);
  const postNorm = resolveNorm(field.get('post_norm'), context.norm);
  return { id, path: field.path, body, ...(norm ? { norm } : {}), ...(postNorm ? { postNorm } : {}) };
}

/** Ids are unique within a layer, because weights are named by them. */
function claim(field: Cursor, id: string, ids: Map<string, string>): void {
  const earlier = ids.get(id);
  if (earlier === undefined) ids.set(id, field.path);
  else field.report('E305', `two parts of a layer are called \`${id}\`: this and ${earlier}`, 'give one an id of its own');
}

function resolveBody(field: Cursor, context: LayerContext): BranchBody | undefined {
  const key = bodyKey(field);
  if (key === undefined) return undefined;
  const body = field.get(key);
  switch (key) {
    case 'attention': return resolveAttention(body, context);
    case 'mla': return resolveLatentAttention(body, context);
    case 'ffn': return resolveFeedForward(body, context);
    case 'moe': return resolveMixture(body, context);
    case 'block': return resolveBlockUse(body, context);
    case 'parallel': return undefined;
    case 'variants': {
      const chosen = body.items().find((variant) => variant.get('when').boolean(true));
      // A condition that is not known, as where a spec is checked without a config, says nothing about the variant's fields.
      return chosen && chosen.get('when').value() !== undefined ? resolveBody(chosen, context) : undefined;
    }
    default: return key satisfies never;
  }
}

/** The one body of a step, branch or variant; none or several are reported. */
function bodyKey(field: Cursor): (typeof BODY_KEYS)[number] | undefined {
  const keys = BODY_KEYS.filter((key) => field.get(key).present);
  if (keys.length === 0) field.report('E205', `this needs a body: one of ${BODY_KEYS.join(', ')}`);
  if (keys.length > 1) field.report('E205', `this has several bodies: ${keys.join(', ')}; one is allowed`);
  return keys[0];
}

/** The id of a step that names none and has variants: the kind of the first. */
function variantKind(field: Cursor): string | undefined {
  const first = field.get('variants').items()[0];
  return first && bodyKey(first);
}

function resolveBlockUse(field: Cursor, context: LayerContext): CustomBlock {
  const block = field.get('use').text() ?? '';
  const definition = context.blocks.get(block);
  if (block !== '' && !definition) {
    const close = nearest(block, context.blocks.keys());
    field.get('use').report('E502', `no block \`${block}\` is defined under \`blocks\``, close === undefined ? undefined : `did you mean \`${close}\`?`);
  }
  const params: Record<string, ParamValue> = {};
  const defaults = definition?.get('params').entries() ?? [];
  for (const [name, value] of defaults) params[name] = value.at(field.scope).value() ?? null;
  for (const [name, value] of field.get('with').entries()) {
    if (definition && !Object.hasOwn(params, name)) {
      const close = nearest(name, Object.keys(params));
      value.report('E503', `the block \`${block}\` has no param \`${name}\``, close === undefined ? undefined : `did you mean \`${close}\`?`);
    }
    params[name] = value.value() ?? null;
  }
  return { kind: 'custom', block, params };
}
