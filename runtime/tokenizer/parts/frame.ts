/** Ids that a post-processor puts around a text. */
import { isFields, list, type Fields } from './fields.ts';

export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const none: Frame = { before: [], after: [] };

function template(fields: Fields, idOf: (token: string) => number | undefined): Frame {
  const items = list(fields, 'single');
  const named = isFields(fields.special_tokens) ? fields.special_tokens : {};
  const ids = (item: Fields): number[] => {
    const token = isFields(item.SpecialToken) ? String(item.SpecialToken.id) : undefined;
    if (token === undefined) return [];
    const entry = Object.hasOwn(named, token) ? named[token] : undefined;
    const listed = isFields(entry) && Array.isArray(entry.ids) ? entry.ids.filter((id): id is number => Number.isSafeInteger(id)) : [];
    const id = idOf(token);
    return listed.length > 0 ? listed : id === undefined ? [] : [id];
  };
  const at = items.findIndex((item) => isFields(item.Sequence));
  return at < 0 ? none : { before: items.slice(0, at).flatMap(ids), after: items.slice(at + 1).flatMap(ids) };
}

/** Throws Error where a component is wrong or not known. */
export function frameOf(fields: Fields, idOf: (token: string) => number | undefined): Frame {
  const token = (key: string): number[] => {
    const value: unknown = fields[key];
    const id: unknown = Array.isArray(value) ? value[1] : undefined;
    return typeof id === 'number' ? [id] : [];
  };
  switch (fields.type) {
    case 'TemplateProcessing': return template(fields, idOf);
    case 'BertProcessing': case 'RobertaProcessing': return { before: token('cls'), after: token('sep') };
    case 'ByteLevel': return none;
    case 'Sequence':
      return list(fields, 'processors').map((part) => frameOf(part, idOf)).reduce((inner, outer) => ({ before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] }), none);
    default: throw new Error(`there is no post-processor '${String(fields.type)}'`);
  }
}
