/** A certificate authority of the test's own, with a certificate for 127.0.0.1. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './run.js';

export interface TestAuthority {
  /** Path of the authority's certificate. */
  ca: string;
  key: Buffer;
  cert: Buffer;
}

export async function createAuthority(directory: string): Promise<TestAuthority> {
  const file = (name: string) => path.join(directory, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run('openssl', [
    ...['req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem')],
    ...['-days', '2', '-subj', '/CN=Test Authority'],
  ]);
  await run('openssl', [
    ...['req', ...key, '-keyout', file('server.key'), '-out', file('server.csr')],
    ...['-subj', '/CN=127.0.0.1'],
  ]);
  await writeFile(file('extensions'), 'subjectAltName=IP:127.0.0.1\n');
  await run('openssl', [
    ...['x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key')],
    ...['-CAcreateserial', '-days', '2', '-extfile', file('extensions')],
    ...['-out', file('server.pem')],
  ]);
  return {
    ca: file('ca.pem'),
    key: await readFile(file('server.key')),
    cert: await readFile(file('server.pem')),
  };
}
