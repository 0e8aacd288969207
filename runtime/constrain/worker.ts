/**
 * The program of the thread in which XGrammar works: away from the model's thread, so that a grammar that takes too long can be ended, and a mask is
 * computed while the model computes logits. The package is one CommonJS script in a folder of modules, which neither `import` nor `require` reads.
 */
export const workerProgram = `
const { parentPort, workerData } = require('node:worker_threads');
const said = [];
for (const name of ['log', 'warn', 'error']) console[name] = (...parts) => { said.push(parts.join(' ')); };
const script = { exports: {} };
new Function('exports', 'module', 'require', '__filename', '__dirname', require('node:fs').readFileSync(workerData.file, 'utf8'))(
  script.exports, script, require, workerData.file, require('node:path').dirname(workerData.file));
const { TokenizerInfo, GrammarCompiler, GrammarMatcher } = script.exports;
let compiler;
const matchers = new Map();
const work = {
  async vocabulary({ tokens }) {
    const info = await TokenizerInfo.createTokenizerInfo(tokens, 'byte_level', false, tokens.length, [tokens.length - 1]);
    compiler = await GrammarCompiler.createGrammarCompiler(info, false);
  },
  async compile({ id, grammar }) {
    const compiled = await compiler.compileGrammar(grammar, 'root');
    matchers.set(id, await GrammarMatcher.createGrammarMatcher(compiled));
    compiled.dispose();
  },
  begin({ id }) { matchers.get(id).reset(); },
  accept({ id, token }) {
    if (!matchers.get(id).acceptToken(token)) throw new Error('token ' + token + ' was not allowed');
  },
  async mask({ id }) { return matchers.get(id).getNextTokenBitmask(); },
  dispose({ id }) { matchers.get(id).dispose(); matchers.delete(id); },
};
let last = Promise.resolve();
parentPort.on('message', (message) => {
  last = last.then(async () => {
    try {
      const result = await work[message.work](message);
      if (message.call !== undefined) parentPort.postMessage({ call: message.call, result });
    } catch (error) {
      parentPort.postMessage({ call: message.call, error: [String(error && error.message || error), ...said.splice(0).slice(-3)].join(' ').slice(0, 2000) });
    }
  });
});
`;
