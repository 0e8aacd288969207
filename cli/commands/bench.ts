/** peel bench: how fast a model runs here. */
import { Command } from 'commander';
import { ExitCode } from '../../compiler/diagnostics.ts';
import { benchmark, promptIds, type Benchmark, type Times } from '../../runtime/benchmark.ts';
import { loadModel } from '../../runtime/model.ts';
import { timeKernels } from '../../runtime/trace/kernels.ts';
import { bytes, line, note, noteQuantisation, quantisationResult, writeJson } from '../output.ts';
import { deviceOptions, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';
import { progress } from '../progress.ts';
import { kernelLines } from '../trace/kernel-lines.ts';

interface BenchFlags extends CommonFlags {
  readonly prompt: number;
  readonly decode: number;
  readonly rounds: number;
  readonly kernels?: boolean;
}

export function benchCommand(finish: Finish): Command {
  const command = new Command('bench').description('Measure how fast a model runs: prefill, decode, bytes a token, share of the memory\'s bandwidth.').argument('<model>', 'folder, GGUF file, spec, or name');
  quantiseOptions(modelOptions(command))
    .option('--prompt <n>', 'tokens of a prompt', wholeNumber(1, 1 << 20), 128)
    .option('--decode <n>', 'tokens written in a round', wholeNumber(1, 1 << 20), 32)
    .option('--rounds <n>', 'measured rounds, after one that warms up', wholeNumber(1, 1000), 5)
    .option('--kernels', 'how long each kernel takes too, for the prompt and for one token behind it');
  return deviceOptions(command)
    .option('--json', 'one JSON object')
    .addHelpText('after', `
--context N writes after N tokens instead of after the prompt. Tokens are made up: only times are measured.
Compare runs that were made in turn: a busy machine changes from minute to minute.

Examples:
  $ peel bench model.gguf
  $ peel bench model.gguf --threads 1 --prompt 512 --context 1024
  $ peel bench model.gguf --kernels
  $ peel bench llama --random --set dim=576 --quantize q4_0`)
    .action(async (path: string, flags: BenchFlags) => finish(await bench(path, flags)));
}

async function bench(path: string, flags: BenchFlags): Promise<ExitCode> {
  const begun = performance.now();
  const model = await loadModel(toModelOptions(path, flags));
  const opened = performance.now() - begun;
  const bar = progress('rounds', 1);
  try {
    const { context, ...session } = toSessionOptions(flags);
    const result = await benchmark(model, {
      ...session, prompt: flags.prompt, decode: flags.decode, rounds: flags.rounds, ...(context === undefined ? {} : { past: context }),
      onProgress: (done, total) => { bar.update(done, total); },
    });
    bar.stop();
    const times = flags.kernels ? await timeKernels(model, promptIds(flags.prompt, model.model.embeddings.token.rows, 1), { ...session, repetitions: flags.rounds }) : undefined;
    if (flags.json) writeJson({ ok: true, model: model.name, openMs: opened, ...quantisationResult(model.quantisation), ...result, ...(times ? { kernelTimes: times } : {}) });
    else {
      show(model.name, opened, result);
      noteQuantisation(model.quantisation);
      if (times) for (const text of kernelLines(times)) line(text);
    }
    return ExitCode.done;
  } finally {
    bar.stop();
    await model.dispose();
  }
}

const number = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
const giga = (x: number): string => number(x / 1e9);
const times = ({ median, min, p90 }: Times): string => `${number(median)} ms median, ${number(min)} least, ${number(p90)} p90`;

function show(name: string, opened: number, r: Benchmark): void {
  const { cold, prefill, decode, bandwidth, memory } = r;
  line(`${name} on ${r.device.description}`);
  line(`prefill of ${prefill.tokens}: ${number(prefill.tokensPerSecond)} tokens/s, ${giga(prefill.flopsPerSecond)} GFLOP/s (${times(prefill.times)})`);
  line(`decode after ${decode.past}: ${number(decode.tokensPerSecond)} tokens/s, ${giga(decode.bytesPerSecond)} GB/s of ${bytes(decode.bytesPerToken)} a token (${times(decode.times)})`);
  if (bandwidth) line(`reading alone: ${giga(bandwidth.bytesPerSecond)} GB/s on ${bandwidth.threads} ${bandwidth.threads === 1 ? 'thread' : 'threads'}; decode has ${Math.round(100 * bandwidth.share)} % of it`);
  line(`cold: opened in ${Math.round(opened)} ms, loaded in ${Math.round(cold.load)} ms, first token ${Math.round(opened + cold.firstToken)} ms after the start`);
  line(`memory: weights ${bytes(memory.weights)}, states ${bytes(memory.states)}, planned ${bytes(memory.planned)}; the process at most ${bytes(memory.process)}`);
  line(`kernels: ${r.kernels.map((k) => `${k.count} ${k.kind}`).join(', ') || 'none, the graph is interpreted'}`);
  note(`${prefill.times.count} rounds, ${r.device.reason}${r.device.variants === undefined ? '' : `; ${r.device.variants}`}`);
}
