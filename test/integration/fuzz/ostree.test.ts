/** Damaged repositories, deltas, summaries and boot files: a typed error, whatever is in them. */

import { fuzzTests } from '../../support/fuzz/tests.js';

fuzzTests('ostree');
