/** The loop of an interactive chat: lines in, replies out, commands, Ctrl-C. */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { formatDiagnostic, PeelError } from '../../compiler/diagnostics.ts';
import type { Turn } from './conversation.ts';

/** What the loop talks to. */
export interface Partner {
  say(content: string, signal: AbortSignal, show: (piece: string) => void): Promise<Turn>;
  reset(): void;
  stats(): string[];
}

export interface Terminal {
  readonly input: Readable;
  readonly output: Writable;
  /** Notes, which are no replies. */
  readonly notes: Writable;
  /** Whether a person types: shows a prompt, and reads Ctrl-C as a key where the terminal has keys. */
  readonly interactive: boolean;
  /** Calls back at each SIGINT that the process gets; gives the function that ends this. */
  onInterrupt(handler: () => void): () => void;
}

const help = [
  '/reset   forget the conversation, but for the system message',
  '/stats   what is in the context, and how fast the last turn was',
  '/help    this',
  '/exit    leave, as Ctrl-D does',
  'A line that ends with \\ goes on in the next; //x sends /x.',
  'Ctrl-C stops a reply; twice, or at an empty prompt, it leaves.',
];

/** Runs until the input ends, /exit, or Ctrl-C twice. Throws what is no mistake in a message. */
export async function chatLoop(terminal: Terminal, partner: Partner): Promise<void> {
  const { input, output, notes, interactive } = terminal;
  // A terminal that cannot move its cursor edits lines by itself, and its Ctrl-C is a signal.
  const keys = interactive && process.env.TERM !== 'dumb';
  const lines = createInterface({ input, ...(interactive ? { output } : {}), terminal: keys, prompt: '> ', historySize: 1000 });
  const waiting: string[] = [];
  let wake: (() => void) | undefined;
  let ended = false; // No more lines will come.
  let left = false; // Those that wait are not wanted any more.
  let reply: AbortController | undefined;
  const note = (text: string): void => { notes.write(`${text}\n`); };
  const leave = (): void => {
    ended = left = true;
    reply?.abort();
    lines.close();
  };
  lines.on('line', (text) => { waiting.push(text); wake?.(); });
  lines.on('close', () => { ended = true; wake?.(); });
  const interrupt = (): void => {
    if (reply && !reply.signal.aborted) reply.abort();
    else if (interactive && !reply && lines.line !== '') {
      // Something is typed: only that goes.
      lines.write(null, { ctrl: true, name: 'e' });
      lines.write(null, { ctrl: true, name: 'u' });
    } else leave();
  };
  lines.on('SIGINT', interrupt);
  const stopListening = terminal.onInterrupt(interrupt);

  /** The next line; undefined when there is none any more. */
  const next = async (prompt: string): Promise<string | undefined> => {
    if (interactive && waiting.length === 0 && !ended) { lines.setPrompt(prompt); lines.prompt(true); } // What was typed during a reply stays, and the cursor behind it.
    while (waiting.length === 0 && !ended) await new Promise<void>((resolve) => { wake = resolve; });
    return left ? undefined : waiting.shift();
  };
  const answer = async (message: string): Promise<void> => {
    reply = new AbortController();
    let last = '\n';
    try {
      const turn = await partner.say(message, reply.signal, (piece) => { output.write(piece); last = piece; });
      if (turn.leftOut > 0) note(`(the ${turn.leftOut} oldest messages were left out, the context could not hold them)`);
      if (!last.endsWith('\n') || turn.tokens === 0) output.write('\n');
      if (turn.stopped === 'aborted') note('(stopped)');
      else if (turn.stopped === 'context') note('(the context is full: /reset begins anew, --context-shift goes on)');
      else if (turn.stopped === 'length') note(`(stopped at --max-tokens${turn.unfinished ? ', before the reply was all that was asked for' : ''})`);
    } catch (error) {
      // A message that cannot be answered does not end the chat.
      if (!(error instanceof PeelError) || error.diagnostics.some((d) => d.code !== 'E024')) throw error;
      for (const d of error.diagnostics) note(formatDiagnostic(d));
    } finally {
      reply = undefined;
    }
  };

  try {
    for (let message = ''; ;) {
      const text = await next(message === '' ? '> ' : '. ');
      if (text === undefined) break;
      if (text.endsWith('\\')) { message += `${text.slice(0, -1)}\n`; continue; }
      const whole = message + text;
      const command = message === '' && /^\/(?!\/)/.test(whole) ? whole.trim() : undefined;
      message = '';
      if (command === '/exit' || command === '/quit') break;
      if (command === '/reset') { partner.reset(); note('(a new conversation)'); }
      else if (command === '/stats') partner.stats().forEach(note);
      else if (command === '/help') help.forEach(note);
      else if (command !== undefined) note(`(${command} is no command; /help lists them)`);
      else if (whole.trim() !== '') await answer(whole.startsWith('//') ? whole.slice(1) : whole);
    }
  } finally {
    stopListening();
    lines.close();
  }
}
