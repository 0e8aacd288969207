/** Uniform numbers in [0, 1) from a seed: sfc32 (Chris Doty-Humphrey, PractRand), seeded through splitmix32. */
export function randomSource(seed: number): () => number {
  let mix = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  const next = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) | 0;
  };
  let a = next(), b = next(), c = next(), counter = 1;
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}
