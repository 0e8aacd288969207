import { defineConfig } from 'vitest/config';
import { swiftshaderEnvironment } from './scripts/swiftshader.mjs';

// Test processes start with the npm-supplied WebGPU driver in their environment, unless the caller's names another.
Object.assign(process.env, swiftshaderEnvironment());

export default defineConfig({
  test: { include: ['test/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, pool: 'forks', maxWorkers: 2 },
});
