/** Versions and deb822 against what dpkg and libapt-pkg make of the same texts. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AptContext, compareVersions, Deb822, parseVersion } from 'apt-ostree/apt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatStanzas, record, writeFlatArchive } from '../../support/apt-universe.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

describe('versions', () => {
  const part = fc.stringMatching(/^[0-9a-zA-Z.+~]{1,6}$/);
  const upstream = fc.stringMatching(/^[0-9][0-9a-zA-Z.+~-]{0,6}$/);
  const version = fc
    .tuple(fc.option(fc.nat(3)), upstream, fc.option(part))
    .map(([epoch, text, revision]) => {
      const tail = revision === null ? text.replace(/-+$/, '') : `${text}-${revision}`;
      return epoch === null ? tail : `${epoch}:${tail}`;
    });
  // Versions that differ in little are where orders go wrong.
  const near = fc
    .tuple(version, fc.constantFrom('', '~', '+', '.', '0', 'a', '-0', '~~', '-1~'))
    .map(([text, more]) => [text, text + more] as const);

  test('the order is that of dpkg --compare-versions', async () => {
    const pairs = [
      ...fc.sample(fc.tuple(version, version), 150),
      ...fc.sample(near, 150).filter(([, b]) => isVersion(b)),
    ];
    const script = `while read -r a b; do
      if dpkg --compare-versions "$a" lt "$b"; then echo -1
      elif dpkg --compare-versions "$a" eq "$b"; then echo 0; else echo 1; fi; done`;
    const { stdout } = await run('sh', ['-c', script], {
      input: pairs.map(([a, b]) => `${a} ${b}\n`).join(''),
    });
    const theirs = stdout.trim().split('\n').map(Number);
    const ours = pairs.map(([a, b]) => Math.sign(compareVersions(a, b)));
    expect(pairs.map((pair, i) => [...pair, ours[i]])).toEqual(
      pairs.map((pair, i) => [...pair, theirs[i]]),
    );
  });

  test('what is a version is what dpkg --validate-version says', async () => {
    const odd = fc.stringMatching(/^[0-9a:.~_+%-]{1,6}$/).filter((text) => !/^[+]/.test(text));
    const texts = [
      ...fc.sample(odd, 200),
      ...fc.sample(version, 100),
      '2147483647:1',
      '2147483648:1',
    ];
    // A sign of the epoch passes there by accident: strtol() takes it.
    const script =
      'while read -r a; do dpkg --validate-version "$a" >/dev/null 2>&1; echo $?; done';
    const { stdout } = await run('sh', ['-c', script], { input: `${texts.join('\n')}\n` });
    const theirs = stdout
      .trim()
      .split('\n')
      .map((status) => status === '0');
    expect(texts.map((text) => [text, isVersion(text)])).toEqual(
      texts.map((text, i) => [text, theirs[i]]),
    );
  });

  function isVersion(text: string): boolean {
    try {
      parseVersion(text);
      return true;
    } catch {
      return false;
    }
  }
});

const name = fc.stringMatching(/^X-[A-Za-z0-9]{1,6}$/);
const word = fc.stringMatching(/^[!-~\u00e4\u20ac]{1,8}$/);
const text = fc.array(word, { maxLength: 3 }).map((words) => words.join('  '));
/** Lines of a field as they stand in a file: odd blanks, deep lines. */
const field = fc
  .tuple(
    name,
    fc.constantFrom('', ' ', '\t', '  '),
    text,
    fc.constantFrom('', ' ', '\t'),
    fc.array(fc.tuple(fc.constantFrom(' ', '\t', '  '), word, text), { maxLength: 3 }),
  )
  .map(([key, gap, first, end, rest]) => ({
    key,
    raw: `${key}:${gap}${first}${end}\n${rest.map(([lead, begin, more]) => `${lead}${begin} ${more}\n`).join('')}`,
  }));
const extra = fc.uniqueArray(field, {
  maxLength: 4,
  selector: ({ key }) => key.toLowerCase(),
});

/** A value with all blanks made alike: each reader cuts others off. */
const plain = (value: string | undefined) => value?.replace(/\s+/g, ' ').trim();

describe('deb822', () => {
  const count = 120;
  const samples = fc.sample(extra, count);
  const stanzas = samples.map((fields, i) => {
    const base = formatStanzas([record(`p${i}`, '1', { Status: 'install ok installed' })]);
    return base.slice(0, -1) + fields.map(({ raw }) => raw).join('');
  });
  const document = stanzas.join('\n');

  test('values are those that dpkg-query gives', async () => {
    await using work = await temporaryDirectory('deb822');
    await mkdir(work.join('updates'));
    await mkdir(work.join('info'));
    await writeFile(work.join('status'), document.replace(/^(Filename|Size|SHA256):.*\n/gm, ''));
    await writeFile(work.join('available'), '');
    const parsed = Deb822.parse(document).stanzas;
    expect(parsed).toHaveLength(count);
    const keys = [...new Set(samples.flat().map(({ key }) => key))];
    const format = `\${Package}${keys.map((key) => `\\x01\${${key}}`).join('')}\\x02`.replace(
      /\\x0(.)/g,
      (_, code: string) => String.fromCharCode(Number(code)),
    );
    const { stdout } = await run('dpkg-query', ['--admindir', work.path, '-W', '-f', format]);
    const answers = new Map(
      stdout
        .split('\x02')
        .slice(0, -1)
        .map((row) => row.split('\x01'))
        .map(([own = '', ...values]) => [own, values]),
    );
    expect(answers.size).toBe(count);
    for (const stanza of parsed) {
      const values = answers.get(stanza.get('Package') ?? '');
      const raw = (value = '') => value.split('\n').join('\n ');
      for (const [i, key] of keys.entries()) {
        // Byte for byte, but for blanks at the ends of lines.
        const clean = (value: string) => value.replace(/[ \t]+$/gm, '').replace(/\n\t/g, '\n ');
        expect(clean(raw(stanza.get(key)))).toBe(clean(values?.[i] ?? ''));
      }
    }
  });

  test('values are those of libapt-pkg', async () => {
    await using work = await temporaryDirectory('deb822');
    const archive = work.join('archive');
    const sources = await writeFlatArchive(archive, []);
    await writeFile(path.join(archive, 'Packages'), document.replace(/^Status:.*\n/gm, ''));
    await using apt = await AptContext.create({ directory: work.join('state'), sources });
    await apt.update();
    await using cache = await apt.open();
    const parsed = new Map(Deb822.parse(document).stanzas.map((one) => [one.get('Package'), one]));
    let seen = 0;
    for await (const batch of cache.versions()) {
      for (const version of batch) {
        const stanza = parsed.get(version.name);
        const { fields } = await cache.record(version);
        for (const key of Object.keys(fields)) {
          expect([key, plain(fields[key])]).toEqual([key, plain(stanza?.get(key))]);
        }
        expect(Object.keys(fields)).toEqual(stanza?.names().filter((key) => key !== 'Status'));
        seen++;
      }
    }
    expect(seen).toBe(count);
  });

  test.each([
    'Package: a\nbroken line\n',
    'Package: a\n: x\n',
    'Package: a\n-X: x\n',
    'Package: a\npackage: a\n',
    'Package: a\nX\n',
  ])('dpkg refuses the same: %j', async (broken) => {
    await using work = await temporaryDirectory('deb822');
    await mkdir(work.join('updates'));
    await writeFile(work.join('status'), broken);
    const { status, stderr } = await run('dpkg-query', ['--admindir', work.path, '-W'], {
      anyStatus: true,
    });
    expect(status).not.toBe(0);
    let line = 0;
    try {
      Deb822.parse(broken);
    } catch (error) {
      line = (error as { line: number }).line;
    }
    // It counts the line ends that it has read.
    expect(stderr).toMatch(new RegExp(`near line (${line}|${line - 1}) `));
  });
});
