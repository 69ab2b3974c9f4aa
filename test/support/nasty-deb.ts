/** A package with everything that is easily done wrong. */

import { run } from './run.js';

const kScript = `
set -e
umask 022
mkdir -p "$1/DEBIAN" && cd "$1"
mkdir -p bin sbin lib/systemd usr/bin usr/share/doc/nasty usr/lib/nasty etc/nasty opt/own/sub var/lib/nasty
chmod 755 .
printf 'in bin\\n' > bin/tool
printf 'in lib\\n' > lib/systemd/unit
printf 'suid\\n' > usr/bin/suid; chown 0:42 usr/bin/suid; chmod 4750 usr/bin/suid
printf 'sgid\\n' > usr/bin/sgid; chown 1234:4321 usr/bin/sgid; chmod 2755 usr/bin/sgid
printf 'owned\\n' > opt/own/sub/file; chown -R 1234:4321 opt/own; chmod 3770 opt/own/sub
printf 'linked\\n' > usr/lib/nasty/a; ln usr/lib/nasty/a usr/lib/nasty/b; ln usr/lib/nasty/a usr/bin/c
: > usr/lib/nasty/empty
: > usr/lib/nasty/empty-too
ln -s ../lib/nasty/a usr/bin/link
ln -s /absolute/nowhere usr/lib/nasty/dangling
printf 'conffile\\n' > etc/nasty/conf
printf 'conffile as long as a stub...................................................... \\n\\n' > etc/nasty/long.conf
printf 'not a conffile\\n' > etc/nasty/plain
printf 'odd\\n' > 'usr/lib/nasty/odd name [$1] "q" \\\\back'
printf 'unicode\\n' > 'usr/lib/nasty/F\\305\\221tan\\303\\272s'
printf 'unicode\\n' > "usr/lib/nasty/$(printf 'F\\305\\221tan\\303\\272s')"
rm -f 'usr/lib/nasty/F\\305\\221tan\\303\\272s'
long=$(printf 'x%.0s' $(seq 1 120))
mkdir -p usr/lib/nasty/$long/$long
printf 'deep\\n' > usr/lib/nasty/$long/$long/file
ln -s $long/$long/file usr/lib/nasty/to-long
ln usr/lib/nasty/$long/$long/file usr/lib/nasty/$long/hard
head -c 700000 /dev/zero | tr '\\0' 'z' > usr/lib/nasty/big
head -c 6000000 /dev/urandom > usr/lib/nasty/random
printf 'doc\\n' > usr/share/doc/nasty/copyright
cat > DEBIAN/control <<END
Package: nasty
Version: 1:2.0~rc1+dfsg-1
Architecture: all
Maintainer: Test <test@example.com>
Essential: yes
Pre-Depends: dpkg (>= 1.0)
Installed-Size: 77
Description: a nasty package
 with a long description
END
printf '/etc/nasty/conf\\n/etc/nasty/long.conf\\n' > DEBIAN/conffiles
printf '#!/bin/sh\\nexit 0\\n' > DEBIAN/postinst; chmod 755 DEBIAN/postinst
printf '#!/bin/sh\\nexit 0\\n' > DEBIAN/preinst; chmod 755 DEBIAN/preinst
printf 'interest-noawait /usr/lib/nasty\\n' > DEBIAN/triggers
`;

/** Stages its files in the new directory `root`, for `dpkg-deb -b`. Needs root. */
export async function stageNasty(root: string): Promise<void> {
  await run('sh', ['-c', kScript, 'sh', root]);
}

/** dpkg-deb reads these two as well, and writes them no more. */
const kRecompress = `
import bz2, lzma, sys
kind, deb = sys.argv[1:]
compressed = bz2.compress if kind == 'bzip2' else lambda data: lzma.compress(data, lzma.FORMAT_ALONE)
data = open(deb, 'rb').read()
out, place = data[:8], 8
while place < len(data):
    name, size = data[place:place + 16].strip(), int(data[place + 48:place + 58])
    header, body = data[place:place + 60], data[place + 60:place + 60 + size]
    place += 60 + size + size % 2
    if name == b'data.tar':
        body = compressed(body)
        name = b'data.tar.bz2' if kind == 'bzip2' else b'data.tar.lzma'
        header = name.ljust(16) + header[16:48] + str(len(body)).encode().ljust(10) + header[58:]
    out += header + body + b'\\n' * (len(body) % 2)
open(deb, 'wb').write(out)
`;

export async function buildStaged(root: string, deb: string, compression = 'xz'): Promise<void> {
  const old = compression === 'bzip2' || compression === 'lzma';
  await run('dpkg-deb', [`-Z${old ? 'none' : compression}`, '-z1', '-b', root, deb]);
  if (old) await run('python3', ['-c', kRecompress, compression, deb]);
}
