/**
 * `npm run bench`: this library against the real tools, in one run, with the same packages.
 *
 *   --rounds N     how often each side runs; the median counts (3)
 *   --only NAME    base, layer, solve or quickstart
 */

import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../test/support/temp.js';
import { benchArchive } from './archive.js';
import { benchBase } from './base.js';
import { benchLayer } from './layer.js';
import { benchQuickstart } from './quickstart.js';
import { benchSolve } from './solve.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, only: { type: 'string' } },
});
const rounds = Number(values.rounds);
const wanted = (name: string) => values.only === undefined || values.only === name;

await using directory = await temporaryDirectory('bench');
if (wanted('base') || wanted('layer')) {
  await using archive = await benchArchive(directory.path, ['htop']);
  if (wanted('base')) await benchBase(archive, directory.path, rounds);
  if (wanted('layer')) await benchLayer(archive, directory.path, 'htop', rounds);
}
if (wanted('solve')) await benchSolve(directory.path, 'htop', rounds * 3);
if (wanted('quickstart')) await benchQuickstart(directory.path);
