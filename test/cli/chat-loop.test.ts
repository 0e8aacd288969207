/** The loop of a chat at a terminal: keys in, text out. */
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chatLoop, type Partner } from '../../cli/chat/loop.ts';
import type { Turn } from '../../cli/chat/conversation.ts';

const turn: Turn = { prompt: 1, reused: 0, prefill: 1, tokens: 3, decode: 1, stopped: 'end', unfinished: false, leftOut: 0 };

interface Typed {
  type(keys: string): void;
  close(): void;
  interrupt(): void;
  seen(): string;
  notes(): string;
  readonly said: string[];
  readonly done: Promise<void>;
  /** Until output and notes hold what is looked for; fails where the chat ends before. */
  until(text: RegExp): Promise<void>;
}

const turnOfEvents = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** A chat with a partner that repeats what it hears, three times; one that hears "long" goes on until it is stopped. */
function terminal(interactive: boolean): Typed {
  const [input, output, notes] = [new PassThrough(), new PassThrough(), new PassThrough()];
  let seen = '', noted = '', ended = false;
  let changed = (): void => undefined;
  output.on('data', (d: Buffer) => { seen += d.toString(); changed(); });
  notes.on('data', (d: Buffer) => { noted += d.toString(); changed(); });
  const said: string[] = [];
  const handlers = new Set<() => void>();
  const partner: Partner = {
    async say(content, signal, show) {
      said.push(content);
      for (let i = 0; content === 'long' ? !signal.aborted : i < 3; i++) {
        show(`${content}${i} `);
        await turnOfEvents();
      }
      return { ...turn, stopped: signal.aborted ? 'aborted' : 'end' };
    },
    reset: () => { said.push('/reset'); },
    stats: () => ['some figures'],
  };
  const done = chatLoop({ input, output, notes, interactive, onInterrupt: (handler) => { handlers.add(handler); return () => { handlers.delete(handler); }; } }, partner)
    .then(() => { expect(handlers.size).toBe(0); })
    .finally(() => { ended = true; changed(); });
  return {
    type: (keys) => { input.write(keys); }, close: () => { input.end(); }, interrupt: () => handlers.forEach((h) => h()), seen: () => seen, notes: () => noted, said, done,
    async until(text) {
      while (!text.test(seen + noted)) {
        if (ended) throw new Error(`the chat ended without ${text.source}: ${JSON.stringify({ seen, noted, said })}`);
        await new Promise<void>((resolve) => { changed = resolve; });
      }
    },
  };
}

describe('a chat at a terminal', () => {
  beforeEach(() => { vi.stubEnv('TERM', 'xterm'); });
  afterEach(() => { vi.unstubAllEnvs(); });
  it('stops a reply at Ctrl-C and goes on; leaves at Ctrl-C on an empty prompt', async () => {
    const t = terminal(true);
    t.type('long\r');
    await t.until(/long2/);
    t.type('\x03');
    await t.until(/\(stopped\)/);
    t.type('next\r');
    await t.until(/next2 \n[^\n]*> /);
    t.type('half a line');
    t.type('\x03');
    t.type('whole\r');
    await t.until(/whole2 \n[^\n]*> /);
    expect(t.said).toEqual(['long', 'next', 'whole']);
    t.type('\x03');
    await t.done;
    expect(t.seen()).toContain('> ');
  });
  it('leaves at Ctrl-C twice during a reply, whatever waits', async () => {
    const t = terminal(true);
    t.type('long\r');
    await t.until(/long1/);
    t.type('later\r');
    t.type('\x03\x03');
    await t.done;
    expect(t.said).toEqual(['long']);
  });
  it('keeps what is typed during a reply, in its order', async () => {
    const t = terminal(true);
    t.type('long\r');
    await t.until(/long1/);
    t.type('ab');
    t.type('\x03');
    await t.until(/> ab/);
    t.type('c');
    t.type('\r');
    await t.until(/[abc]{3}2 \n[^\n]*> /);
    t.type('\x04');
    await t.done;
    expect(t.said).toEqual(['long', 'abc']);
  });
  it('leaves lines and Ctrl-C to a terminal without a cursor', async () => {
    vi.stubEnv('TERM', 'dumb');
    const t = terminal(true);
    t.type('long\n');
    await t.until(/long1/);
    t.interrupt();
    await t.until(/\n> .*\(stopped\)/s);
    t.type('next\n');
    await t.until(/next2 \n> /);
    t.interrupt();
    await t.done;
    expect(t.said).toEqual(['long', 'next']);
    // It shows what is typed by itself.
    expect(t.seen()).toMatch(/^> long0 [^\x1b]*\n> next0 next1 next2 \n> $/);
  });
  it('leaves at Ctrl-D', async () => {
    const t = terminal(true);
    t.type('\x04');
    await t.done;
  });
  it('knows its commands, joins lines that go on, and sends what looks like a command if told to', async () => {
    const t = terminal(false);
    t.type('/help\n/stats\none\\\ntwo\n/nonsense\n//slash\n\n  \n/reset\n/exit\nnever\n');
    await t.done;
    expect(t.said).toEqual(['one\ntwo', '/slash', '/reset']);
    expect(t.notes()).toMatch(/\/reset {3}forget[\s\S]*some figures\n\(\/nonsense is no command; \/help lists them\)\n\(a new conversation\)/);
    expect(t.seen()).toBe('one\ntwo0 one\ntwo1 one\ntwo2 \n/slash0 /slash1 /slash2 \n');
  });
  it('answers every line of a pipe, and a signal stops one reply', async () => {
    const t = terminal(false);
    t.type('long\nafter\n');
    t.close();
    await t.until(/long2/);
    t.interrupt();
    await t.done;
    expect(t.said).toEqual(['long', 'after']);
    expect(t.seen()).toMatch(/after0 after1 after2 \n$/);
  });
});
