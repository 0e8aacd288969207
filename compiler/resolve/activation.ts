import type { Activation } from '../model.ts';
import type { Cursor } from './cursor.ts';

type BuiltinName = Extract<Activation, { kind: 'builtin' }>['name'];

const BUILTINS = ['identity', 'relu', 'relu2', 'gelu', 'gelu_tanh', 'gelu_quick', 'silu', 'sigmoid', 'tanh', 'softplus', 'mish'] as const satisfies readonly BuiltinName[];
/** Other names of the same functions, as config.json files spell them. */
const ALIASES: ReadonlyMap<string, BuiltinName> = new Map([
  ['linear', 'identity'], ['none', 'identity'],
  ['relu_squared', 'relu2'], ['relu^2', 'relu2'], ['squared_relu', 'relu2'],
  ['gelu_python', 'gelu'], ['gelu_erf', 'gelu'], ['gelu_exact', 'gelu'],
  ['gelu_new', 'gelu_tanh'], ['gelu_fast', 'gelu_tanh'], ['gelu_pytorch_tanh', 'gelu_tanh'], ['gelu_accurate', 'gelu_tanh'], ['gelu_python_tanh', 'gelu_tanh'], ['gelu_approx', 'gelu_tanh'],
  ['quick_gelu', 'gelu_quick'],
  ['swish', 'silu'],
]);

/** An activation by name: built in, an alias of one, or one that the spec defines (which wins). */
export function resolveActivation(field: Cursor, custom: ReadonlySet<string>, fallback: BuiltinName): Activation {
  const find = (text: string): Activation | undefined => {
    if (custom.has(text)) return { kind: 'custom', name: text };
    const name = BUILTINS.find((builtin) => builtin === text) ?? ALIASES.get(text);
    return name === undefined ? undefined : { kind: 'builtin', name };
  };
  return field.name(find, [...custom, ...BUILTINS], 'E308') ?? { kind: 'builtin', name: fallback };
}
