/** The loop of a chat at a terminal: keys in, text out. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { chatLoop, type Partner } from '../../cli/chat/loop.ts';
import type { Turn } from '../../cli/chat/conversation.ts';

const turn: Turn = { prompt: 1, reused: 0, prefill: 1, tokens: 3, decode: 1, stopped: 'end', unfinished: false, leftOut: 0 };

/** A partner that repeats what it hears, word by word; one that hears "long" goes on until it is stopped. */
function terminal(interactive: boolean): { type(keys: string): void; close(): void; interrupt(): void; seen(): string; notes(): string; said: string[]; done: Promise<void>; until(text: RegExp): Promise<void> } {
  const [input, output, notes] = [new PassThrough(), new PassThrough(), new PassThrough()];
  let seen = '', noted = '';
  output.on('data', (d: Buffer) => { seen += d.toString(); });
  notes.on('data', (d: Buffer) => { noted += d.toString(); });
  const said: string[] = [];
  const handlers = new Set<() => void>();
  const partner: Partner = {
    async say(content, signal, show) {
      said.push(content);
      for (let i = 0; content === 'long' ? !signal.aborted : i < 3; i++) {
        show(`${content}${i} `);
        await new Promise((resolve) => { setTimeout(resolve, 5); });
      }
      return { ...turn, stopped: signal.aborted ? 'aborted' : 'end' };
    },
    reset: () => { said.push('/reset'); },
    stats: () => ['some figures'],
  };
  const done = chatLoop({ input, output, notes, interactive, onInterrupt: (handler) => { handlers.add(handler); return () => { handlers.delete(handler); }; } }, partner)
    .then(() => { expect(handlers.size).toBe(0); });
  return {
    type: (keys) => { input.write(keys); }, close: () => { input.end(); }, interrupt: () => handlers.forEach((h) => h()), seen: () => seen, notes: () => noted, said, done,
    async until(text) { for (let i = 0; i < 2000 && !text.test(seen + noted); i++) await new Promise((resolve) => { setTimeout(resolve, 2); }); },
  };
}

describe('a chat at a terminal', () => {
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
    await t.until(/whole2/);
    expect(t.said).toEqual(['long', 'next', 'whole']);
    await new Promise((resolve) => { setTimeout(resolve, 30); });
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
