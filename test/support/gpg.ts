/** Throw-away OpenPGP keys. */

import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './run.js';
import { removeTree } from './temp.js';

export interface GpgHome extends AsyncDisposable {
  /** A GNUPGHOME. Short, because gpg-agent's socket lies in it. */
  readonly home: string;
  /** Makes an ed25519 signing key and gives its fingerprint. `expires` as gpg takes it. */
  addKey(userId: string, expires?: string): Promise<string>;
  /** The public key, binary (`.gpg`) or armoured (`.asc`). */
  exportKey(fingerprint: string, armored?: boolean): Promise<Buffer>;
  /** Signs as `InRelease` (clear) or `Release.gpg` (detached) do. */
  sign(fingerprint: string, text: Buffer | string, kind: 'clear' | 'detached'): Promise<Buffer>;
  /** Ends the agent that gpg started; the next use starts another. */
  stopAgent(): Promise<void>;
}

export async function createGpgHome(): Promise<GpgHome> {
  const home = await mkdtemp('/tmp/ao-gpg-');
  await writeFile(path.join(home, 'gpg.conf'), 'batch\nno-tty\npinentry-mode loopback\n');
  const gpg = async (args: string[], input?: Buffer | string) =>
    (await run('gpg', ['--homedir', home, '--passphrase', '', ...args], { input })).bytes;
  const stopAgent = async () => {
    await run('gpgconf', ['--homedir', home, '--kill', 'all']);
  };
  return {
    home,
    async addKey(userId, expires = 'never') {
      await gpg(['--quick-generate-key', userId, 'ed25519', 'sign', expires]);
      const list = (await gpg(['--with-colons', '--list-keys', `=${userId}`])).toString();
      const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(list)?.[1];
      if (!fingerprint) throw new Error(`gpg made no key:\n${list}`);
      return fingerprint;
    },
    exportKey: (fingerprint, armored = false) =>
      gpg([...(armored ? ['--armor'] : []), '--export', fingerprint]),
    sign: (fingerprint, text, kind) =>
      gpg(
        ['-u', fingerprint, ...(kind === 'clear' ? ['--clear-sign'] : ['-a', '--detach-sign'])],
        text,
      ),
    stopAgent,
    async [Symbol.asyncDispose]() {
      await stopAgent();
      await removeTree(home);
    },
  };
}
