/** Cases in processes of their own: whatever happens to one of those, the others' cases are run and it is said. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { targets } from '../../compiler/targets.ts';
import type { CaseResult, TestCase } from '../../runtime/graph-tests/case.ts';
import { runCases, type PoolOptions } from '../../runtime/graph-tests/pool.ts';
import { selectCases } from '../../runtime/graph-tests/select.ts';
import { folderWith } from './files.ts';

/** Serves cases by what their file is called; results carry the process's id as milliseconds. */
const WORKER = `
process.on('disconnect', () => process.exit(0));
process.on('message', ({ file, index }) => {
  const pass = () => process.send({ name: String(index), file, location: { file, line: 1, column: 1 }, status: 'passed', findings: [], milliseconds: process.pid, files: [file] });
  if (file === 'exits') { console.error('terminate called\\nout of memory'); process.exit(9); }
  else if (file === 'crashes') process.kill(process.pid, 'SIGSEGV');
  else if (file === 'hangs') setTimeout(() => undefined, 1e8);
  else if (file === 'slow') setTimeout(pass, 150);
  else if (file === 'dies after') { pass(); setTimeout(() => process.exit(0), 20); }
  else pass();
});
`;

function cases(...files: string[]): TestCase[] {
  return files.map((file, index) => ({ name: `${file} ${index}`, file, index, location: { file, line: index + 1, column: 1 }, spec: 'tiny.yaml', with: {}, seed: 1, target: targets.cpu, expect: [] }));
}

function run(tests: readonly TestCase[], options: Partial<PoolOptions> = {}): Promise<CaseResult[]> {
  const program = [path.join(folderWith({ 'worker.mjs': WORKER }), 'worker.mjs')] as const;
  return runCases(tests, { program, workers: 2, timeout: 30, update: false, ...options });
}

it('reports a process that ends, with its last words, and goes on in another', async () => {
  const results = await run(cases('fine', 'crashes', 'fine', 'exits', 'fine'), { workers: 1 });
  expect(results.map(({ status }) => status)).toEqual(['passed', 'error', 'passed', 'error', 'passed']);
  expect(results[1]).toMatchObject({
    name: 'crashes 1', location: { line: 2 },
    findings: [{ kind: 'error', expectation: '', message: 'the process that ran it ended with SIGSEGV before the case did', location: { line: 2 } }],
  });
  expect(results[3]?.findings[0]?.message).toBe('the process that ran it ended with exit code 9 before the case did; its last words:\nterminate called\nout of memory');
  expect(new Set([0, 2, 4].map((at) => results[at]?.milliseconds)).size).toBe(3);
});

it('ends a case that takes too long', async () => {
  const results = await run(cases('hangs', 'fine'), { workers: 1, timeout: 4 });
  expect(results.map(({ status, findings }) => [status, findings[0]?.message])).toEqual([['error', 'it took more than 4 s and was ended'], ['passed', undefined]]);
});

it('blames no case for a process that ended because of the one before', async () => {
  const results = await run(cases('dies after', 'slow', 'fine', 'dies after', 'fine'), { workers: 1 });
  expect(results.map(({ status }) => status)).toEqual(['passed', 'passed', 'passed', 'passed', 'passed']);
});

it('gives results in the order of the cases, while it runs several at once', async () => {
  const seen: string[] = [];
  const done: number[] = [];
  const results = await run(cases('slow', 'fine', 'fine', 'slow', 'fine'), { onResult: ({ name }) => seen.push(name), onProgress: (n) => done.push(n) });
  expect(seen).toEqual(['0', '1', '2', '3', '4']);
  expect(results.map(({ name }) => name)).toEqual(seen);
  expect(done).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(results.map(({ milliseconds }) => milliseconds)).size).toBe(2);
});

it('says what kept the program from being started', async () => {
  const [result] = await run(cases('fine'), { program: ['no-such-program.mjs'], workers: 1 });
  expect(result?.status).toBe('error');
  expect(result?.findings[0]?.message).toMatch(/ended with exit code 1 before the case did; its last words:[^]*/);
});

it('takes each case into one shard, whatever their number', () => {
  for (const total of [0, 1, 5, 12]) {
    const all = cases(...Array.from({ length: total }, (_, i) => `f${i % 3}`));
    for (const count of [1, 2, 3, 7]) {
      const shards = Array.from({ length: count }, (_, i) => selectCases(all, { shard: { index: i + 1, count } }));
      expect(shards.flat().map(({ index }) => index).sort((a, b) => a - b)).toEqual(all.map(({ index }) => index));
      const sizes = shards.map((shard) => shard.length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  }
});

it('takes the cases whose file or name holds the filter', () => {
  const all = cases('models/Llama.test.yaml', 'gpt.yaml', 'llama2.yaml');
  expect(selectCases(all, { filter: 'llama' }).map(({ index }) => index)).toEqual([0, 2]);
  expect(selectCases(all, { filter: 'YAML 1' }).map(({ index }) => index)).toEqual([1]);
  expect(selectCases(all, { filter: 'llama', shard: { index: 2, count: 2 } }).map(({ index }) => index)).toEqual([2]);
});
