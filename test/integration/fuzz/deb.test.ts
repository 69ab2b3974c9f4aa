/** Hostile packages, control files and tar archives: a typed error, whatever is in them. */

import { fuzzTests } from '../../support/fuzz/tests.js';

fuzzTests('deb');
