/** Builds the addon and dist/ where they are older than their sources. */

import { projectRoot } from './child.js';
import { run } from './run.js';

export async function setup(): Promise<void> {
  await run(process.execPath, ['.ci/setup.mjs', '--dist'], { cwd: projectRoot });
}
