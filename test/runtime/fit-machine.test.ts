/** How much memory is free, from made-up files of /proc and /sys. */
import { expect, test } from 'vitest';
import { asMemoryError } from '../../runtime/fit/out-of-memory.ts';
import { machineMemory, thisMachine, type MachineMemory, type SystemSource } from '../../runtime/fit/machine.ts';

const GiB = 2 ** 30;
const meminfo = 'MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n';

function system(files: Readonly<Record<string, string>>, change: Partial<SystemSource> = {}): SystemSource {
  return { platform: 'linux', read: (file) => files[file], total: () => 64 * GiB, free: () => 3 * GiB, ...change };
}
const found = (files: Readonly<Record<string, string>>, change?: Partial<SystemSource>): MachineMemory => machineMemory(system(files, change));

test('Linux: what is available, not what is free', () => {
  expect(found({ '/proc/meminfo': meminfo })).toEqual({ total: 16 * GiB, free: 8 * GiB, limitedBy: 'machine' });
});

test('without /proc/meminfo, what Node says; on macOS all there is, as its free memory leaves out what it would give', () => {
  expect(found({})).toEqual({ total: 64 * GiB, free: 3 * GiB, limitedBy: 'machine' });
  expect(found({ '/proc/meminfo': meminfo }, { platform: 'win32' })).toEqual({ total: 64 * GiB, free: 3 * GiB, limitedBy: 'machine' });
  expect(found({}, { platform: 'darwin' })).toEqual({ total: 64 * GiB, free: 64 * GiB, limitedBy: 'machine' });
});

test('cgroup v2: the limit less what is used, but for files kept in memory', () => {
  const files = {
    '/proc/meminfo': meminfo, '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': `${2 * GiB}\n`, '/sys/fs/cgroup/memory.high': 'max\n',
    '/sys/fs/cgroup/memory.current': `${GiB}\n`, '/sys/fs/cgroup/memory.stat': `anon 1\nfile 999\ninactive_file ${GiB / 2}\nactive_file ${GiB / 4}\nfile_mapped 7\n`,
  };
  expect(found(files)).toEqual({ total: 2 * GiB, free: 1.75 * GiB, limitedBy: 'container' });
  // Beyond memory.high a process is slowed down until it stands.
  expect(found({ ...files, '/sys/fs/cgroup/memory.high': `${1.5 * GiB}\n` })).toEqual({ total: 1.5 * GiB, free: 1.25 * GiB, limitedBy: 'container' });
  expect(found({ ...files, '/sys/fs/cgroup/memory.max': 'max\n' })).toMatchObject({ limitedBy: 'machine' });
});

test('cgroup v2: a group above may leave less than the innermost', () => {
  const group = (path: string, max: string, current: number): Record<string, string> => ({ [`/sys/fs/cgroup${path}/memory.max`]: max, [`/sys/fs/cgroup${path}/memory.current`]: String(current) });
  const files = { '/proc/meminfo': meminfo, '/proc/self/cgroup': '0::/user.slice/job:1\n', ...group('/user.slice/job:1', String(4 * GiB), GiB), ...group('/user.slice', String(5 * GiB), 4 * GiB) };
  expect(found(files)).toEqual({ total: 5 * GiB, free: GiB, limitedBy: 'container' });
});

test('cgroup v1: also where the path is one outside of the container', () => {
  const files = {
    '/proc/meminfo': meminfo, '/proc/self/cgroup': '12:pids:/docker/abc\n4:cpu,memory:/docker/abc\n0::/\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': String(GiB), '/sys/fs/cgroup/memory/memory.usage_in_bytes': String(GiB / 2), '/sys/fs/cgroup/memory/memory.stat': `inactive_file 5\ntotal_inactive_file ${GiB / 4}\n`,
  };
  expect(found(files)).toEqual({ total: GiB, free: 0.75 * GiB, limitedBy: 'container' });
  // The number that stands for "none".
  expect(found({ ...files, '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712' })).toMatchObject({ limitedBy: 'machine', free: 8 * GiB });
});

test('a group that is full leaves nothing', () => {
  const files = { '/proc/meminfo': meminfo, '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': '1000', '/sys/fs/cgroup/memory.current': '2000' };
  expect(found(files)).toEqual({ total: 1000, free: 0, limitedBy: 'container' });
});

test('ulimit -v: the limit less the addresses that are taken', () => {
  const limits = (space: string): string => `Limit                     Soft Limit           Hard Limit           Units     \nMax address space         ${space}           unlimited            bytes     \n`;
  const files = { '/proc/meminfo': meminfo, '/proc/self/status': 'Name:\tnode\nVmPeak:\t 9999999 kB\nVmSize:\t 1048576 kB\n' };
  expect(found({ ...files, '/proc/self/limits': limits(String(4 * GiB)) })).toEqual({ total: 4 * GiB, free: 3 * GiB, limitedBy: 'address space' });
  expect(found({ ...files, '/proc/self/limits': limits('unlimited') })).toMatchObject({ limitedBy: 'machine' });
});

test('this machine has less free than in all', async () => {
  const machine = await thisMachine();
  expect(machine?.free).toBeGreaterThan(0);
  expect(machine?.free).toBeLessThan(machine?.total ?? 0);
});

test.each<[string, () => unknown]>([
  ['an array that is too long', () => new Float32Array(2 ** 45)],
  ['a buffer that is too long', () => new ArrayBuffer(2 ** 52)],
  ['WebAssembly memory', () => { throw new RangeError('WebAssembly.Memory(): could not allocate memory'); }],
  ['a worker', () => { throw Object.assign(new Error('Worker terminated due to reaching memory limit: JS heap out of memory'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }); }],
  ['a system call', () => { throw Object.assign(new Error('ENOMEM: not enough memory, read'), { code: 'ENOMEM' }); }],
])('memory that runs out for %s is a line with numbers', async (_what, take) => {
  let error: unknown;
  try { take(); } catch (thrown) { error = thrown; }
  const found = await asMemoryError(error, 'while tiny was being loaded', { total: 2 * GiB, free: GiB, limitedBy: 'machine' });
  expect(String(found)).toMatch(/E903 \/ memory ran out while tiny was being loaded: the process has [\d.]+ [MG]iB, 1.0 GiB of 2.0 GiB are free; peel plan tells/);
});

test('another error stays what it is', async () => {
  const error = new RangeError('Maximum call stack size exceeded');
  expect(await asMemoryError(error, '')).toBe(error);
});
