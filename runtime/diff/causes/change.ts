/** Changing all parts of a kind in a resolved model alike. Each gives `undefined` where nothing was changed. */
import type { Attention, Branch, BranchBody, FeedForward, LatentAttention, Layer, Model, Norm, Position, ResidualStep, Rope } from '../../../compiler/model.ts';
import type { Alternative, Scope, WeightChange } from './types.ts';

export type AnyAttention = Attention | LatentAttention;

/** An alternative, unless there is nothing to change. */
export function alternative(text: string, model: Model | undefined, weights?: WeightChange): Alternative[] {
  return model ? [{ text, model, ...(weights ? { weights } : {}) }] : [];
}

/** Alternatives for the values that are not there already. */
export function others<V>(values: readonly V[], make: (value: V) => readonly Alternative[]): Alternative[] {
  return [...new Set(values)].flatMap((value) => make(value));
}

/** `1e-5 in place of 1e-6`, where what is there now is the same in all places; `1e-5` where it is not. */
export function instead(next: string, now: Iterable<string>): string {
  const all = [...new Set(now)];
  return all.length === 1 ? `${next} in place of ${all[0]}` : next;
}

/** A number as people write it. */
export function show(x: number): string {
  return Number.isInteger(x) && Math.abs(x) < 1e9 ? String(x) : String(Number(x.toPrecision(4)));
}

export function eachLayer(model: Model, scope: Scope, change: (layer: Layer) => Layer): Model | undefined {
  const layers = model.layers.map((layer) => (layer.index < scope.firstLayer ? layer : change(layer)));
  return layers.every((layer, i) => layer === model.layers[i]) ? undefined : { ...model, layers };
}

export function eachStep(model: Model, scope: Scope, change: (step: ResidualStep, layer: Layer) => ResidualStep): Model | undefined {
  return eachLayer(model, scope, (layer) => {
    const steps = layer.steps.map((step) => change(step, layer));
    return steps.every((step, i) => step === layer.steps[i]) ? layer : { ...layer, steps };
  });
}

export function eachBranch(model: Model, scope: Scope, change: (branch: Branch, layer: Layer) => Branch): Model | undefined {
  return eachStep(model, scope, (step, layer) => {
    const branches = step.branches.map((branch) => change(branch, layer));
    return branches.every((branch, i) => branch === step.branches[i]) ? step : { ...step, branches };
  });
}

export function eachBody(model: Model, scope: Scope, change: (body: BranchBody, layer: Layer) => BranchBody): Model | undefined {
  return eachBranch(model, scope, (branch, layer) => {
    const body = change(branch.body, layer);
    return body === branch.body ? branch : { ...branch, body };
  });
}

/** Attentions of both kinds. */
export function eachAttention(model: Model, scope: Scope, change: <A extends AnyAttention>(attention: A, layer: Layer) => A): Model | undefined {
  return eachBody(model, scope, (body, layer) => (body.kind === 'attention' || body.kind === 'mla' ? change(body, layer) : body));
}

export function eachPlainAttention(model: Model, scope: Scope, change: (attention: Attention, layer: Layer) => Attention): Model | undefined {
  return eachBody(model, scope, (body, layer) => (body.kind === 'attention' ? change(body, layer) : body));
}

export function eachPosition(model: Model, scope: Scope, change: (position: Position, attention: AnyAttention) => Position): Model | undefined {
  return eachAttention(model, scope, (attention) => {
    const position = change(attention.position, attention);
    return position === attention.position ? attention : { ...attention, position };
  });
}

export function eachRope(model: Model, scope: Scope, change: (rope: Rope, attention: AnyAttention) => Rope): Model | undefined {
  return eachPosition(model, scope, (position, attention) => (position.kind === 'rope' ? change(position, attention) : position));
}

/** Feed-forwards, those of experts and the shared ones too. */
export function eachFeedForward(model: Model, scope: Scope, change: (ffn: FeedForward) => FeedForward): Model | undefined {
  return eachBody(model, scope, (body) => {
    if (body.kind === 'ffn') return change(body);
    if (body.kind !== 'moe') return body;
    const expert = change(body.expert);
    const shared = body.shared && { ...change(body.shared), gate: body.shared.gate };
    const same = expert === body.expert && (!body.shared || change(body.shared) === body.shared);
    return same ? body : { ...body, expert, ...(shared ? { shared } : {}) };
  });
}

/** Where a norm stands. */
export type NormRole = 'input norm' | 'post norm' | 'output norm of the step' | 'query and key norm' | 'value norm' | 'norm of the mixed values' | 'inner norm' | 'latent norm'
  | 'final norm' | 'embedding norm';

/** Every norm; `undefined` takes it away, where that is possible. */
export function eachNorm(model: Model, scope: Scope, change: (norm: Norm, role: NormRole) => Norm | undefined): Model | undefined {
  const layers = eachStep(model, scope, (step) => {
    const next: { -readonly [K in keyof ResidualStep]: ResidualStep[K] } = { ...step };
    setNorm(next, 'norm', step.norm && change(step.norm, 'input norm'));
    setNorm(next, 'postNorm', step.postNorm && change(step.postNorm, 'post norm'));
    setNorm(next, 'outNorm', step.outNorm && change(step.outNorm, 'output norm of the step'));
    const branches = step.branches.map((branch) => branchNorms(branch, change));
    const same = next.norm === step.norm && next.postNorm === step.postNorm && next.outNorm === step.outNorm && branches.every((branch, i) => branch === step.branches[i]);
    return same ? step : { ...next, branches };
  });
  let changed: Model = layers ?? model;
  if (changed.output.norm) {
    const output: { -readonly [K in keyof Model['output']]: Model['output'][K] } = { ...changed.output };
    setNorm(output, 'norm', change(changed.output.norm, 'final norm'));
    if (output.norm !== changed.output.norm) changed = { ...changed, output };
  }
  if (scope.embeddings && changed.embeddings.norm) {
    const embeddings: { -readonly [K in keyof Model['embeddings']]: Model['embeddings'][K] } = { ...changed.embeddings };
    setNorm(embeddings, 'norm', change(changed.embeddings.norm, 'embedding norm'));
    if (embeddings.norm !== changed.embeddings.norm) changed = { ...changed, embeddings };
  }
  return changed === model ? undefined : changed;
}

/** An absent property, not one that is undefined. */
function setNorm<K extends string>(target: { [P in K]?: Norm }, key: K, norm: Norm | undefined): void {
  if (norm) target[key] = norm;
  else delete target[key];
}

function branchNorms(branch: Branch, change: (norm: Norm, role: NormRole) => Norm | undefined): Branch {
  const next: { -readonly [K in keyof Branch]: Branch[K] } = { ...branch };
  setNorm(next, 'norm', branch.norm && change(branch.norm, 'input norm'));
  setNorm(next, 'postNorm', branch.postNorm && change(branch.postNorm, 'post norm'));
  const body = bodyNorms(branch.body, change);
  return next.norm === branch.norm && next.postNorm === branch.postNorm && body === branch.body ? branch : { ...next, body };
}

function bodyNorms(body: BranchBody, change: (norm: Norm, role: NormRole) => Norm | undefined): BranchBody {
  if (body.kind === 'mla') {
    const latentNorm = change(body.latentNorm, 'latent norm') ?? body.latentNorm;
    return latentNorm === body.latentNorm ? body : { ...body, latentNorm };
  }
  if (body.kind === 'ffn') {
    const midNorm = body.midNorm && change(body.midNorm, 'inner norm');
    return midNorm === undefined || midNorm === body.midNorm ? body : { ...body, midNorm };
  }
  if (body.kind !== 'attention') return body;
  const next: { -readonly [K in keyof Attention]: Attention[K] } = { ...body };
  const qk = body.qkNorm && change(body.qkNorm.norm, 'query and key norm');
  if (qk && body.qkNorm) next.qkNorm = qk === body.qkNorm.norm ? body.qkNorm : { ...body.qkNorm, norm: qk };
  else delete next.qkNorm;
  setNorm(next, 'vNorm', body.vNorm && change(body.vNorm, 'value norm'));
  setNorm(next, 'subNorm', body.subNorm && change(body.subNorm, 'norm of the mixed values'));
  return next.qkNorm === body.qkNorm && next.vNorm === body.vNorm && next.subNorm === body.subNorm ? body : next;
}
