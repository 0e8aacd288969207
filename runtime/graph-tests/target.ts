/** `target:` of a case -> what a plan is made for. */
import { nearest } from '../../compiler/nearest.ts';
import type { Target } from '../../compiler/plan.ts';
import { targets } from '../../compiler/targets.ts';
import { bytesOf } from '../../compiler/sizes.ts';
import type { PlainValue } from '../../compiler/source.ts';

const named: ReadonlyMap<string, Target> = new Map<string, Target>([['cpu', targets.cpu], ['webgpu', targets.webgpu], ['webgpu-software', targets.webgpuSoftware]]);

/** The target by name, or a name near to it. */
export function targetNamed(name: string): Target | { readonly known: readonly string[]; readonly close?: string } {
  const target = named.get(name);
  if (target) return target;
  const close = nearest(name, named.keys());
  return { known: [...named.keys()], ...(close === undefined ? {} : { close }) };
}

/** A target that the schema has found right: a name, or a map with what differs from a named one. */
export function targetOf(value: PlainValue | undefined): Target {
  const fields = typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Readonly<Record<string, PlainValue>> : { device: value ?? 'cpu' };
  const base = named.get(String(fields['device'])) ?? targets.cpu;
  const changes: Record<string, number | boolean> = {};
  for (const [key, given] of Object.entries(fields)) {
    if (key === 'device' || given === null) continue;
    const name = key.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
    changes[name] = typeof given === 'string' ? bytesOf(given) ?? 0 : typeof given === 'boolean' ? given : Number(given);
  }
  return { ...base, ...changes };
}
