export const limits: { readonly inputs: number; readonly order: number; readonly none: number };
export interface Reply { readonly ids: readonly number[]; readonly tokens: readonly number[] }
export interface Difference { readonly at: number; readonly gap: number; readonly deviation: number; readonly behind: readonly number[] }
export interface Verdict { readonly word: 'equal' | 'near tie' | 'DIFFERENT'; readonly why?: string; readonly idsEqual: boolean; readonly equal: number; readonly distance?: number }
export function verdict(own: Reply, other: Reply, difference: Difference | undefined, limit: number, most: number): Verdict;
export function deviationOf(row: Float32Array): number;
export function distanceOf(a: Float32Array, b: Float32Array): number;
