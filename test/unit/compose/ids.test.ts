import { describe, expect, it } from 'vitest';
import {
  accountIds,
  covers,
  ledgerText,
  mergeLedgers,
  parseLedger,
  sysusersText,
} from '../../../lib/compose/ids.js';

const kAccounts = {
  passwd: [
    'root:x:0:0:root:/root:/bin/bash',
    'www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin',
    'tool:x:105:110:The "tool" user:/var/lib/tool:/usr/sbin/nologin',
    'person:x:1000:1000::/home/person:/bin/bash',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
    'odd name:x:106:106::/:/bin/sh',
    '',
  ].join('\n'),
  group: 'root:x:0:\nshadow:x:42:tool,person\ntool:x:110:\nalone:x:111:\n',
};

describe('a ledger of ids', () => {
  it('has the system accounts of a tree', () => {
    expect(accountIds(kAccounts)).toEqual({
      users: { 'www-data': 33, tool: 105 },
      groups: { shadow: 42, tool: 110, alone: 111 },
    });
  });

  it('keeps the number of whoever came first', () => {
    const merged = mergeLedgers(
      { users: { a: 1 }, groups: {} },
      { users: { a: 2, b: 3 }, groups: { c: 4 } },
    );
    expect(merged).toEqual({ users: { a: 1, b: 3 }, groups: { c: 4 } });
    expect(parseLedger(ledgerText(merged))).toEqual(merged);
    expect(covers(merged, { users: { b: 3 }, groups: {} })).toBe(true);
    expect(covers(merged, { users: { b: 3, d: 9 }, groups: {} })).toBe(false);
    expect(covers(merged, { users: {}, groups: { c: 5 } })).toBe(false);
  });

  it('takes names for names', () => {
    const odd = accountIds({ passwd: '__proto__:x:101:101::/:\n', group: 'constructor:x:102:\n' });
    const merged = mergeLedgers(odd, { users: {}, groups: {} });
    expect(ledgerText(merged)).toContain('"__proto__": 101');
    expect(covers(merged, odd)).toBe(true);
    expect(covers(parseLedger('{}') ?? odd, { users: {}, groups: { constructor: 1 } })).toBe(false);
  });

  it.each(['', 'null', '{"users":{"a;b":1}}', '{"users":{"a":"1"}}', '{"groups":{"a\\n":1}}'])(
    'is not %s',
    (text) => {
      expect(parseLedger(text)).toBeUndefined();
    },
  );
});

describe('sysusers.d', () => {
  it('has the accounts that scripts made', () => {
    expect(sysusersText(kAccounts).split('\n').slice(1)).toEqual([
      'g tool 110',
      'g alone 111',
      'u tool 105:110 "The \\"tool\\" user" /var/lib/tool /usr/sbin/nologin',
      'm tool shadow',
      '',
    ]);
  });
});
