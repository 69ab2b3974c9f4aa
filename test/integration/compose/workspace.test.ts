import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Repo } from 'apt-ostree';
import { describe, expect, it } from 'vitest';
import { Workspace } from '../../../lib/compose/workspace.js';
import { projectRoot } from '../../support/child.js';
import { workDirectories } from '../../support/compose.js';
import { temporaryDirectory } from '../../support/temp.js';

describe('scratch space', () => {
  it('goes with its owner, and only then', async () => {
    await using directory = await temporaryDirectory();
    await using repo = await Repo.create(directory.join('repo'), 'bare');
    const first = await Workspace.create(repo);
    const second = await Workspace.create(repo);
    expect((await workDirectories(repo)).length).toBe(2);
    await first.remove();
    expect(existsSync(second.path)).toBe(true);
    await second.remove();
    expect(await workDirectories(repo)).toEqual([]);
  });

  it('takes nothing away that another one holds', async () => {
    await using directory = await temporaryDirectory();
    await using repo = await Repo.create(directory.join('repo'), 'bare');
    const first = await Workspace.create(repo);
    const second = await Workspace.create(repo);
    const shared = directory.join('repo/extensions/apt-ostree/shared');
    await mkdir(shared);
    expect([await first.hold(shared), await second.hold(shared)]).toEqual([true, true]);
    await second.remove();
    await using third = await Workspace.create(repo);
    await third.takeAway(shared);
    expect(existsSync(shared)).toBe(true);
    await first.remove();
    await third.takeAway(shared);
    expect(existsSync(shared)).toBe(false);
    expect(await third.hold(shared)).toBe(false);
  });

  it('removes what nobody holds, whatever its name', async () => {
    await using directory = await temporaryDirectory();
    await using repo = await Repo.create(directory.join('repo'), 'bare');
    const first = await Workspace.create(repo);
    const left = path.join(path.dirname(first.path), `${process.pid}.1.left`);
    await mkdir(path.join(left, 'deep/er'), { recursive: true });
    await using second = await Workspace.create(repo);
    expect(existsSync(left)).toBe(false);
    expect(existsSync(first.path)).toBe(true);
    expect(existsSync(second.path)).toBe(true);
    await first.remove();
  });

  it('is safe from a process in another process namespace, and gone after it dies', async () => {
    await using directory = await temporaryDirectory();
    await using repo = await Repo.create(directory.join('repo'), 'bare');
    const code = `
      import { Repo } from 'apt-ostree';
      import { Workspace } from './lib/compose/workspace.ts';
      const space = await Workspace.create(await Repo.open(process.argv[1]));
      console.log(process.pid + ' ' + space.path);
      setInterval(() => {}, 1000);
    `;
    const child = spawn(
      'unshare',
      [
        ...['--pid', '--fork', '--kill-child', '--mount-proc', process.execPath],
        ...['--import', 'tsx', '--input-type=module', '-e', code, '--', repo.path],
      ],
      { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const theirs = line.toString().trim().split(' ')[1] as string;
    await (await Workspace.create(repo)).remove();
    expect(existsSync(theirs)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'close');
    await (await Workspace.create(repo)).remove();
    expect(existsSync(theirs)).toBe(false);
  });
});
