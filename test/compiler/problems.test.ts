/** What users see when a spec is wrong: every problem at once, each with its place and what to do. */
import { describe, expect, test } from 'vitest';
import { formatDiagnostic, orderDiagnostics } from '../../compiler/diagnostics.ts';
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import { DIAGNOSTIC_CODES } from '../../compiler/diagnostic-codes.ts';
import { checkSpec, resolveModel } from '../../compiler/resolve.ts';
import type { ParamSources } from '../../compiler/resolve/params.ts';
import { stopwatch } from '../support/stopwatch.ts';
import { loadText } from './models.ts';

const small = (changes: Record<string, string> = {}): string => {
  const parts: Record<string, string> = {
    params: '{ dim: 32, heads: 4, kv: 2, vocab: 100 }',
    embeddings: '{ token: { rows: vocab, dim: dim } }',
    attention: '{ heads: heads, kv_heads: kv, position: { rope: { theta: 10000 } } }',
    ffn: '{ hidden: 64, activation: silu, gated: true }',
    output: '{ norm: rmsnorm, linear: { tied: true } }',
    extra: '',
    ...changes,
  };
  return `peel: 1
params: ${parts['params']}
embeddings: ${parts['embeddings']}
layers:
  repeat: 2
  residual:
    - norm: rmsnorm
      attention: ${parts['attention']}
    - norm: rmsnorm
      ffn: ${parts['ffn']}
output: ${parts['output']}
${parts['extra']}`;
};

function problems(text: string, sources: ParamSources = {}): readonly Diagnostic[] {
  const { spec, diagnostics } = loadText(text);
  return spec ? [...diagnostics, ...resolveModel(spec, sources).diagnostics] : diagnostics;
}
const lines = (text: string, sources?: ParamSources): string[] => problems(text, sources).map((d) => formatDiagnostic(d));

test('the small spec is right', () => {
  expect(lines(small())).toEqual([]);
});

describe('each mistake is named where it is', () => {
  const cases: [name: string, changes: Record<string, string>, expected: RegExp[]][] = [
    ['a mistyped key', { attention: '{ heds: heads }' }, [/^test.yaml:8:20 E201 .*\/attention\/heds `heds` is not a key of `attention`; did you mean `heads`\?$/, /E202 .*heads/]],
    ['an unknown name', { attention: '{ heads: hheads }' }, [/^test.yaml:8:27 E403 .* no parameter is called `hheads`; did you mean `heads`\?$/]],
    ['an unknown name inside an expression', { attention: '{ heads: 2 * hheads }' }, [/^test.yaml:8:31 E403/]],
    ['a broken expression', { attention: '{ heads: 2 * (heads }' }, [/^test.yaml:8:37 E401 .*expected \)/]],
    ['an unknown function', { attention: '{ heads: "sqr(16)" }' }, [/^test.yaml:8:28 E405 .*did you mean `sqrt`\?$/]],
    ['heads that cannot share', { attention: '{ heads: 4, kv_heads: 3 }' }, [/^test.yaml:8:40 E302 .*4 heads cannot share 3/]],
    ['odd rotary dimensions', { attention: '{ heads: 4, position: { rope: { dims: 3 } } }' }, [/^test.yaml:8:56 E303 .*in pairs/]],
    ['rotary dimensions beyond the head', { attention: '{ heads: 4, position: { rope: { dims: 16 } } }' }, [/E303 .*16 rotary dimensions exceed the head of 8/]],
    ['a window that is not positive', { attention: '{ heads: 4, window: { size: 0 } }' }, [/E301 .*`size` must be a whole number from 1/]],
    ['a negative dimension', { embeddings: '{ token: { rows: -5, dim: dim } }' }, [/^test.yaml:3:30 E301/]],
    ['a dimension of 2^32', { embeddings: '{ token: { rows: 4294967296, dim: dim } }' }, [/E301 .*at?/]],
    ['a fraction of a head', { attention: '{ heads: 2.5 }' }, [/E301/]],
    ['a wrong choice', { attention: '{ heads: 4, mask: casual }' }, [/E204 .*`casual`.*did you mean `causal`\?/]],
    ['an unknown activation', { ffn: '{ hidden: 64, activation: sillu }' }, [/E308 .*did you mean `silu`\?/]],
    ['a step without a body', { ffn: 'null' }, [/E205 .*needs a body/]],
    ['division by zero', { attention: '{ heads: heads, scale: 1 / (kv - 2) }' }, [/^test.yaml:8:41 E402 .*1 is divided by 0/]],
    ['a text for a number', { attention: "{ heads: \"'four'\" }" }, [/E402 .*`heads` must be a number, but is the text 'four'/]],
    ['a list for a number', { attention: '{ heads: [4] }' }, [/E203 .*`heads` must be a number or a text, not a list/]],
    ['a tied head of other size', { output: '{ linear: { tied: true, rows: 50 } }' }, [/E306 .*100 rows, not 50/]],
    ['a position of two kinds', { attention: '{ heads: 4, position: { rope: {}, alibi: {} } }' }, [/E205 .*one kind/]],
    ['params in a circle', { params: '{ dim: a, a: b, b: dim + 1, heads: 4, kv: 2, vocab: 100 }' }, [/E404 .*dim -> a -> b -> dim/]],
    ['a skip from a norm that is not there', { extra: '' , ffn: '{ hidden: 64, activation: silu }\n      skip_from: normed\n      norm: none' }, [/E104|E306/]],
    ['an unknown block', { extra: 'blocks: { gated: { body: [ { y: x } ] } }', ffn: 'null\n      block: { use: gatd }' }, [/E502 .*`gatd`.*did you mean `gated`\?/]],
    ['an unknown block param', { extra: 'blocks: { gated: { params: { size: 3 }, body: [ { y: x } ] } }', ffn: 'null\n      block: { use: gated, with: { sise: 4 } }' }, [/E503 .*did you mean `size`\?/]],
    ['windows that look back in an encoder', { attention: '{ heads: 4, mask: bidirectional, window: { size: 4 } }' }, [/E306 .*symmetric/]],
    ['too many experts chosen', { ffn: 'null\n      moe: { experts: 4, top_k: 5, expert: { hidden: 8, activation: silu } }' }, [/E304 .*5 of 4 experts/]],
    ['groups that do not divide', { ffn: 'null\n      moe: { experts: 4, top_k: 2, router: { groups: 3 }, expert: { hidden: 8, activation: silu } }' }, [/E304 .*4 experts do not divide into 3 groups/]],
    ['too few experts in the groups', { ffn: 'null\n      moe: { experts: 4, top_k: 3, router: { groups: 2, top_groups: 1 }, expert: { hidden: 8, activation: silu } }' }, [/E304 .*cannot supply 3/]],
    ['a wrong tokenizer source', { extra: 'tokenizer: { from: modell }' }, [/E204 .*must be model/]],
  ];
  test.each(cases)('%s', (_name, changes, expected) => {
    const found = lines(small(changes));
    for (const pattern of expected) expect(found.some((line) => pattern.test(line)), found.join('\n')).toBe(true);
    expect(found.length, found.join('\n')).toBe(expected.length);
  });

  test('all at once, in one run', () => {
    const found = lines(small({ attention: '{ heads: 4, kv_heads: 3, mask: casual, sink: true }', ffn: '{ hidden: hiden, activation: sillu }', output: '{ nrm: rmsnorm }' }));
    expect(found.map((line) => /[EW]\d{3}/.exec(line)?.[0]).sort()).toEqual(['E201', 'E201', 'E204', 'E302', 'E308', 'E403']);
  });

  test('from top to bottom', () => {
    const found = problems(small({ attention: '{ heads: 4, kv_heads: 3, mask: casual }', ffn: '{ hidden: hiden, activation: sillu }', extra: 'frob: 1' }));
    const lineOf = (d: Diagnostic): number => d.location?.line ?? 0;
    expect(orderDiagnostics([...found].reverse()).map(lineOf)).toEqual(found.map(lineOf).sort((a, b) => a - b));
  });

  test('at most 50 are listed', () => {
    const params = Array.from({ length: 120 }, (_, i) => `p${i}: nothing${i}`).join(', ');
    const found = lines(small({ params: `{ dim: 32, heads: 4, kv: 2, vocab: 100, ${params} }` }));
    expect(found).toHaveLength(50);
    expect(found[49]).toContain('and 71 more problems');
  });

  test('the excerpt points at the part of the expression', () => {
    const [found] = problems(small({ attention: '{ heads: heads * hidn }' }));
    expect(formatDiagnostic(found!, true).split('\n').slice(1)).toEqual([
      '8 |       attention: { heads: heads * hidn }',
      '                                      ^^^^',
    ]);
  });

  test('two parts of a layer with one id', () => {
    const found = lines(small({ ffn: '{ hidden: 64, activation: silu }\n    - { ffn: { hidden: 64, activation: silu } }' }));
    expect(found).toEqual([expect.stringMatching(/E305 .*two parts of a layer are called `ffn`/)]);
  });

  test('every code is in the table', () => {
    for (const d of problems(small({ attention: '{ heds: 3, heads: x, kv_heads: 3 }' }))) expect(DIAGNOSTIC_CODES).toHaveProperty(d.code);
  });
});

describe('params and sources', () => {
  const spec = small({ params: '{ dim: { config: [hidden_size, a.b], type: integer }, heads: { config: n_head, default: 4 }, kv: 2, vocab: { config: vocab_size, one_of: [100, 200] } }' });
  test('a missing value names the keys', () => {
    expect(lines(spec, { config: { vocab_size: 100 } })).toEqual([
      "test.yaml:2:11 E501 /params/dim the param `dim` has no value: there is no config.json's hidden_size, no config.json's a.b, and no default; set it with --set dim=VALUE",
    ]);
  });
  test('nested keys and null', () => {
    expect(lines(spec, { config: { vocab_size: 200, hidden_size: null, a: { b: 32 } } })).toEqual([]);
  });
  test('wrong types and unsupported values', () => {
    expect(lines(spec, { config: { vocab_size: 300, hidden_size: 'big' } })).toEqual([
      expect.stringMatching(/E504 .*hidden_size should be a whole number, but is the text 'big'/),
      expect.stringMatching(/E505 .*the number 300, but the spec supports only 100, 200/),
    ]);
  });
  test('the command line wins, and its mistakes are named', () => {
    expect(lines(spec, { config: { vocab_size: 100, hidden_size: 32 }, set: { dim: '30' } })).toEqual([expect.stringMatching(/E306 .*30 does not divide into 4 heads/)]);
    expect(lines(spec, { config: { vocab_size: 100, hidden_size: 32 }, set: { dimm: '30' } })).toEqual([expect.stringMatching(/E503 .*did you mean `dim`/)]);
  });
  test('a spec alone is checked without values', () => {
    const { spec: loaded } = loadText(spec.replace('silu', 'sillu'));
    expect(checkSpec(loaded!).map((d) => d.code)).toEqual(['E308']);
    expect(checkSpec(loadText(spec).spec!)).toEqual([]);
  });
});

describe('extends', () => {
  const child = (text: string, base: string): string[] => {
    const { spec, diagnostics } = loadText(text, { 'base.yaml': base });
    return [...diagnostics, ...(spec ? resolveModel(spec, {}).diagnostics : [])].map((d) => formatDiagnostic(d));
  };
  test('a problem is reported in the file that holds it', () => {
    expect(child('peel: 1\nextends: base', small({ attention: '{ heads: 4, kv_heads: 3 }' }))).toEqual([expect.stringMatching(/^base.yaml:8:40 E302/)]);
    expect(child('peel: 1\nextends: base\nparams: { kv: 3 }', small())).toEqual([expect.stringMatching(/^base.yaml:8:44 E302/)]);
  });
  test('several bases, chains and diamonds; later ones win, and what is in two ways is read in both', () => {
    const files = {
      'root.yaml': small({ params: '{ dim: 32, heads: 4, kv: 2, vocab: 100, a: 1, b: 1, c: 1 }' }),
      'left.yaml': 'peel: 1\nextends: root\nparams: { a: 2, b: 2 }', 'right.yaml': 'peel: 1\nextends: root\nparams: { b: 3 }',
    };
    const params = (head: string): unknown => {
      const { spec, diagnostics } = loadText(`peel: 1\n${head}`, files);
      const { model, diagnostics: more } = resolveModel(spec!, {});
      expect([...diagnostics, ...more]).toEqual([]);
      const { a, b, c } = model!.params;
      return [a, b, c];
    };
    expect(params('extends: left')).toEqual([2, 2, 1]);
    expect(params('extends: [root, left]\nparams: { c: 9 }')).toEqual([2, 2, 9]);
    // As written: the last base counts with all that it inherits.
    expect(params('extends: [left, right]')).toEqual([1, 3, 1]);
  });
  test('diamonds upon diamonds end', () => {
    const files = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`d${i}.yaml`, i === 0 ? small() : `peel: 1\nextends: [d${i - 1}, d${i - 1}]`]));
    const time = stopwatch();
    expect(loadText('peel: 1\nextends: d13', files).diagnostics.map((d) => d.code)).toContain('E121');
    expect(time()).toBeLessThan(2000);
  });
  test('mistakes in a base of a base are reported there, once', () => {
    const { spec, diagnostics } = loadText('peel: 1\nextends: [left, right]', {
      'left.yaml': 'peel: 1\nextends: base', 'right.yaml': 'peel: 1\nextends: base', 'base.yaml': small({ attention: '{ heads: hheads }' }),
    });
    expect([...diagnostics, ...resolveModel(spec!, {}).diagnostics].map((d) => formatDiagnostic(d))).toEqual([expect.stringMatching(/^base.yaml:8:27 E403 .*`hheads`/)]);
    const broken = loadText('peel: 1\nextends: [left, right, gone]', {
      'left.yaml': 'peel: 1\nextends: base', 'right.yaml': 'peel: 1\nextends: base', 'base.yaml': 'peel: 1\nparams: { a: 1, a: 2 }',
    });
    expect(broken.diagnostics.map((d) => formatDiagnostic(d))).toEqual([expect.stringMatching(/^base.yaml:2:\d+ E104/), expect.stringMatching(/^test.yaml:2:24 E120 .*no spec `gone`/)]);
  });
  test('circles and missing files', () => {
    expect(child('peel: 1\nextends: base', 'peel: 1\nextends: test')).toContainEqual(expect.stringMatching(/^base.yaml:2:10 E121 .*test.yaml extends base.yaml extends test.yaml/));
    expect(child('peel: 1\nextends: test', '')).toContainEqual(expect.stringMatching(/E121/));
    expect(child('peel: 1\nextends: bse', '')).toContainEqual(expect.stringMatching(/E120 .*no spec `bse`/));
  });
  test('steps merge by id, a new body replaces the old, null deletes', () => {
    const { spec } = loadText('peel: 1\nextends: base\nlayers:\n  residual:\n    - { id: ffn, norm: null, moe: { experts: 4, top_k: 2, expert: { hidden: 8, activation: relu } } }', { 'base.yaml': small() });
    const { model, diagnostics } = resolveModel(spec!, {});
    expect(diagnostics).toEqual([]);
    expect(model!.layers[0]!.steps.map((step) => [step.id, step.branches[0]!.body.kind, step.norm?.kind])).toEqual([['attention', 'attention', 'rmsnorm'], ['ffn', 'moe', undefined]]);
  });
});

describe('hostile specs end quickly', () => {
  const timed = (text: string, sources?: ParamSources): string[] => {
    const time = stopwatch();
    const found = problems(text, sources).map((d) => d.code);
    expect(time()).toBeLessThan(2000);
    return [...new Set(found)];
  };
  test('many layers', () => {
    expect(timed(small().replace('repeat: 2', 'repeat: 1e9'))).toEqual(['E301']);
    expect(timed(small().replace('repeat: 2', 'repeat: 4096'))).toEqual([]);
  });
  test('a chain of 2000 params', () => {
    const chain = Array.from({ length: 1900 }, (_, i) => `p${i}: p${i + 1} + 1`).join(', ');
    expect(timed(small({ params: `{ dim: 32, heads: 4, kv: 2, vocab: 100, ${chain}, p1900: 1 }` }))).toEqual([]);
  });
  test('deep and long expressions', () => {
    expect(timed(small({ attention: `{ heads: "${'('.repeat(5000)}4${')'.repeat(5000)}" }` }))).toEqual(['E401']);
    expect(timed(small({ attention: `{ heads: "${'-'.repeat(5000)}4" }` }))).toEqual(['E401']);
    expect(timed(small({ attention: `{ heads: "${'1+'.repeat(4000)}4" }` }))).toEqual(['E401']);
    expect(timed(small({ attention: `{ heads: "${'1+'.repeat(400_000)}4" }` }))).toEqual(['E401']);
    expect(timed(small({ attention: '{ heads: 9 ** 9 ** 9 }' }))).toEqual(['E402']);
  });
  test('thousands of unknown keys', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `key${i}: 1`).join('\n');
    expect(timed(`${small()}\n${keys}`)).toEqual(['E201']);
  });
  test('a hundred thousand wrong values by aliases', () => {
    const lines = ['x: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'];
    for (let i = 1; i < 4; i++) lines.push(`x${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`);
    expect(timed(`${small()}\nmodel_types: [${Array.from({ length: 7 }, () => '*a3').join(', ')}]`.replace('peel: 1', `peel: 1\n${lines.join('\n')}`))).toContain('E203');
  });
  test('long names are cut', () => {
    for (const line of lines(`${small()}\n${'k'.repeat(100_000)}: 1`)) expect(line.length).toBeLessThan(150_000);
  });
});
