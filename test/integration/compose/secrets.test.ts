import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';

let fixture: ComposeFixture;

beforeAll(async () => {
  const program = { content: '#!/bin/sh\n', mode: 0o755 };
  fixture = await composeFixture([
    {
      name: 'fresh-keys',
      scripts: {
        postinst:
          'mkdir -p /etc/ssh /var/lib/systemd; for f in /etc/ssh/ssh_host_rsa_key /var/lib/systemd/random-seed; do cat /proc/sys/kernel/random/uuid > $f; done',
      },
    },
    {
      name: 'keys',
      files: {
        '/usr/bin/ssh-keygen': program,
        '/usr/sbin/mungekey': program,
        '/etc/ssh/sshd_config': '#\n',
      },
      scripts: {
        postinst: [
          'mkdir -p /etc/ssh /etc/ssl/private /etc/ssl/certs /etc/bind /etc/iscsi /etc/munge /var/lib/systemd /var/lib/rabbitmq',
          'echo InitiatorName=iqn.1993-08.org.debian:01:abc > /etc/iscsi/initiatorname.iscsi',
          'for f in ssh/ssh_host_rsa_key ssh/ssh_host_rsa_key.pub ssl/private/ssl-cert-snakeoil.key ssl/certs/ssl-cert-snakeoil.pem ssl/certs/real.pem bind/rndc.key munge/munge.key; do echo secret > /etc/$f; done',
          'ln -s ssl-cert-snakeoil.pem /etc/ssl/certs/0a1b2c3d.0; ln -s real.pem /etc/ssl/certs/99.0',
          'echo secret > /var/lib/systemd/random-seed',
          'echo secret > /var/lib/rabbitmq/.erlang.cookie; echo 1 > /var/lib/rabbitmq/known',
        ].join('\n'),
      },
    },
  ]);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

async function names(commit: string, directory: string): Promise<string[]> {
  const entries = await fixture.repo.list(commit, directory);
  return entries.map((entry) => entry.path.slice(directory.length + 1)).sort();
}

describe('secrets that scripts made', () => {
  it.each([
    ['a base tree', () => fixture.composer.compose({ packages: ['keys'], refresh: false })],
    [
      'an image',
      () =>
        fixture.composer.layer({
          base: 'base',
          install: ['keys'],
          secrets: 'remove',
          refresh: false,
        }),
    ],
  ])('never enter %s', async (_, make) => {
    const { commit } = await make();
    expect(await names(commit, '/usr/etc/ssh')).toEqual(['sshd_config']);
    expect(await names(commit, '/usr/etc/ssl/private')).toEqual([]);
    expect(await names(commit, '/usr/etc/ssl/certs')).toEqual(['99.0', 'real.pem']);
    expect(await names(commit, '/usr/etc/bind')).toEqual([]);
    const initiator = '/usr/etc/iscsi/initiatorname.iscsi';
    expect((await fixture.repo.readFile(commit, initiator)).toString()).toBe('GenerateName=yes\n');
    const tmpfiles = await fixture.repo.readFile(commit, '/usr/lib/tmpfiles.d/apt-ostree.conf');
    expect(tmpfiles.toString()).not.toContain('random-seed');
    expect(tmpfiles.toString()).toContain('/var/lib/rabbitmq/known');
    expect(tmpfiles.toString()).not.toContain('.erlang.cookie');
    const units = '/usr/lib/systemd/system';
    const unit = `${units}/apt-ostree-ssh-host-keys.service`;
    const text = (await fixture.repo.readFile(commit, unit)).toString();
    expect(text).toContain('ExecStart=/usr/bin/ssh-keygen -A\n');
    expect(await names(commit, '/usr/etc/munge')).toEqual([]);
    const munge = await fixture.repo.readFile(commit, `${units}/apt-ostree-munge-key.service`);
    expect(munge.toString()).toContain(
      'ExecStart=/usr/sbin/mungekey -c\nExecStartPost=chown munge:munge /etc/munge/munge.key\nUMask=0077\n',
    );
    // Nothing in this tree could make a name server's key.
    expect(await names(commit, `${units}/multi-user.target.wants`)).toEqual([
      'apt-ostree-munge-key.service',
      'apt-ostree-ssh-host-keys.service',
    ]);
    await expectSound(fixture.repo);
  });

  it('stay those of the machine when it layers again', async () => {
    const { composer, repo } = fixture;
    const key = async (commit: string, file = '/usr/etc/ssh/ssh_host_rsa_key') =>
      (await repo.readFile(commit, file)).toString();
    const request = { base: 'base', install: ['fresh-keys'], refresh: false };
    const first = await composer.layer({ ...request, ref: 'mine' });
    const other = await composer.layer({ ...request, ref: 'yours', force: true });
    expect(await key(other.commit)).not.toBe(await key(first.commit));
    expect((await composer.layer({ ...request, ref: 'mine' })).commit).not.toBe(other.commit);
    const { commit: base } = await composer.compose({ packages: ['keys'], refresh: false });
    const again = await composer.relayer({ layered: first.commit, base, refresh: false });
    expect(await key(again.commit)).toBe(await key(first.commit));
    const seed = '/usr/share/factory/var/lib/systemd/random-seed';
    expect(await key(again.commit, seed)).toBe(await key(first.commit, seed));
    const theirs = await composer.relayer({ layered: other.commit, base, refresh: false });
    expect(await key(theirs.commit)).toBe(await key(other.commit));
    await expectSound(repo);
  });

  it('stay where a machine layers for itself', async () => {
    const { commit } = await fixture.composer.layer({
      base: 'base',
      install: ['keys'],
      refresh: false,
    });
    expect(await names(commit, '/usr/etc/ssh')).toContain('ssh_host_rsa_key');
    expect(await names(commit, '/usr/etc/bind')).toEqual(['rndc.key']);
  });
});
