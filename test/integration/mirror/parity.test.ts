/** Random requests on the real archive, against apt-get; `npm run test:parity` does any number. */

import { describe, expect, test } from 'vitest';
import { compareWithAptGet } from '../../parity/sample.js';
import { obstacle } from '../../support/mirror.js';
import { temporaryDirectory } from '../../support/temp.js';

const reason = await obstacle();
if (reason !== undefined) process.stderr.write(`Not compared with apt-get: ${reason}.\n`);

describe.skipIf(reason !== undefined)('on the real archive', () => {
  test('plans are those of apt-get', { timeout: 3_600_000 }, async () => {
    await using directory = await temporaryDirectory('parity');
    const { compared, ordered, differences } = await compareWithAptGet(directory.path, 500, 20);
    expect(differences).toEqual([]);
    expect(compared).toBe(500);
    expect(ordered).toBeGreaterThan(30);
  });
});
