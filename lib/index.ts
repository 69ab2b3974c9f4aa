/** `apt-ostree`: everything that most programs need. */
export * from './apt.js';
export * from './errors.js';
export * from './ostree.js';
export { type Variant, variant } from './variant.js';
