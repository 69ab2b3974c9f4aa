/** `apt-ostree/ostree`: libostree. */
export { Repo, type RepoMode } from './ostree/repo.js';
