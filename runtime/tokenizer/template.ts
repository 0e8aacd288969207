/** Chat templates (Jinja) under budgets: a template comes with a model and may be wrong or hostile. */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { tokenizerError, timeLimit } from './budget.ts';

const budget = { steps: 1_000_000, stringLength: 4_000_000, listLength: 100_000, milliseconds: 2000, templateLength: 1_000_000 };

class OverBudget extends Error {}

type Evaluated = ReturnType<Interpreter['evaluate']>;

/** Counts what a template does, and looks at the size of every value that it makes. */
class BudgetedInterpreter extends Interpreter {
  private steps = 0;
  private written = 0;
  override evaluate(...args: Parameters<Interpreter['evaluate']>): Evaluated {
    if (++this.steps > budget.steps) throw new OverBudget(`takes more than ${budget.steps} steps`);
    const result = super.evaluate(...args);
    const value: unknown = result.value;
    if (typeof value === 'string') {
      // Loops and blocks gather text from their parts, so sizes add up along the way; each value alone must stay small too.
      if (value.length > budget.stringLength) throw new OverBudget(`makes a text of more than ${budget.stringLength} characters`);
      this.written += value.length;
      if (this.written > 64 * budget.stringLength) throw new OverBudget('makes too much text');
    } else if (Array.isArray(value) && value.length > budget.listLength) {
      throw new OverBudget(`makes a list of more than ${budget.listLength} items`);
    }
    return result;
  }
}

/** range() as Python has it, of at most `listLength` items. */
function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || !Number.isSafeInteger(step) || step === 0) throw new OverBudget('calls range() with what is no whole number');
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (count > budget.listLength) throw new OverBudget(`calls range() for ${count} items, at most ${budget.listLength} are made`);
  return Array.from({ length: count }, (_, i) => from + i * step);
}

function twoDigits(n: number): string { return String(n).padStart(2, '0'); }

/** Python's strftime, as far as templates use it. */
function formatTime(format: string, now = new Date()): string {
  const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
  const month = months[now.getMonth()] ?? '';
  const parts: Record<string, string> = {
    '%Y': String(now.getFullYear()), '%m': twoDigits(now.getMonth() + 1), '%d': twoDigits(now.getDate()), '%H': twoDigits(now.getHours()),
    '%M': twoDigits(now.getMinutes()), '%S': twoDigits(now.getSeconds()), '%B': month, '%b': month.slice(0, 3), '%%': '%',
  };
  return format.replace(/%[YmdHMSBb%]/g, (code) => parts[code] ?? code);
}

/**
 * Renders a chat template. Throws PeelError (exit code 12) where it does not parse, refuses the messages, or exceeds a budget of steps, time or size.
 */
export function renderTemplate(template: string, variables: Readonly<Record<string, unknown>>): string {
  const bad = (message: string): never => { throw tokenizerError('E804', `the chat template ${message}`); };
  if (template.length > budget.templateLength) bad(`has ${template.length} characters, at most ${budget.templateLength} are read`);
  const limited = timeLimit('the chat template');
  try {
    const program = limited(budget.milliseconds, () => parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true })));
    const environment = new Environment();
    const globals: Record<string, unknown> = {
      true: true, false: false, none: null, True: true, False: false, None: null, range: boundedRange, strftime_now: (format: string) => formatTime(format),
      raise_exception: (message: string) => { throw new OverBudget(`refuses: ${String(message).slice(0, 500)}`); }, ...variables,
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    const result: unknown = limited(budget.milliseconds, () => new BudgetedInterpreter(environment).run(program)).value;
    return typeof result === 'string' ? result : bad('gives no text');
  } catch (error) {
    if (error instanceof OverBudget) return bad(error.message);
    if (error instanceof RangeError) return bad(/call stack/.test(error.message) ? 'is nested too deeply' : 'makes a text that is too long');
    if (error instanceof Error && error.name !== 'PeelError') return bad(`is wrong: ${error.message.split('\n')[0] ?? ''}`);
    throw error;
  }
}
