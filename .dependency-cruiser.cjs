/** Imports point one way: schema <- compiler <- runtime <- cli. No cycles. */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'schema-is-the-base', severity: 'error', from: { path: '^schema/' }, to: { path: '^(compiler|runtime|cli)/' } },
    { name: 'compiler-knows-no-runtime', severity: 'error', from: { path: '^compiler/' }, to: { path: '^(runtime|cli)/' } },
    { name: 'runtime-knows-no-cli', severity: 'error', from: { path: '^runtime/' }, to: { path: '^cli/' } },
  ],
  options: { tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' }, tsConfig: { fileName: 'tsconfig.json' } },
};
