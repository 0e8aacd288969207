import { defineConfig } from 'vitest/config';
import { swiftshaderEnvironment } from './scripts/swiftshader.mjs';

// Test processes start with the npm-supplied WebGPU driver in their environment, unless the caller's names another.
Object.assign(process.env, swiftshaderEnvironment());

// The time limits only end what hangs: machines that do other work at the same time are several times slower.
export default defineConfig({
  test: { include: ['test/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 180_000, pool: 'forks', maxWorkers: 2 },
});
