/** peel chat: a conversation in the terminal. */
import { Command } from 'commander';
import { ExitCode } from '../../compiler/diagnostics.ts';
import { loadModel } from '../../runtime/model.ts';
import { Conversation } from '../chat/conversation.ts';
import { chatLoop } from '../chat/loop.ts';
import { chainHelp, constraintSource, generationOptions, toTextOptions, type GenerationFlags } from '../generation-flags.ts';
import { deviceOptions, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import { note } from '../output.ts';
import { progress } from '../progress.ts';
import type { Finish } from '../program.ts';

interface ChatFlags extends CommonFlags, GenerationFlags {
  readonly system?: string;
  readonly maxTokens: number;
  readonly quiet?: boolean;
}

export function chatCommand(finish: Finish): Command {
  const command = new Command('chat').description('Talk with a model, in its own chat template.').argument('<model>', 'folder, file, or name');
  quantiseOptions(modelOptions(command))
    .option('--system <text>', 'a system message in front of the conversation')
    .option('--max-tokens <n>', 'most tokens of a reply', wholeNumber(1), 1024);
  generationOptions(command);
  return deviceOptions(command)
    .option('--quiet', 'no greeting, no progress')
    .addHelpText('after', `
Each line is a message. /reset, /stats, /help and /exit are commands; Ctrl-C stops a reply, twice or at an empty prompt it leaves.
Without a terminal, lines come from standard input and replies go to standard output.
${chainHelp}

Examples:
  $ peel chat ./SmolLM2-135M-Instruct --system "You are brief." --temperature 0.7
  $ printf 'Hello\\nWhy?\\n' | peel chat ./model --seed 1`)
    .action(async (path: string, flags: ChatFlags) => finish(await chat(path, flags)));
}

async function chat(path: string, flags: ChatFlags): Promise<ExitCode> {
  const source = await constraintSource(flags);
  const model = await loadModel(toModelOptions(path, flags));
  try {
    const tokenizer = await model.tokenizer();
    // A model without a template says so now, not at the first message.
    tokenizer.chat([{ role: 'user', content: 'Hello' }]);
    const session = await model.session(toSessionOptions(flags));
    const interactive = process.stdin.isTTY && process.stdout.isTTY;
    const bar = progress('prompt', 512);
    const conversation = new Conversation(session, tokenizer, {
      generation: { ...toTextOptions(flags), ...(source ? { constraint: await model.constraint(source) } : {}) }, ...(flags.system === undefined ? {} : { system: flags.system }),
      onProgress: (done, total) => { if (!flags.quiet) bar.update(done, total); },
    });
    if (interactive && !flags.quiet) note(`${model.name} on ${session.device.description}; context ${session.context} tokens; /help lists the commands`);
    await chatLoop({
      input: process.stdin, output: process.stdout, notes: process.stderr, interactive,
      onInterrupt: (handler) => {
        process.on('SIGINT', handler);
        return () => { process.off('SIGINT', handler); };
      },
    }, conversation);
    return ExitCode.done;
  } finally {
    await model.dispose();
  }
}
