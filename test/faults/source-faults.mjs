/**
 * Faults in compiler passes, in memory planning and in the code of backends: each is found by the test that it names, and where it
 * changes numbers, `peel diff` says where.
 */
const golden = (name, device) => [`test/golden/${name}`, '--against', `test/golden/${name}/golden.safetensors`, '--device', device];
const fused = (name) => [`test/golden/${name}`, '--fused', '--device', 'cpu'];
const devices = (name, list) => [`test/golden/${name}`, '--devices', list];

/** @type {import('./plant.mjs').Fault[]} */
export const faults = [
  {
    name: 'reference: heads take keys and values in turn, not in groups',
    file: 'runtime/reference/products.ts',
    find: 'const group = Math.floor((h * kvHeads) / heads);\n      for (let s = 0; s < keys; s++) {\n        result',
    replace: 'const group = h % kvHeads;\n      for (let s = 0; s < keys; s++) {\n        result',
    kills: { file: 'test/reference/operators.test.ts', test: 'share key heads among query heads' },
    diff: { args: golden('llama', 'reference'), says: /first divergence: hidden\.0, the output of layer 0/ },
  },
  {
    name: 'reference: epsilon is added behind the root of a norm',
    file: 'runtime/reference/rows.ts',
    find: 'Math.sqrt(squares / width + eps)',
    replace: 'Math.sqrt(squares / width) + eps',
    kills: { file: 'test/reference/operators.test.ts', test: 'norms' },
    diff: { args: [...golden('gpt2', 'reference'), '--tolerance', '1e-5'], says: /first divergence: hidden\.0, the output of layer 0/ },
  },
  {
    name: 'reference: a window sees one key more',
    file: 'runtime/reference/attention.ts',
    find: 'key > query - window.size',
    replace: 'key >= query - window.size',
    kills: { file: 'test/reference/operators.test.ts', test: 'masks: causal, sliding' },
    diff: { args: golden('mistral', 'reference'), says: /first divergence: hidden\.0, the output of layer 0[^]*likely cause: .*window/ },
  },
  {
    name: 'reference: top-k gives one place fewer',
    file: 'runtime/reference/rows.ts',
    find: 'order.slice(0, k)',
    replace: 'order.slice(0, k - 1)',
    kills: { file: 'test/reference/operators.test.ts', test: 'topk breaks ties' },
    diff: { args: golden('mixtral', 'reference'), says: /first divergence: hidden\.0, the output of layer 0/ },
  },
  {
    name: 'reference: ties of top-k go to the higher index',
    file: 'runtime/reference/rows.ts',
    find: '? a - b :',
    replace: '? b - a :',
    kills: { file: 'test/reference/operators.test.ts', test: 'topk breaks ties' },
  },
  {
    name: 'schedule: the cache is written from its start at every step',
    file: 'compiler/schedule.ts',
    find: "add(dim('P'), axis(0))",
    replace: 'axis(0)',
    kills: { file: 'test/compiler/schedule.test.ts', test: 'llama: is valid' },
    diff: { args: devices('llama', 'cpu,reference'), says: /first wrong operator: layers\.0\.attention\.keys \(cache\)/ },
  },
  {
    name: 'graph passes: common-subexpressions takes all weights of a shape for one',
    file: 'compiler/passes/graph/common-subexpressions.ts',
    find: '${JSON.stringify(node.operator)}',
    replace: "${node.operator.op === 'weight' ? 'weight' : JSON.stringify(node.operator)}",
    kills: { file: 'test/compiler/golden-plans.test.ts', test: 'golden plans llama_tied' },
    diff: { args: golden('llama', 'cpu'), says: /first divergence: hidden\.0, the output of layer 0/ },
  },
  {
    name: 'graph passes: dead-code keeps the first operands only',
    file: 'compiler/passes/graph/dead-code.ts',
    find: 'for (const id of node.inputs)',
    replace: 'for (const id of node.inputs.slice(0, 1))',
    kills: { file: 'test/compiler/golden-plans.test.ts', test: 'golden plans mixtral' },
  },
  {
    name: 'gated-product: gate and up change places',
    file: 'compiler/passes/gated-product.ts',
    find: 'int(which))',
    replace: 'int(many - 1 - which))',
    kills: { file: 'test/compiler/passes/fusions.test.ts', test: 'interleave where their results meet' },
    diff: { args: fused('llama'), says: /first divergence: hidden\.0, the output of layer 0[^]*the pass that changes the result: gated-product/ },
  },
  {
    name: 'rotary-tables: cosine is read for sine',
    file: 'compiler/passes/rotary-tables.ts',
    find: 'load(table.id, [...a.at.index, int(a.which)])',
    replace: 'load(table.id, [...a.at.index, int(1 - a.which)])',
    kills: { file: 'test/compiler/golden-plans.test.ts', test: 'golden plans llama_tied' },
    diff: { args: fused('llama'), says: /first divergence: hidden\.0, the output of layer 0[^]*first wrong operator: layers\.0\.attention\.q_rope[^]*the pass that changes the result: rotary-tables/ },
  },
  {
    name: 'epilogue: what is added last, as a residual, is dropped',
    file: 'compiler/passes/epilogue.ts',
    find: 'const localValue = substituteAxes(value, local, inner);',
    replace: "const all = substituteAxes(value, local, inner);\n    const localValue = all.op === 'binary' && all.fn === 'add' && all.a.op === 'load' ? all.b : all;",
    kills: { file: 'test/compiler/golden-plans.test.ts', test: 'golden plans llama_tied' },
    diff: { args: fused('llama'), says: /first divergence: hidden\.0, the output of layer 0[^]*first wrong operator: layers\.0\.attention\.residual[^]*the pass that changes the result: epilogue/ },
  },
  {
    name: 'epilogue: joined kernels stand where what they read is not yet written',
    file: 'compiler/passes/epilogue.ts',
    find: 'if (waiting.length === 0) return host;',
    replace: 'if (waiting.length >= 0) return host;',
    kills: { file: 'test/compiler/golden-plans.test.ts', test: 'golden plans llama_tied' },
  },
  {
    name: 'linear-input: every row is read as the first',
    file: 'compiler/passes/linear-input.ts',
    find: '{ buffer: p.buffer.id, value }, alike)',
    replace: `{ buffer: p.buffer.id, value: JSON.parse(JSON.stringify(value).replaceAll('{"op":"axis","axis":0}', '{"op":"int","value":0}')) }, alike)`,
    kills: { file: 'test/compiler/passes/fusions.test.ts', test: 'fires, with its weights' },
    diff: { args: fused('gpt2'), says: /the pass that changes the result: linear-input/ },
  },
  {
    name: 'memory: a slot is given away in the step that still reads it',
    file: 'compiler/memory.ts',
    find: 'o.last < life.first',
    replace: 'o.last <= life.first',
    kills: { file: 'test/compiler/plan.test.ts', test: 'llama: hold together, fused and unfused' },
    // No numbers come of it: a plan whose buffers meet is refused.
  },
  {
    name: 'cpu: heads of a group take the wrong keys',
    file: 'runtime/cpu/emit/attention.ts',
    find: "op('i32.div_u', mul(head0, i32(kernel.kvHeads)), i32(kernel.heads))",
    replace: "op('i32.rem_u', head0, i32(kernel.kvHeads))",
    kills: { file: 'test/conformance/cpu.test.ts', test: /one thread, relaxed SIMD.*attention: sinks/ },
    diff: { args: devices('llama', 'cpu,reference'), says: /first divergence: hidden\.0, the output of layer 0[^]*cpu is the one that is wrong[^]*the pass that changes the result: attention/ },
  },
  {
    name: 'cpu: a token does not see itself',
    file: 'runtime/cpu/emit/attention.ts',
    find: 'if (kernel.mask.causal) upper(add(position, i32(1)));',
    replace: 'if (kernel.mask.causal) upper(position);',
    kills: { file: 'test/conformance/cpu.test.ts', test: /one thread, relaxed SIMD.*attention: groups$/ },
    diff: { args: devices('llama', 'cpu,reference'), says: /first divergence: hidden\.0, the output of layer 0[^]*cpu is the one that is wrong[^]*the pass that changes the result: attention/ },
  },
  {
    name: 'cpu: loops leave out what fills no vector',
    file: 'runtime/cpu/emit/loops.ts',
    find: 'if (known !== undefined && known % 4 === 0) return;',
    replace: 'if (known !== undefined) return;',
    kills: { file: 'test/conformance/cpu.test.ts', test: /one thread, relaxed SIMD.*unary neg/ },
    diff: { args: devices('llama_odd', 'cpu,reference'), says: /first divergence: hidden\.0, the output of layer 0[^]*cpu is the one that is wrong/ },
  },
  {
    name: 'webgpu: heads are as far apart as rows',
    file: 'runtime/webgpu/wgsl/attention-common.ts',
    find: '${head} * ${view.headStride}',
    replace: '${head} * ${view.rowStride}',
    kills: { file: 'test/conformance/webgpu.test.ts', test: /attention: groups/ },
    diff: { args: devices('llama', 'webgpu,reference'), says: /first divergence: hidden\.0, the output of layer 0[^]*webgpu is the one that is wrong[^]*the pass that changes the result: attention/ },
  },
];
