/** How much memory this process may still take: of the machine, of the containers that it is in, of its own limits. */

/** Where the numbers come from. Texts are those of Linux's /proc and /sys; undefined where a file cannot be read. */
export interface SystemSource {
  readonly platform: string;
  readonly read: (file: string) => string | undefined;
  /** Bytes of memory of the machine, and those that are free. */
  readonly total: () => number;
  readonly free: () => number;
}

export interface MachineMemory {
  /** Bytes of the machine, or of the limit that leaves least. */
  readonly total: number;
  /** Bytes that this process may still take. */
  readonly free: number;
  readonly limitedBy: 'machine' | 'container' | 'address space';
}

/** Beyond this a number stands for "no limit". */
const noLimit = 2 ** 60;

export function machineMemory(source: SystemSource): MachineMemory {
  const found = [ofMachine(source), ...(source.platform === 'linux' ? [...ofContainers(source), ...ofAddressSpace(source)] : [])];
  return found.reduce((least, one) => (one.free < least.free ? one : least));
}

/** This machine's memory; undefined where nothing tells it, as in a browser. */
export async function thisMachine(): Promise<MachineMemory | undefined> {
  try {
    const [os, { readFileSync }] = await Promise.all([import('node:os'), import('node:fs')]);
    const read = (file: string): string | undefined => {
      try { return readFileSync(file, 'utf8'); } catch { return undefined; }
    };
    return machineMemory({ platform: process.platform, read, total: os.totalmem, free: os.freemem });
  } catch {
    return undefined;
  }
}

function ofMachine({ platform, read, total, free }: SystemSource): MachineMemory {
  const text = platform === 'linux' ? read('/proc/meminfo') : undefined;
  const kilobytes = (name: string): number | undefined => numberIn(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'), text);
  const [all, available] = [kilobytes('MemTotal'), kilobytes('MemAvailable')];
  if (all !== undefined && available !== undefined) return { total: 1024 * all, free: 1024 * available, limitedBy: 'machine' };
  // What macOS calls free leaves out all that it would give away at once: only the whole is known.
  return { total: total(), free: platform === 'darwin' ? total() : free(), limitedBy: 'machine' };
}

/** The process's groups and those that they are in: each with its limit, less what is used but for files kept in memory, which make room. */
function ofContainers({ read }: SystemSource): MachineMemory[] {
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').flatMap((line) => {
    const [id = '', controllers = '', ...rest] = line.split(':');
    const path = rest.join(':');
    if (id === '0' && controllers === '') return [{ version: 2, root: '/sys/fs/cgroup', path }];
    return controllers.split(',').includes('memory') ? [{ version: 1, root: '/sys/fs/cgroup/memory', path }] : [];
  });
  return groups.flatMap(({ version, root, path }) => parents(path).flatMap((group) => {
    const number = (name: string): number | undefined => numberIn(/^(\d+)/, read(`${root}${group}/${name}`));
    const limits = version === 2 ? [number('memory.max'), number('memory.high')] : [number('memory.limit_in_bytes')];
    const total = Math.min(...limits.map((limit) => limit ?? Infinity));
    const used = number(version === 2 ? 'memory.current' : 'memory.usage_in_bytes');
    if (!(total < noLimit) || used === undefined) return [];
    const stat = read(`${root}${group}/memory.stat`);
    const files = ['inactive_file', 'active_file'].reduce((n, name) => n + (numberIn(new RegExp(`^${version === 2 ? '' : 'total_'}${name} (\\d+)`, 'm'), stat) ?? 0), 0);
    return [{ total, free: Math.max(0, total - Math.max(0, used - files)), limitedBy: 'container' as const }];
  }));
}

/** /a/b -> /a/b, /a, and the root. In a container the path may be that outside of it: then only the root is found. */
function parents(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return parts.map((_, n) => `/${parts.slice(0, parts.length - n).join('/')}`).concat('');
}

/** `ulimit -v`. */
function ofAddressSpace({ read }: SystemSource): MachineMemory[] {
  const limit = numberIn(/^Max address space\s+(\d+)\s/m, read('/proc/self/limits'));
  const used = numberIn(/^VmSize:\s+(\d+) kB/m, read('/proc/self/status'));
  return limit === undefined || used === undefined ? [] : [{ total: limit, free: Math.max(0, limit - 1024 * used), limitedBy: 'address space' }];
}

function numberIn(pattern: RegExp, text: string | undefined): number | undefined {
  const digits = text === undefined ? undefined : pattern.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
