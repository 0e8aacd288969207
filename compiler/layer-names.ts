/** Names of what lies in a layer, without its number. */

/** The layer's number; undefined outside of layers. */
export type Layer = number | undefined;

export function layerOf(name: string): Layer {
  const number = /^layers\.(\d+)/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

/**
 * As a layer calls what is in it: `layers.3.ffn` in layer 3 -> `layers.{i}.ffn`, in layer 4 -> `layers.{i-1}.ffn`. Outside of layers names stay
 * as they are, but for those of the last layer, if that is given: `layers.{last}.ffn`.
 */
export function ownLayer(text: string, layer: Layer, last?: number): string {
  if (layer === undefined && last === undefined) return text;
  return text.replace(/(?<![\w.])layers\.(\d+)/g, (all, number: string) => {
    if (layer === undefined) return Number(number) === last && last > 0 ? 'layers.{last}' : all;
    const distance = Number(number) - layer;
    return `layers.{i${distance === 0 ? '' : distance > 0 ? `+${distance}` : distance}}`;
  });
}
