// Prints each failed test of the reports in a directory (argument 1) and, last, how many passed and
// failed; argument 2 names the steps that failed, which count too. At the end, because of a long log
// often only the end is kept.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const [, , reports, steps] = process.argv;
const failedSteps = steps ? steps.split('\n') : [];
for (const step of failedSteps) console.log(`failed: ${step}`);

const shorten = (message) => message.split('\n').slice(0, 12).join('\n').slice(0, 1500);
let passed = 0;
let failed = failedSteps.length;
for (const name of existsSync(reports) ? readdirSync(reports) : []) {
  const report = JSON.parse(readFileSync(join(reports, name), 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const file of report.testResults) {
    const where = relative(process.cwd(), file.name);
    const tests = file.assertionResults.filter((test) => test.status === 'failed');
    for (const test of tests) {
      console.log(
        `failed: ${where}: ${test.fullName}\n${shorten(test.failureMessages.join('\n'))}`,
      );
    }
    if (file.status === 'failed' && tests.length === 0) {
      console.log(`failed: ${where}\n${shorten(file.message ?? '')}`);
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
