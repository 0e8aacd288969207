/** Helpers for tests that write model files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PeelError } from '../../../compiler/diagnostics.ts';

/** A temporary folder for one test file; call the result's `remove` at the end. */
export function temporaryFolder(): { path: string; file: (name: string, bytes: Uint8Array | string) => string; remove: () => void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'peel-test-'));
  return {
    path: folder,
    file: (name, bytes) => {
      const full = path.join(folder, name);
      writeFileSync(full, bytes);
      return full;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A safetensors file with a header written by hand, right or wrong. */
export function rawSafetensors(header: string, data: Uint8Array | number = 0, length?: bigint): Uint8Array {
  const head = new TextEncoder().encode(header);
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + head.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(head.length), true);
  bytes.set(head, 8);
  bytes.set(body, 8 + head.length);
  return bytes;
}

/** The PeelError that `work` ends in. */
export async function problemsOf(work: Promise<unknown>): Promise<PeelError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof PeelError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}
