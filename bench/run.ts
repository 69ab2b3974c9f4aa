/**
 * `npm run bench`: this library against the real tools, in one run, with the same packages.
 *
 *   --rounds N     how often each side runs; the median counts (3)
 *   --only NAME    apt, base, layer, solve, ostree or quickstart
 *
 * Of `ostree`:
 *   --files N      how many files the tree has (50000)
 *   --mode MODE    of the repositories (bare)
 *   --fsync        wait for the disk, which says more of the disk than of the two
 *   --row NAME     only this; may be given several times
 */

import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../test/support/temp.js';
import { benchApt } from './apt.js';
import { benchArchive } from './archive.js';
import { benchBase } from './base.js';
import { benchLayer, kLayered } from './layer.js';
import { benchOstree } from './ostree.js';
import { benchQuickstart } from './quickstart.js';
import { benchSolve } from './solve.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    files: { type: 'string', default: '50000' },
    mode: { type: 'string', default: 'bare' },
    fsync: { type: 'boolean', default: false },
    row: { type: 'string', multiple: true },
  },
});
const rounds = Number(values.rounds);
const wanted = (name: string) => values.only === undefined || values.only === name;

await using directory = await temporaryDirectory('bench');
if (wanted('base') || wanted('layer')) {
  await using archive = await benchArchive(
    directory.path,
    kLayered.flatMap(({ packages }) => packages),
  );
  if (wanted('base')) await benchBase(archive, directory.path, rounds);
  if (wanted('layer')) await benchLayer(archive, directory.path, rounds);
}
if (wanted('apt')) await benchApt(directory.path, rounds * 3);
if (wanted('solve')) await benchSolve(directory.path, 'htop', rounds * 3);
if (wanted('ostree')) {
  await benchOstree({
    directory: directory.path,
    rounds,
    files: Number(values.files),
    mode: values.mode,
    fsync: values.fsync,
    rows: values.row,
  });
}
if (wanted('quickstart')) await benchQuickstart(directory.path);
