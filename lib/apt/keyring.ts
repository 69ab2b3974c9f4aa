/** OpenPGP keyrings as text: what an inline `Signed-By` holds (RFC 4880, section 6). */

import { AptError } from '../errors.js';

const kBegin = '-----BEGIN PGP PUBLIC KEY BLOCK-----';
const kEnd = '-----END PGP PUBLIC KEY BLOCK-----';

/** The check sum of armored text. */
function crc24(bytes: Uint8Array): number {
  let crc = 0xb704ce;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit++) {
      crc <<= 1;
      if (crc & 0x1000000) crc ^= 0x1864cfb;
    }
  }
  return crc & 0xffffff;
}

/** One armored block with all keys of these keyrings, binary or armored. */
export function armored(keyrings: readonly { path: string; content: Buffer }[]): string {
  const bytes = Buffer.concat(keyrings.map(({ path, content }) => packetsOf(path, content)));
  const crc = crc24(bytes);
  const sum = Buffer.from([crc >> 16, (crc >> 8) & 255, crc & 255]).toString('base64');
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [kBegin, '', ...lines, `=${sum}`, kEnd].join('\n');
}

function packetsOf(path: string, content: Buffer): Buffer {
  const text = content.toString('latin1');
  if (!text.includes(kBegin)) {
    // Every packet begins with a set bit; a keybox, which apt does not read either, with a size.
    if (((content[0] ?? 0) & 0x80) === 0) throw notAKeyring(path);
    return content;
  }
  const blocks: Buffer[] = [];
  let body: string[] | undefined;
  let inHeaders = false;
  for (const line of text.split(/\r?\n/).map((one) => one.trim())) {
    if (line === kBegin) {
      body = [];
      inHeaders = true;
    } else if (line === kEnd) {
      if (body) blocks.push(Buffer.from(body.join(''), 'base64'));
      body = undefined;
    } else if (inHeaders) {
      inHeaders = line !== '';
    } else if (body && !line.startsWith('=')) {
      body.push(line);
    }
  }
  if (blocks.length === 0) throw notAKeyring(path);
  return Buffer.concat(blocks);
}

function notAKeyring(path: string): AptError {
  return new AptError('ERR_APT_SOURCES', `${path} is not a keyring that apt could read`, { path });
}
