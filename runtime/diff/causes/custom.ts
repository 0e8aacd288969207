/** Blocks of the spec's own: their params that are true or false. */
import { alternative, eachBody } from './change.ts';
import type { Cause } from './types.ts';

const params: Cause = {
  name: 'param of a block',
  alternatives: (model, scope) => {
    const names = new Set<string>();
    eachBody(model, scope, (body) => {
      if (body.kind === 'custom') for (const [name, value] of Object.entries(body.params)) if (typeof value === 'boolean') names.add(name);
      return body;
    });
    return [...names].flatMap((name) => [true, false].flatMap((value) => alternative(`\`${name}\` ${value} in place of ${!value}`, eachBody(model, scope, (body) =>
      (body.kind === 'custom' && body.params[name] === !value ? { ...body, params: { ...body.params, [name]: value } } : body)))));
  },
};

export const customCauses: readonly Cause[] = [params];
