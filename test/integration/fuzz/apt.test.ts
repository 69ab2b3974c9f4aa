/** Hostile indexes, states and settings of apt: a typed error, whatever is in them. */

import { fuzzTests } from '../../support/fuzz/tests.js';

fuzzTests('apt');
