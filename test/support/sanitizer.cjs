// Loaded into every node process of .ci/asan: what these start (gpgv, dpkg, ...) must run without
// the sanitizer's library. vitest itself keeps it for its children, which are node.
if (!/vitest(\.mjs)?$/.test(process.argv[1] ?? '')) delete process.env.LD_PRELOAD;
