/**
 * `npm run test:parity -- --count N`: N random requests on the real archive against apt-get.
 *
 *   --count N   how many (500)
 *   --seed N    another sample (1)
 */

import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../support/temp.js';
import { compareWithAptGet } from './sample.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
  },
});
await using directory = await temporaryDirectory('parity');
const { compared, refused, changes, ordered, differences } = await compareWithAptGet(
  directory.path,
  Number(values.count),
  Number(values.seed),
  (line) => process.stdout.write(`${line}\n`),
);
process.stdout.write(
  `${compared} requests (${ordered} with their order, ${changes} changes), ${refused} refused by both, ${differences.length} differ\n`,
);
process.exitCode = differences.length === 0 ? 0 : 1;
