/** A model in llama.cpp's native CPU build, as node-llama-cpp brings it along. */
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { versionOf } from './common.mjs';

export async function openLlamaCpp({ model: modelPath, threads }, contextSize) {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, usePrebuiltBinaries: true, maxThreads: threads });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({ contextSize, batchSize: 512, threads });
  return { model, context, version: `node-llama-cpp ${versionOf('node-llama-cpp')}` };
}
