/**
 * llama.cpp's replies to prompts: `--model FILE --texts FILE --tokens N --logits FILE`. Each prompt goes through the model's chat template as
 * node-llama-cpp renders it. Prints the ids of prompts and replies, and for every token of a reply the largest logits; writes the logits behind each prompt.
 */
import fs from 'node:fs';
import { JinjaTemplateChatWrapper } from 'node-llama-cpp';
import { options, print } from './common.mjs';
import { openLlamaCpp } from './llama-cpp-open.mjs';

const kept = 32;
const o = options();
const limit = Number(o.tokens);
const { model, context, version } = await openLlamaCpp(o, Number(o.context));
const template = model.fileInfo.metadata.tokenizer.chat_template;
if (!template) throw new Error('Error: the file has no chat template');
const wrapper = new JinjaTemplateChatWrapper({ template });

function promptIds(text) {
  const { contextText } = wrapper.generateContextState({ chatHistory: [{ type: 'user', text }, { type: 'model', response: [] }] });
  const ids = contextText.tokenize(model.tokenizer);
  const { bos, shouldPrependBosToken } = model.tokens;
  return shouldPrependBosToken && ids[0] !== bos ? [bos, ...ids] : ids;
}

/** Feeds ids and gives the token that follows, with logits. */
async function step(sequence, ids, logits) {
  const results = await sequence.controlledEvaluate([...ids.slice(0, -1), [ids.at(-1), { generateNext: { token: true, logits, options: { temperature: 0 } } }]]);
  return results[ids.length - 1].next;
}

const replies = [], rows = [];
for (const { text } of JSON.parse(fs.readFileSync(o.texts, 'utf8'))) {
  const ids = promptIds(text);
  const sequence = context.getSequence();
  const tokens = [], largest = [];
  for (let fed = ids; tokens.length < limit; fed = [tokens.at(-1)]) {
    const { token, logits } = await step(sequence, fed, tokens.length === 0 ? true : { filter: { includeTop: kept } });
    if (tokens.length === 0) rows.push(Float32Array.from({ length: logits.size }, (_, id) => logits.get(id)));
    tokens.push(token);
    largest.push([...logits].slice(0, kept));
    if (model.isEogToken(token)) break;
  }
  await sequence.dispose();
  replies.push({ ids: [...ids], tokens, largest, text: model.detokenize(tokens) });
}
fs.writeFileSync(o.logits, Buffer.concat(rows.map((row) => Buffer.from(row.buffer))));
print({ version, replies });
process.exit(0);
