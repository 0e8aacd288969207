/** peel chat, as a program: lines in, replies out, SIGINT. */
import { spawn } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/build.mjs';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { peel, prepare } from './peel.ts';

const folder = temporaryFolder();
const copy = path.join(folder.path, 'nano-chat');
const template = '{{ bos_token }}{% for m in messages %}{{ m.role | upper }}:\n{{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}ASSISTANT:\n{% endif %}';
beforeAll(async () => {
  await prepare();
  cpSync(path.join('models', 'nano', 'nano-llama'), copy, { recursive: true });
  const file = path.join(copy, 'tokenizer_config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), chat_template: template }));
});
afterAll(() => folder.remove());

interface Chat { send(text: string): void; end(): void; kill(): void; until(text: RegExp, count?: number): Promise<void>; out(): string; err(): string; exit: Promise<number> }
function chat(...args: string[]): Chat {
  const child = spawn(process.execPath, [path.join(root, 'dist', 'cli', 'main.js'), 'chat', copy, '--device', 'cpu', '--threads', '1', ...args], { cwd: root, stdio: 'pipe' });
  let out = '', err = '';
  child.stdout.on('data', (d: Buffer) => { out += d.toString(); });
  child.stderr.on('data', (d: Buffer) => { err += d.toString(); });
  const exit = new Promise<number>((resolve) => { child.on('close', (code) => resolve(code ?? -1)); });
  return {
    send: (text) => { child.stdin.write(text); }, end: () => { child.stdin.end(); }, kill: () => { child.kill('SIGINT'); }, out: () => out, err: () => err, exit,
    async until(text, count = 1) {
      while ([...(out + err).matchAll(new RegExp(text.source, 'g'))].length < count) {
        await Promise.race([new Promise((resolve) => { setTimeout(resolve, 5); }), exit.then((code) => { throw new Error(`ended with ${code} before ${text.source}: ${out}${err}`); })]);
      }
    },
  };
}

describe('peel chat', () => {
  it('answers lines, computes only what is new of a second turn, and forgets at /reset', async () => {
    const c = chat('--max-tokens', '12', '--system', 'A play.', '--temperature', '1.2', '--seed', '3');
    c.send('Good morrow.\n/stats\nWho art thou?\n/stats\n/reset\nGood morrow.\n/stats\n/exit\nnever\n');
    expect(await c.exit).toBe(0);
    const turns = [...c.err().matchAll(/last turn: (\d+) tokens of conversation, (\d+) of them kept from before, (\d+) computed .*; (\d+) tokens written/g)].map((m) => m.slice(1).map(Number));
    const [first = [], second = [], third = []] = turns;
    expect(first.slice(1)).toEqual([0, first[0], 12]);
    // All of the first turn is there but the token generated last, which was never fed.
    expect(second[1]).toBe((first[0] ?? 0) + 12 - 1);
    expect(second[2]).toBe((second[0] ?? 0) - (second[1] ?? 0));
    expect(second[2]).toBeLessThan(30);
    expect(third).toEqual([first[0], 0, first[0], 12]);
    expect(c.err()).toMatch(/context: \d+ of 256 tokens, 3 messages[\s\S]*context: \d+ of 256 tokens, 5 messages[\s\S]*\(a new conversation\)[\s\S]*context: \d+ of 256 tokens, 3 messages/);
    expect(c.err()).toMatch(/all 2 turns: \d+ tokens kept, \d+ computed, 24 written/);
  });
  it('gives the same replies as run does, for the same conversation', async () => {
    const c = chat('--max-tokens', '16');
    c.send('Good morrow.\n');
    c.end();
    expect(await c.exit).toBe(0);
    const ran = await peel('run', copy, '--chat', '--prompt', 'Good morrow.', '--max-tokens', '16', '--device', 'cpu', '--threads', '1', '--quiet');
    expect(c.out().trimEnd()).toBe(ran.out.trimEnd());
  });
  it('stops a reply at SIGINT and stays; a second one at the prompt leaves', async () => {
    const c = chat('--context', '4096', '--max-tokens', '4000', '--ignore-eos');
    c.send('Speak at length.\n');
    await c.until(/\n?\w+/);
    c.kill();
    await c.until(/\(stopped\)/);
    c.send('/stats\n');
    await c.until(/last turn/);
    expect(c.err()).toMatch(/3 messages|2 messages/);
    c.kill();
    expect(await c.exit).toBe(0);
  });
  it('says where the context ends, and goes on after a message that is too long', async () => {
    const c = chat('--context', '60', '--max-tokens', '100');
    c.send(`Hello.\n${'word '.repeat(80)}\n/reset\nHello.\n`);
    c.end();
    expect(await c.exit).toBe(0);
    expect(c.err()).toMatch(/\(the context is full: \/reset begins anew, --context-shift goes on\)\nE024 \/ the conversation has \d+ tokens, the context holds 60; \/reset/);
    const shifting = chat('--context', '60', '--max-tokens', '30', '--context-shift');
    shifting.send('One fine day.\nAnother fine day.\nThe last fine day.\n/stats\n');
    shifting.end();
    expect(await shifting.exit).toBe(0);
    expect(shifting.err()).toMatch(/\(the 2 oldest messages were left out/);
  });
  it('refuses a model without a chat template', async () => {
    const ran = await peel('chat', 'nano-llama');
    expect([ran.code, ran.out]).toEqual([12, '']);
    expect(ran.err).toMatch(/E804 .*no chat template/);
  });
});
