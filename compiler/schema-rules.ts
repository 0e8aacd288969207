/** The schema as something to walk beside a spec: which texts are expressions, and what is described under a key. */
import schema from '../schema/spec.schema.json' with { type: 'json' };
import testSchema from '../schema/test.schema.json' with { type: 'json' };

export type SchemaNode = Readonly<Record<string, unknown>>;

/** What the schema says about one place of a spec. */
export interface Rules {
  /** `number`, `boolean`, `choice`, `any`: texts here are expressions of that kind. */
  readonly expression: string | undefined;
  /** Names that a text here may simply be. */
  readonly names: readonly string[];
  readonly under: (key: string) => Rules | undefined;
  readonly items: Rules | undefined;
}

/** The rules of a whole spec. */
export function specRules(): Rules {
  return rulesOf(schema, schema);
}

/** The rules of a file of graph tests. */
export function testRules(): Rules {
  return rulesOf(testSchema, testSchema);
}

function rulesOf(root: SchemaNode, described: SchemaNode): Rules {
  const node = follow(root, described);
  const kind = described['expression'] ?? node['expression'];
  const expression = typeof kind === 'string' ? kind : undefined;
  const properties = isSchema(node['properties']) ? node['properties'] : {};
  return {
    expression, names: namesIn(node),
    under: (key) => {
      const rule = Object.hasOwn(properties, key) ? properties[key] : node['additionalProperties'];
      return isSchema(rule) ? rulesOf(root, rule) : undefined;
    },
    get items() {
      // A list where an expression may stand holds expressions.
      if (isSchema(node['items'])) return rulesOf(root, node['items']);
      return expression === undefined ? undefined : rulesOf(root, { expression });
    },
  };
}

function namesIn(node: SchemaNode): string[] {
  const branches = Array.isArray(node['anyOf']) ? node['anyOf'].filter(isSchema) : [];
  return branches.flatMap((branch) => (Array.isArray(branch['enum']) ? branch['enum'].map(String) : []));
}

function follow(root: SchemaNode, rules: SchemaNode): SchemaNode {
  const reference = rules['$ref'];
  const definitions = root['$defs'];
  if (typeof reference !== 'string' || !isSchema(definitions)) return rules;
  const target = definitions[reference.slice('#/$defs/'.length)];
  return isSchema(target) ? target : rules;
}

function isSchema(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
