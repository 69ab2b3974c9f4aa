/** deb822 documents: what is not edited stays byte for byte. */

import { Deb822 } from 'apt-ostree/apt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const kText = `# the archive
# of all

# of this stanza
Types: deb
URIs:  http://a/debian\t
# within a value
Suites: bookworm
# between its lines
 bookworm-updates
# the last remark
signed-by:
 -----BEGIN
 .
  deep

Enabled : no
`;

describe('reading', () => {
  test('values, names in any case, comments within', () => {
    const document = Deb822.parse(kText);
    const [first, second] = document.stanzas;
    expect(first?.names()).toEqual(['Types', 'URIs', 'Suites', 'signed-by']);
    expect(first?.get('uris')).toBe('http://a/debian');
    expect(first?.get('Suites')).toBe('bookworm\nbookworm-updates');
    expect(first?.get('Signed-By')).toBe('\n-----BEGIN\n.\n deep');
    expect(first?.line()).toBe(5);
    expect(first?.line('suites')).toBe(8);
    expect(second?.toJSON()).toEqual({ Enabled: 'no' });
    expect(document.toString()).toBe(kText);
  });

  test.each([
    ['A: b\nnonsense\n', 2, 'not a field'],
    [' continued\n', 1, 'continuation'],
    ['A: 1\n\n continued\n', 3, 'continuation'],
    ['A: 1\nB: 2\na: 3\n', 3, 'twice'],
    ['-A: 1\n', 1, 'not a field'],
    ['two words: 1\n', 1, 'not a field'],
    [': 1\n', 1, 'not a field'],
    ['F\u00fcnf: 1\n', 1, 'not a field'],
  ])('a bad line is named: %j', (text, line, problem) => {
    expect(() => Deb822.parse(text, { path: '/x/control' })).toThrowError(
      expect.objectContaining({
        name: 'AptError',
        code: 'ERR_DEB822',
        path: '/x/control',
        line,
        message: expect.stringContaining(problem),
      }),
    );
    expect(() => Deb822.parse(text)).toThrowError(
      expect.not.objectContaining({ path: expect.anything() }),
    );
  });

  test('a field named __proto__ is a field', () => {
    const [stanza] = Deb822.parse('__proto__: x\n').stanzas;
    expect(Object.keys(stanza?.toJSON() ?? {})).toEqual(['__proto__']);
  });

  test('only what C calls space is cut off', () => {
    const [stanza] = Deb822.parse('A: \u00a0x\u2003\n').stanzas;
    expect(stanza?.get('A')).toBe('\u00a0x\u2003');
  });
});

describe('editing', () => {
  test('changes only what is meant', () => {
    const document = Deb822.parse(kText);
    const [first, second] = document.stanzas;
    first?.set('TYPES', 'deb deb-src').set('Suites', 'trixie').set('uris', 'http://a/debian');
    first?.set('Components', 'main').set('Trusted', 'no', { before: 'URIs' });
    second?.delete('enabled');
    second?.set('Enabled', 'yes');
    expect(document.toString()).toBe(
      kText
        .replace('Types: deb\n', 'Types: deb deb-src\nTrusted: no\n')
        .replace('Suites: bookworm\n# between its lines\n bookworm-updates\n', 'Suites: trixie\n')
        .replace('  deep\n', '  deep\nComponents: main\n')
        .replace('Enabled : no', 'Enabled: yes'),
    );
    expect(first?.names()).toEqual([
      'Types',
      'Trusted',
      'URIs',
      'Suites',
      'signed-by',
      'Components',
    ]);
  });

  test('stanzas come and go with what belongs to them', () => {
    const document = Deb822.parse(kText);
    const [first, second] = document.stanzas;
    document.add({ Types: 'deb-src' }, { before: second });
    document.add({ Last: 'one' });
    expect(document.remove(first as never)).toBe(true);
    expect(document.remove(first as never)).toBe(false);
    expect(document.toString()).toBe(
      '# the archive\n# of all\n\nTypes: deb-src\n\nEnabled : no\n\nLast: one\n',
    );
    expect(() => document.add({}, { before: first })).toThrow(TypeError);
  });

  test('line ends stay as they are', () => {
    const document = Deb822.parse('A: 1\r\nB: 2\r\n\r\nC: 3');
    document.stanzas[0]?.set('B', 'x\ny');
    document.stanzas[1]?.set('D', '4');
    document.add({ E: '5' });
    expect(document.toString()).toBe('A: 1\r\nB: x\r\n y\r\n\r\nC: 3\r\nD: 4\r\n\r\nE: 5\r\n');
    const open = Deb822.parse('A: 1');
    open.add({ B: '2' });
    expect(open.toString()).toBe('A: 1\n\nB: 2\n');
    const comment = Deb822.parse('# alone');
    comment.add({ B: '2' });
    expect(Deb822.parse(comment.toString()).stanzas).toHaveLength(1);
    expect(comment.toString()).toBe('# alone\n\nB: 2\n');
  });

  test('empty lines of a value are written as full stops', () => {
    const text = Deb822.from([{ Description: 'short\n\nlong\n   ' }]).toString();
    expect(text).toBe('Description: short\n .\n long\n .\n');
  });

  test.each(['', '-a', '#a', 'a b', 'a:', 'a\n', '\u00e4'])('refuses the name %j', (name) => {
    const [stanza] = Deb822.parse('A: 1\n').stanzas;
    expect(() => stanza?.set(name, 'x')).toThrowError(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });
});

const name = fc.stringMatching(/^[A-Z][A-Za-z0-9-]{0,8}$/);
const line = fc
  .string({ unit: 'binary', maxLength: 12 })
  .map((text) => text.replace(/[\0\r\n]/g, ' '));
const value = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join('\n'));
const fields = fc.dictionary(name, value, { minKeys: 1, maxKeys: 5 });
const comment = line.map((text) => `#${text}`);

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 4 }), (stanzas) => {
      const document = Deb822.from(stanzas);
      const again = Deb822.parse(document.toString());
      expect(again.stanzas.map((stanza) => [...stanza])).toEqual(
        document.stanzas.map((stanza) => [...stanza]),
      );
    }),
  );
});

test('any text is either refused with a line or kept whole; one change stays one change', () => {
  const lines = fc.array(
    fc.oneof(
      fc.tuple(name, line).map(([key, text]) => `${key}: ${text}`),
      line.map((text) => ` ${text}`),
      comment,
      fc.constant(''),
      line,
    ),
  );
  fc.assert(
    fc.property(lines, fc.constantFrom('\n', '\r\n'), fc.boolean(), (texts, eol, ended) => {
      const text = texts.join(eol) + (ended ? eol : '');
      let document: Deb822;
      try {
        document = Deb822.parse(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_DEB822', line: expect.any(Number) });
        return;
      }
      expect(document.toString()).toBe(text);
      const [stanza] = document.stanzas;
      if (!stanza) return;
      const before = document.stanzas.map((one) => one.toJSON());
      stanza.set('New-Field', 'x');
      expect(stanza.delete('new-field')).toBe(true);
      expect(Deb822.parse(document.toString()).stanzas.map((one) => one.toJSON())).toEqual(before);
    }),
  );
});
