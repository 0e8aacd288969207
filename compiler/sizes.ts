/** Bytes as people write them: `128 MiB`, `1.5 GB`, `64 B`. */
const SIZE = /^(\d+(?:\.\d+)?) ?(?:([KMGT])(i?))?B$/;

/** How many bytes a text says; undefined for one that is no size. */
export function bytesOf(text: string): number | undefined {
  const [all, amount = '', prefix = '', binary = ''] = SIZE.exec(text) ?? [];
  return all === undefined ? undefined : Math.round(Number(amount) * (binary === '' ? 1000 : 1024) ** (prefix === '' ? 0 : 'KMGT'.indexOf(prefix) + 1));
}
