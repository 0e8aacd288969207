/** Small files written whole or not at all. */
import { randomBytes } from 'node:crypto';
import { promises as fs } from 'node:fs';
import path from 'node:path';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { reason } from './files.ts';
import { weightProblem } from './problem.ts';

/**
 * Writes `file` in one step: whoever reads it, and whatever ends this process, finds the old content or the new. False, and nothing
 * written, where it is there already and is not to be overwritten. Throws PeelError (exit code 14) where it cannot be written.
 */
export async function writeWhole(file: string, text: string, options: { overwrite: boolean }): Promise<boolean> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file).slice(0, 100)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await fs.open(temporary, 'wx');
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (options.overwrite) await fs.rename(temporary, file);
    // A link fails where the name is taken, in one step.
    else await fs.link(temporary, file);
    return true;
  } catch (error) {
    if (!options.overwrite && error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw new PeelError(ExitCode.fileSystem, [weightProblem('E721', file, `cannot be written: ${reason(error)}`)]);
  } finally {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
  }
}
