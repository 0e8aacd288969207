/**
 * `agree: { fused: true, devices: [cpu, reference], decode: true, sequences: true, causal: true }`: the same numbers whichever way they are
 * computed. Each key by itself; a number in place of `true` is its tolerance.
 */
import { PeelError } from '../../../compiler/diagnostics.ts';
import type { DeviceName } from '../../device.ts';
import type { CaseContext, Finding } from '../case.ts';
import { between } from './agree/between.ts';
import { causal } from './agree/causal.ts';
import { decode } from './agree/decode.ts';
import { sequences } from './agree/sequences.ts';
import { Trial } from './agree/trial.ts';
import { expectation, failed } from './expectation.ts';

interface WantedAgreement {
  readonly tolerance?: number;
  readonly tokens?: number;
  readonly fused?: boolean | number;
  readonly devices?: readonly DeviceName[];
  readonly decode?: boolean | number;
  readonly sequences?: boolean;
  readonly causal?: boolean | number;
}

/** Largest difference, for results of about 1. */
const TOLERANCE = 1e-5;
/** Enough for a step of several rows and a rest, and for windows of a few tokens to end. */
const TOKENS = 13;

export const agree = expectation<WantedAgreement>('agree', async (context, wanted) => {
  const { tolerance = TOLERANCE, tokens = TOKENS } = wanted;
  const trial = await Trial.of(context, tokens);
  const findings: Finding[] = [];
  const limit = (given: boolean | number): number => (typeof given === 'number' ? given : tolerance);
  if (wanted.fused !== undefined && wanted.fused !== false) {
    findings.push(...await between(trial, { name: 'fused', options: {} }, { name: 'unfused', options: { plan: { fuse: false } } }, limit(wanted.fused), '/fused'));
  }
  if (wanted.devices) findings.push(...await devices(trial, wanted.devices, tolerance));
  if (wanted.decode !== undefined && wanted.decode !== false) findings.push(...await decode(trial, limit(wanted.decode)));
  if (wanted.sequences) findings.push(...await sequences(trial));
  if (wanted.causal !== undefined) findings.push(...await causal(trial, wanted.causal));
  return findings;
});

/** Every device against the reference where that is among them, else against the first that is there. */
async function devices(trial: Trial, names: readonly DeviceName[], tolerance: number): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const there: DeviceName[] = [];
  for (const name of names) {
    const missing = await absent(trial, name);
    if (missing === undefined) there.push(name);
    else findings.push({ kind: 'not run', at: `/devices/${names.indexOf(name)}`, message: `${name}: ${missing}` });
  }
  const standard = there.includes('reference') ? 'reference' : there[0];
  const others = there.filter((name) => name !== standard);
  if (standard === undefined || others.length === 0) {
    return findings.length > 0 ? findings : [failed('at least two devices are needed to compare', '/devices')];
  }
  const way = (device: DeviceName) => ({ name: device, options: optionsOf(trial.context, device) });
  for (const name of others) findings.push(...await between(trial, way(name), way(standard), tolerance, `/devices/${names.indexOf(name)}`));
  return findings;
}

/** The case's own device has a session already. */
const optionsOf = (context: CaseContext, device: DeviceName): { device?: DeviceName } => (device === context.test.target.device ? {} : { device });

/** Why a device cannot be used on this machine, if it cannot. */
async function absent(trial: Trial, device: DeviceName): Promise<string | undefined> {
  try {
    await trial.session(optionsOf(trial.context, device));
    return undefined;
  } catch (error) {
    const missing = error instanceof PeelError ? error.diagnostics.find((d) => d.code === 'E901') : undefined;
    if (missing) return missing.message;
    throw error;
  }
}
