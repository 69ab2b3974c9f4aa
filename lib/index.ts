/** `apt-ostree`: everything that most programs need. */
export * from './apt.js';
export * from './compose.js';
export * from './errors.js';
export { removeTree } from './files.js';
export * from './ostree.js';
export {
  type DeploymentStatus,
  formatStatus,
  status,
} from './system/status.js';
export {
  type ByteOrderOptions,
  type Variant,
  variant,
  variantFromBytes,
  variantFromText,
  variantToBytes,
  variantToText,
} from './variant.js';
