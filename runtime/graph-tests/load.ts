/** Graph tests from files: checked against the schema, merged with their defaults, and everything that is wrong at once. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { DiagnosticCode } from '../../compiler/diagnostic-codes.ts';
import { capDiagnostics, type Diagnostic } from '../../compiler/diagnostics.ts';
import { checkTestExpressions } from '../../compiler/expression-check.ts';
import { loadSpec } from '../../compiler/load.ts';
import type { ParamValue } from '../../compiler/model.ts';
import { nearest } from '../../compiler/nearest.ts';
import { parserWithMemory, type ParseSpec } from '../../compiler/parse-once.ts';
import { parseSpec } from '../../compiler/parse.ts';
import { child, diagnosticAt, locate, plainValue, pointer, type MapNode, type Place, type SourceNode } from '../../compiler/source.ts';
import { validateTests } from '../../compiler/validate.ts';
import { modelsFolder, readSpecFile, shown } from '../locate.ts';
import type { LoadedTests, TestCase, Wanted } from './case.ts';
import { isTestFile } from './find.ts';
import { targetNamed, targetOf } from './target.ts';

/** The cases of some files. */
export function loadTests(files: readonly string[]): LoadedTests {
  const parse = parserWithMemory();
  const loaded = files.map((file) => loadTestFile(file, parse));
  return { cases: loaded.flatMap(({ cases }) => cases), diagnostics: capDiagnostics(loaded.flatMap(({ diagnostics }) => diagnostics)) };
}

/** The cases of a *.test.yaml file, or of the `tests` of a spec. A file with anything wrong has none. */
export function loadTestFile(file: string, parse: ParseSpec = parseSpec): LoadedTests {
  const what = isTestFile(file) ? 'a test file' : 'a spec';
  const content = readSpecFile(file);
  if (content === undefined) return { cases: [], diagnostics: [{ code: 'E721', severity: 'error', path: '', message: 'cannot be read', location: { file, line: 1, column: 1 } }] };
  const parsed = parse(content, file, what);
  const root = parsed.document?.root;
  if (root?.kind !== 'map' || parsed.diagnostics.some((d) => d.severity === 'error')) return { cases: [], diagnostics: parsed.diagnostics };
  if (!isTestFile(file) && !root.entries.has('tests')) {
    return { cases: [], diagnostics: [diagnosticAt(root.place, 'E202', '', 'the spec has no `tests`', `write them in it, or in ${file.replace(/(\.ya?ml)?$/, '.test.yaml')}`)] };
  }
  const reader = new TestReader(file, isTestFile(file) ? root : onlyTests(root), parse);
  const cases = reader.read();
  return { cases: reader.diagnostics.length > 0 ? [] : cases.map((one, index) => ({ ...one, index })), diagnostics: capDiagnostics(reader.diagnostics) };
}

/** What a spec holds of a test file: its tests. The paths stay the same. */
function onlyTests(root: MapNode): MapNode {
  return { ...root, entries: new Map([...root.entries].filter(([key]) => key === 'peel' || key === 'tests')) };
}

/** A key of a case, or of the defaults. */
interface Setting { readonly node: SourceNode; readonly key: Place; readonly path: string }

class TestReader {
  readonly diagnostics: Diagnostic[];
  private readonly folder: string;
  private readonly models = shown(modelsFolder());
  /** Names of the params of specs read so far; undefined for one that cannot be read. */
  private readonly params = new Map<string, readonly string[] | undefined>();

  constructor(private readonly file: string, private readonly root: MapNode, private readonly parse: ParseSpec) {
    this.folder = path.dirname(file);
    this.diagnostics = validateTests(root);
  }

  read(): Omit<TestCase, 'index'>[] {
    const { root } = this;
    const tests = child(root, 'tests');
    const defaults = settingsOf(child(root, 'defaults'), '/defaults');
    const fileSpecs = settingsOf(root, '').get('spec');
    const names = new Map<string, number>();
    const cases = (tests?.kind === 'list' ? tests.items : []).flatMap((node, index) => {
      const at = pointer('/tests', index);
      const own = settingsOf(node, at);
      const found = this.specsOf(own.get('spec') ?? fileSpecs, node, at);
      // Without its spec, the rest of the case is checked all the same.
      const specs = found.length === 0 ? [''] : found;
      const setting = own.get('name');
      const name = text(setting);
      if (setting === undefined || name === undefined) return [];
      const earlier = names.get(name);
      const { location } = locate(setting.node.place);
      if (earlier !== undefined) this.report(setting.node.place, 'E310', setting.path, `a case is called '${name}' already, on line ${earlier}`);
      names.set(name, earlier ?? location.line);
      return specs.map((spec) => this.caseOf(specs.length > 1 ? `${name} [${stem(spec)}]` : name, location, spec, defaults, own));
    });
    // Defaults concern all cases, each key of a case its own; what several cases share is said once.
    const seen = new Set<string>();
    const once = this.diagnostics.filter((d) => {
      const key = `${d.code} ${d.path} ${d.message}`;
      return !seen.has(key) && seen.add(key);
    });
    this.diagnostics.splice(0, this.diagnostics.length, ...once);
    return cases;
  }

  private caseOf(name: string, location: TestCase['location'], spec: string, defaults: ReadonlyMap<string, Setting>, own: ReadonlyMap<string, Setting>): Omit<TestCase, 'index'> {
    const setting = (key: string): Setting | undefined => own.get(key) ?? defaults.get(key);
    const values = [...settingsUnder(defaults.get('with')), ...settingsUnder(own.get('with'))];
    const expect = new Map([...settingsUnder(defaults.get('expect')), ...settingsUnder(own.get('expect'))]);
    const params = this.paramsOf(spec);
    if (params) {
      for (const [key, { key: place, path: at }] of values) {
        if (params.includes(key)) continue;
        const close = nearest(key, params);
        this.report(place, 'E503', at, `the spec ${spec} has no param \`${key}\` to set`, close === undefined ? undefined : `did you mean \`${close}\`?`);
      }
      for (const key of [own, defaults]) {
        const expressions = key.get('expect');
        if (expressions) this.diagnostics.push(...checkTestExpressions(expressions.node, expressions.path, params));
      }
    }
    const target = setting('target');
    if (target) this.checkTarget(target);
    const config = this.fileOf(setting('config'));
    const weights = text(setting('weights')) === 'random' ? undefined : this.fileOf(setting('weights'));
    const seed = number(setting('seed'));
    const context = number(setting('context'));
    return {
      name, file: this.file, location, spec,
      with: Object.fromEntries(values.map(([key, { node }]) => [key, plainValue(node) as ParamValue])),
      ...(config === undefined ? {} : { config }), ...(weights === undefined ? {} : { weights }),
      seed: seed ?? 1, target: targetOf(target && plainValue(target.node)), ...(context === undefined ? {} : { context }),
      expect: [...expect].map(([key, { node, path: at }]): Wanted => ({ key, value: plainValue(node), node, path: at })),
    };
  }

  /** Paths of the specs that a case is run with. */
  private specsOf(setting: Setting | undefined, node: SourceNode, at: string): string[] {
    if (!setting) {
      if (!isTestFile(this.file)) return [this.file];
      const beside = this.file.replace(/\.test(\.ya?ml)$/, '$1');
      if (existsSync(beside)) return [beside];
      this.report(node.place, 'E120', at, `no spec is named, and there is no ${beside}`, 'say which one is tested with `spec: NAME`');
      return [];
    }
    const items = setting.node.kind === 'list' ? setting.node.items : [setting.node];
    return items.flatMap((item, index) => {
      if (item.kind !== 'scalar' || typeof item.value !== 'string') return [];
      const found = this.findSpec(item.value);
      if (found === undefined) this.report(item.place, 'E120', setting.node.kind === 'list' ? pointer(setting.path, index) : setting.path, `no spec \`${item.value}\` is beside ${this.file} or in ${this.models}`);
      return found === undefined ? [] : [found];
    });
  }

  private findSpec(name: string): string | undefined {
    const beside = path.join(this.folder, name);
    const candidates = [beside, `${beside}.yaml`, ...(/[/\\.]/.test(name) ? [] : [path.join(this.models, `${name}.yaml`)])];
    return candidates.find((file) => readSpecFile(file) !== undefined);
  }

  private paramsOf(spec: string): readonly string[] | undefined {
    if (spec === '') return undefined;
    if (!this.params.has(spec)) {
      const root = loadSpec(spec, readSpecFile, this.models, this.parse).spec?.root;
      const params = root && child(root, 'params');
      this.params.set(spec, root && (params?.kind === 'map' ? [...params.entries.keys()] : []));
    }
    return this.params.get(spec);
  }

  private checkTarget({ node, path: at }: Setting): void {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') return;
    const found = targetNamed(node.value);
    if (!('known' in found)) return;
    this.report(node.place, 'E204', at, `\`target\` must be ${found.known.join(' or ')}, or a map with a \`device\`, not the text '${node.value}'`, found.close === undefined ? undefined : `did you mean \`${found.close}\`?`);
  }

  /** A file or folder that must be there, from the folder of the test file. */
  private fileOf(setting: Setting | undefined): string | undefined {
    const name = text(setting);
    if (setting === undefined || name === undefined) return undefined;
    const file = path.join(this.folder, name);
    if (!existsSync(file)) this.report(setting.node.place, 'E721', setting.path, `there is no file or folder ${file}`);
    return file;
  }

  private report(place: Place, code: DiagnosticCode, at: string, message: string, hint?: string): void {
    this.diagnostics.push(diagnosticAt(place, code, at, message, hint));
  }
}

function settingsOf(node: SourceNode | undefined, at: string): ReadonlyMap<string, Setting> {
  if (node?.kind !== 'map') return new Map();
  return new Map([...node.entries].map(([key, { key: place, value }]) => [key, { node: value, key: place, path: pointer(at, key) }]));
}

function settingsUnder(setting: Setting | undefined): ReadonlyMap<string, Setting> {
  return settingsOf(setting?.node, setting?.path ?? '');
}

function text(setting: Setting | undefined): string | undefined {
  return setting?.node.kind === 'scalar' && typeof setting.node.value === 'string' ? setting.node.value : undefined;
}

function number(setting: Setting | undefined): number | undefined {
  return setting?.node.kind === 'scalar' && typeof setting.node.value === 'number' ? setting.node.value : undefined;
}

function stem(file: string): string {
  return path.basename(file).replace(/\.ya?ml$/, '');
}
