import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const lib = (file: string) => fileURLToPath(new URL(`./lib/${file}`, import.meta.url));
const alias = [
  { find: /^apt-ostree$/, replacement: lib('index.ts') },
  { find: /^apt-ostree\/ostree$/, replacement: lib('ostree.ts') },
  { find: /^apt-ostree\/apt$/, replacement: lib('apt.ts') },
  { find: /^apt-ostree\/compose$/, replacement: lib('compose.ts') },
];

/** Where .ci/run finds the numbers of passed and failed tests. */
const reports = process.env.APT_OSTREE_TEST_REPORTS;

/** Everything is several times slower under a sanitizer (see .ci/asan). */
const patience = process.env.APT_OSTREE_SANITIZER ? 5 : 1;

export default defineConfig({
  test: {
    reporters: reports
      ? ['default', ['json', { outputFile: `${reports}/${process.pid}.json` }]]
      : ['default'],
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'main',
          pool: 'forks',
          include: ['test/{house,unit,integration}/**/*.test.ts'],
          testTimeout: 60_000 * patience,
          hookTimeout: 120_000 * patience,
        },
      },
      {
        resolve: { alias },
        // A virtual machine; only `npm run test:boot` asks for it.
        test: { name: 'boot', pool: 'forks', include: ['test/boot/**/*.test.ts'] },
      },
      {
        resolve: { alias },
        // The real ostree command and apt-get beside this library; .ci/run asks for it.
        test: {
          name: 'differential',
          pool: 'forks',
          include: ['test/differential/**/*.test.ts'],
          testTimeout: 60_000 * patience,
          hookTimeout: 120_000 * patience,
        },
      },
      {
        // What is published: dist/, built first.
        test: {
          name: 'package',
          pool: 'forks',
          include: ['test/package/**/*.test.ts'],
          globalSetup: 'test/support/build.ts',
          testTimeout: 60_000 * patience,
        },
      },
      {
        resolve: { alias },
        // The addon inside worker threads, next to other files of the same process.
        test: {
          name: 'workers',
          pool: 'threads',
          include: ['test/workers/**/*.test.ts'],
          testTimeout: 60_000 * patience,
        },
      },
    ],
  },
});
