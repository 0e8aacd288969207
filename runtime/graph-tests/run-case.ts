/** Runs one case: every expectation, whatever the others found. */
import { ExitCode, formatDiagnostic, InternalError, PeelError } from '../../compiler/diagnostics.ts';
import { locate, placeOf } from '../../compiler/source.ts';
import type { CaseResult, CaseStatus, Finding, PlacedFinding, TestCase, Wanted } from './case.ts';
import { CaseWork } from './context.ts';
import { expectations } from './expect/index.ts';
import { invalidSpec, valid } from './expect/valid.ts';
import type { SharedWork } from './shared.ts';

export interface RunOptions {
  /** Write golden values and snapshots instead of comparing with them. */
  readonly update: boolean;
  /** Load models though they take more memory than is free. */
  readonly force?: boolean;
}

/** `shared`: what cases that run in this process have in common. */
export async function runCase(test: TestCase, options: RunOptions, shared: SharedWork): Promise<CaseResult> {
  const started = performance.now();
  const work = new CaseWork(test, options, await shared.modelOf(test));
  const findings: PlacedFinding[] = [];
  let internal = false;
  const wanted = new Map(test.expect.map((one) => [one.key, one]));
  try {
    const errors = (await work.compiled()).diagnostics.filter((d) => d.severity === 'error');
    const asked = wanted.has('valid') || wanted.has('diagnostics');
    // What needs a model would find the same errors again.
    const invalid = asked ? [] : wanted.size > 0 ? invalidSpec(errors, test) : await valid.run(work.contextFor(), true);
    findings.push(...invalid.map((finding) => placed(finding, test)));
    if (invalid.length === 0) {
      for (const { key, run } of expectations) {
        const one = wanted.get(key);
        if (!one) continue;
        const { found, mistake } = await attempt(() => run(work.contextFor(one), one.value));
        internal ||= mistake;
        findings.push(...found.map((finding) => placed(finding, test, one)));
      }
    }
  } catch (error) {
    const { found, mistake } = explained(error);
    internal ||= mistake;
    findings.push(...found.map((finding) => placed(finding, test)));
  } finally {
    await work.dispose();
  }
  return {
    name: test.name, file: test.file, location: test.location, status: statusOf(findings, wanted.size, internal), findings,
    milliseconds: performance.now() - started, files: work.files(), ...(internal ? { internal } : {}),
  };
}

interface Attempt {
  readonly found: readonly (Omit<Finding, 'kind'> & { readonly kind: PlacedFinding['kind'] })[];
  /** Whether Peel itself is wrong. */
  readonly mistake: boolean;
}

async function attempt(run: () => Promise<readonly Finding[]>): Promise<Attempt> {
  try {
    return { found: await run(), mistake: false };
  } catch (error) {
    return explained(error);
  }
}

/** A device that is not there is no failure of the case; anything else that users can mend is; the rest is a mistake of ours. */
function explained(error: unknown): Attempt {
  if (error instanceof PeelError) {
    const absent = error.exitCode === ExitCode.device ? error.diagnostics.find((d) => d.code === 'E901') : undefined;
    if (absent) return { found: [{ kind: 'not run', at: '', message: `webgpu: ${absent.message}` }], mistake: false };
    return { found: [{ kind: 'failed', at: '', message: error.diagnostics.map((d) => formatDiagnostic(d)).join('\n') }], mistake: false };
  }
  const text = error instanceof InternalError ? error.message : error instanceof Error ? (process.env.PEEL_DEBUG ? error.stack ?? error.message : `${error.name}: ${error.message}`) : String(error);
  return { found: [{ kind: 'error', at: '', message: `this is a mistake in Peel, not in your input: ${text}` }], mistake: true };
}

/** Under the expectation that it is one of, or under the case's name. */
function placed({ kind, at, message, spec }: Attempt['found'][number], test: TestCase, wanted?: Wanted): PlacedFinding {
  const found = { kind, expectation: wanted?.key ?? '', message, ...(spec === undefined ? {} : { spec }) };
  if (!wanted) return { ...found, location: test.location };
  const { value, key } = placeOf(wanted.node, at);
  return { ...found, ...locate(at === '' ? value : key ?? value) };
}

function statusOf(findings: readonly PlacedFinding[], expectations: number, internal: boolean): CaseStatus {
  if (internal || findings.some(({ kind }) => kind === 'error')) return 'error';
  if (findings.some(({ kind }) => kind === 'failed')) return 'failed';
  const notRun = new Set(findings.filter(({ kind }) => kind === 'not run').map(({ expectation }) => expectation));
  return notRun.size > 0 && (notRun.has('') || notRun.size === expectations) ? 'not run' : 'passed';
}
