import { testMisuse } from '../../support/contract/groups.js';

testMisuse('repo');
