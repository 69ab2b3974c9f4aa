// tsup is no longer developed; tsdown reads the same options, so keep this short.
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    index: 'lib/index.ts',
    ostree: 'lib/ostree.ts',
    apt: 'lib/apt.ts',
    compose: 'lib/compose.ts',
  },
  format: ['esm', 'cjs'],
  dts: true,
  shims: true,
  target: 'node20',
  sourcemap: true,
  clean: true,
});
