import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const lib = (file: string) => fileURLToPath(new URL(`./lib/${file}`, import.meta.url));
const alias = [
  { find: /^apt-ostree$/, replacement: lib('index.ts') },
  { find: /^apt-ostree\/ostree$/, replacement: lib('ostree.ts') },
  { find: /^apt-ostree\/apt$/, replacement: lib('apt.ts') },
  { find: /^apt-ostree\/compose$/, replacement: lib('compose.ts') },
];

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'main',
          pool: 'forks',
          include: ['test/{house,unit,integration}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve: { alias },
        // The addon inside worker threads, next to other files of the same process.
        test: {
          name: 'workers',
          pool: 'threads',
          include: ['test/workers/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
    ],
  },
});
