/** peel pull: a model from Hugging Face's hub into the cache. */
import { Command } from 'commander';
import { ExitCode } from '../../compiler/diagnostics.ts';
import { pullModel } from '../../runtime/hub/pull.ts';
import { progress } from '../progress.ts';
import { bytes, line, note, writeJson } from '../output.ts';
import type { Finish } from '../program.ts';

interface PullFlags { readonly include?: string[]; readonly file?: string; readonly cache?: string; readonly json?: boolean; readonly quiet?: boolean }

export function pullCommand(finish: Finish): Command {
  return new Command('pull').description('Download a model from the Hugging Face hub.').argument('<model>', 'hf:OWNER/NAME, hf:OWNER/NAME@REVISION, or hf:OWNER/NAME:Q4_K_M')
    .option('--file <name>', 'one GGUF file, by its name or its quantisation, such as Q4_K_M')
    .option('--include <glob>', 'these files, instead of what a model needs (repeatable)', (text: string, earlier: string[] = []) => [...earlier, text])
    .option('--cache <dir>', 'where to keep it, instead of HF_HUB_CACHE or ~/.cache/huggingface/hub')
    .option('--quiet', 'nothing on standard error')
    .option('--json', 'one JSON object')
    .addHelpText('after', `
Takes config.json, the tokenizer and the safetensors; from a repository of GGUF files, one of them. A download that was interrupted goes on
where it stopped; every file is checked against the hub's digest. The cache is Hugging Face's own: other programs find the models, too.
Prints the path of the model. HF_TOKEN is sent to the hub alone; HF_ENDPOINT names another hub.

Examples:
  $ peel pull hf:HuggingFaceTB/SmolLM2-135M-Instruct
  $ peel run hf:HuggingFaceTB/SmolLM2-135M-Instruct --prompt "Once upon"    without a network
  $ peel pull hf:bartowski/SmolLM2-135M-Instruct-GGUF --file Q4_K_M
  $ peel pull hf:OWNER/NAME@v1.0 --cache ./models`)
    .action(async (model: string, flags: PullFlags) => finish(await pull(model, flags)));
}

async function pull(model: string, flags: PullFlags): Promise<ExitCode> {
  const say = flags.quiet ? (): void => undefined : note;
  const bar = progress('downloading, MiB', 1);
  try {
    const pulled = await pullModel({
      name: flags.file === undefined ? model : `${model}:${flags.file}`,
      ...(flags.include === undefined ? {} : { include: flags.include }), ...(flags.cache === undefined ? {} : { cache: flags.cache }),
      hub: { onRetry: say },
      onWait: (file) => say(`${file}: another process is downloading it; waiting`),
      ...(flags.quiet ? {} : { onProgress: (done: number, total: number): void => bar.update(Math.floor(done / 2 ** 20), Math.ceil(total / 2 ** 20)) }),
      onFile: (file, size) => { if (!process.stderr.isTTY) say(`${file}  ${bytes(size)}`); },
    });
    bar.stop();
    if (flags.json) writeJson({ ok: true, ...pulled });
    else {
      line(pulled.model ?? pulled.folder);
      say(`${pulled.files.length} file${pulled.files.length === 1 ? '' : 's'}, ${bytes(pulled.bytes)}, commit ${pulled.commit.slice(0, 12)}`);
    }
    return ExitCode.done;
  } finally {
    bar.stop();
  }
}
