import { chains, expressions, indexes, releases, settings, sourceIndexes } from './apt.js';
import { deb822, file, tar } from './deb.js';
import { deltas, summaries, sysroots, texts } from './ostree-files.js';
import { config, detached, objects, parsing, refs, trees, writing } from './ostree-objects.js';
import type { FuzzTarget } from './target.js';

/** All of them, by name; the part before the dot is the test file. */
export const targets: Readonly<Record<string, FuzzTarget>> = {
  'ostree.objects': objects,
  'ostree.trees': trees,
  'ostree.parsing': parsing,
  'ostree.writing': writing,
  'ostree.refs': refs,
  'ostree.config': config,
  'ostree.detached': detached,
  'ostree.summaries': summaries,
  'ostree.deltas': deltas,
  'ostree.texts': texts,
  'ostree.sysroots': sysroots,
  'deb.file': file,
  'deb.deb822': deb822,
  'deb.tar': tar,
  'apt.indexes': indexes,
  'apt.sources': sourceIndexes,
  'apt.releases': releases,
  'apt.settings': settings,
  'apt.chains': chains,
  'apt.expressions': expressions,
};
