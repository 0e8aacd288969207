/** Runs the built command line, as a user does. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { build, isStale, root } from '../../scripts/build.mjs';

export interface Ran { readonly code: number; readonly out: string; readonly err: string }

export const golden = (name: string, file = ''): string => path.join('test', 'golden', name, file);

export async function prepare(): Promise<void> {
  if (isStale()) await build();
}

export function peel(...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(root, 'dist', 'cli', 'main.js'), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PEEL_DEBUG: '' } });
    let out = '', err = '';
    child.stdout.on('data', (data: Buffer) => { out += data.toString(); });
    child.stderr.on('data', (data: Buffer) => { err += data.toString(); });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, out, err }));
  });
}
