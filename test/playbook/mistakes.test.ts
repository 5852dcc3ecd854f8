// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a playbook's own placeholders
import { describe, expect, it } from 'vitest'
import { parsePlaybook } from '../../src/playbook/parse.ts'
import { PlaybookError } from '../../src/playbook/problems.ts'
import { ENV, placesOf, problemsOf, STORY, small } from './shop.ts'

/** What someone writes, and what is said of it: place, message, and a part of the hint. */
type Mistake = readonly [string, string, string?]

const host = (lines: string): string => `name: shop\nold:\n${lines}\nnew: {}\n`
const dns = (lines: string): string => small(`dns:\n  provider: cloudflare\n  zone: shop.example\n  token: abc\n${lines}`)
const record = (text: string): string => dns(`  records:\n    - ${text}\n`)
const steps = (lines: string): string => small(`steps:\n${lines}\n`)

const mistakes: readonly (readonly [string, readonly Mistake[]])[] = [
  [
    'the outermost keys',
    [
      ['', '1:1 The playbook is empty.', 'name: my-shop'],
      ['- a\n', '1:1 A playbook is a mapping.', 'name: my-shop'],
      ['just text', '1:1 A playbook is a mapping.', 'examples'],
      [small('tabels: {}'), '4:1 A playbook has no key "tabels".', '"tables"'],
      [small('colour: red'), '4:1 A playbook has no key "colour".', 'It may have: name, old'],
      ['old: {}\nnew: {}\n', '1:1 name is missing.', 'Add'],
      ['name: a b\nold: {}\nnew: {}\n', '1:7 name must be a plain name.', 'folder'],
      ['name: ../up\nold: {}\nnew: {}\n', '1:7 name must be a plain name.', 'folder'],
      ['name: 7\nold: {}\nnew: {}\n', '1:7 name must be text.', 'quotes'],
      ['name: shop\nnew: {}\n', '1:1 old is missing.', 'files:'],
      ['name: shop\nold:\nnew: {}\n', '2:1 old is empty; it must be a mapping (key: value).', 'Fill it in'],
      [small('site: shop.example'), '4:7 site is no web address.', 'https://'],
      [small('site: "ftp://shop.example"'), '4:7 site is no web address.', 'https://'],
      [small('site: https://me:pw@shop.example'), '4:7 site is no web address.', 'without user'],
      [small('site: [a]'), '4:7 site must be text.'],
    ],
  ],
  [
    'hosts',
    [
      [host('  file: /srv'), '3:3 old has no key "file".', '"files"'],
      [host('  connections: 0'), '3:16 old.connections must be at least 1.'],
      [host('  connections: 65'), '3:16 old.connections may be at most 64.'],
      [host('  connections: many'), '3:16 old.connections must be a number.'],
      [host('  connections: 1.5'), '3:16 old.connections must be a whole number.'],
      [host('  site: 203.0.113.10'), '3:9 old.site is no web address.', 'https://'],
      [host('  files: 12'), '3:10 old.files must be a mapping (key: value).'],
      [host('  files: ""'), '3:10 old.files.url may not be empty.'],
      [host('  files: ftp://me@h/site'), '3:10 old.files uses ftp://, which is not yet in this version of migrate.', 'sftp://'],
      [host('  files: ftps://me@h/site'), '3:10 old.files uses ftps://, which is not yet in this version of migrate.', 'sftp://'],
      [host('  files: http://me@h/site'), "3:10 old.files has a kind of URL that files can't have.", 'sftp://user@host/path'],
      [host('  files: sftp://h/site'), '3:10 old.files names no user.', 'user@host'],
      [host('  files: sftp://me@/site'), '3:10 old.files has no host name that makes sense.', 'sftp://user@host:22/path'],
      [host('  files: sftp://me@h:99999/site'), '3:10 old.files has a port beyond 65535.', '65535'],
      [host('  files: "sftp://me:50%@h/site"'), '3:10 old.files has a % that begins no escape.', '%25'],
      [host('  files: "sftp://me:@h/site"'), '3:10 The password in old.files is empty.', 'Fill it in'],
      [host('  files: "sftp://me@h/site?x=1"'), '3:10 old.files has a URL with an option that files don’t have.', 'beside url:'],
      [host('  files: { url: sftp://me@h/site, pasword: x }'), '3:35 old.files has no key "pasword".', '"password"'],
      [host('  files: { password: x }'), '3:3 old.files.url is missing.', 'Add'],
      [host('  files: { url: sftp://me:a@h/site, password: b }'), '3:37 old.files has two passwords.', 'Keep either'],
      [host('  files: { url: /srv/shop, password: b }'), '3:28 old.files is a local folder, which has no password.', 'Remove it'],
      [host('  files: { url: sftp://me@h/s, password: 1234 }'), '3:42 old.files.password must be text.', 'quotes'],
      [host('  files: { url: sftp://me@h/s, password: "" }'), '3:42 old.files.password may not be empty.'],
      [host('  files: { url: sftp://me@h/s, fingerprint: MD5:aa }'), '3:45 This is no fingerprint of a host key.', 'ssh-keyscan'],
      [host('  files: { url: sftp://me@h/s, hostKey: hello }'), '3:41 This is no host key.', 'ssh-ed25519'],
      [
        host('  files: { url: sftp://me@h/s, agent: true }'),
        '3:39 No SSH agent runs here: SSH_AUTH_SOCK is not set.',
        'ssh-agent',
      ],
      [
        host('  database: mysql://me:x@h/shop'),
        '3:13 old.database uses mysql://, which is not yet in this version of migrate.',
        'postgres://',
      ],
      [host('  database: oracle://me:x@h/shop'), "3:13 old.database has a kind of URL that a database can't have.", 'mssql://'],
      [host('  database: postgres://h/shop'), '3:13 old.database names no user.', 'user@host'],
      [host('  database: postgres://me@h'), '3:13 old.database names no database.', '/database'],
      [host('  database: postgres://me@h/'), '3:13 old.database names no database.', '/database'],
      [
        host('  database: "postgres://me@h/s?sslmod=require"'),
        '3:13 The URL has an option that migrate doesn’t know.',
        '"sslmode"',
      ],
      [
        host('  database: "postgres://me@h/s?sslmode=maybe"'),
        '3:13 The query of old.database.sslmode must be disable, prefer, require or verify-full.',
      ],
      [host('  database: "mssql://me@h/s?encrypt=perhaps"'), '3:13 The query of old.database.encrypt must be true or false.'],
      [
        host('  database: { url: "postgres://me@h/s", encrypt: true }'),
        '3:41 old.database.encrypt means nothing to postgres.',
        'Remove',
      ],
      [host('  database: { url: "mssql://me@h/s", encrypt: yes }'), '3:47 old.database.encrypt must be true or false.'],
      [
        host('  database: { url: "mssql://me@h/s", connectTimeout: 15 }'),
        '3:54 old.database.connectTimeout must be a duration such as 30s, 5m or 2h.',
      ],
      [
        host('  database: { url: "mssql://me@h/s", connectTimeout: 15 s }'),
        '3:54 old.database.connectTimeout must be a duration such as 30s, 5m or 2h.',
      ],
    ],
  ],
  [
    'dns',
    [
      [small('dns: {}'), '4:1 dns.provider is missing.', 'Add'],
      [small('dns: { provider: cloudfare, zone: a.b }'), '4:18 dns.provider must be cloudflare or manual.'],
      [
        small('dns: { provider: rfc2136, server: 1.2.3.4 }'),
        '4:18 The DNS provider rfc2136 is not yet in this version of migrate.',
        'manual',
      ],
      [
        small('dns:\n  provider: cloudflare\n  zone: a.b\n  records: [{ name: a.b, type: A, to: 192.0.2.1 }]'),
        '4:1 dns.token is missing.',
        'CLOUDFLARE_API_TOKEN',
      ],
      [
        small('dns:\n  provider: manual\n  zone: a.b\n  token: x\n  records: [{ name: a.b, type: A, to: 192.0.2.1 }]'),
        '7:3 The DNS provider manual has no token.',
        'Remove',
      ],
      [dns('  records: []'), '8:12 dns.records may not be empty.', 'Name the records'],
      [dns('  recrods: []'), '8:3 dns has no key "recrods".', '"records"'],
      [
        dns('  api: cloudflare\n  records: [{ name: shop.example, type: A, to: 192.0.2.1 }]'),
        '8:8 dns.api is no web address.',
        'https://',
      ],
      [
        dns('  nameservers: [ns1.shop.example]\n  records: [{ name: shop.example, type: A, to: 192.0.2.1 }]'),
        '8:17 This is no address of a name server.',
        '192.0.2.53',
      ],
      [record('{ name: shop.example, type: MX, to: mail }'), '9:35 dns.records[0].type must be A, AAAA or CNAME.'],
      [record('{ name: shop.example, type: A, to: new.example }'), '9:42 An A record needs an IPv4 address.', 'CNAME'],
      [record('{ name: shop.example, type: A, to: 2001:db8::1 }'), '9:42 An A record needs an IPv4 address.'],
      [record('{ name: shop.example, type: AAAA, to: 192.0.2.1 }'), '9:45 An AAAA record needs an IPv6 address.'],
      [record('{ name: www.shop.example, type: CNAME, to: 192.0.2.1 }'), '9:50 A CNAME record needs a name.', 'type: A'],
      [record('{ name: www.shop.example, type: CNAME, to: WWW.shop.example. }'), '9:50 This record points to itself.'],
      [record('{ name: www, type: A, to: 192.0.2.1 }'), '9:15 This record’s name isn’t in the zone.', 'www.shop.example'],
      [record('{ name: shop.exampel, type: A, to: 192.0.2.1 }'), '9:15 This record’s name isn’t in the zone.'],
      [record('{ name: shop.example, type: A }'), '9:7 dns.records[0].to is missing.', 'Add'],
      [
        record('{ name: shop.example, type: A, to: 192.0.2.1 }\n    - { name: SHOP.example, type: A, to: 192.0.2.2 }'),
        '10:7 shop.example has a second A record here.',
      ],
      [
        record('{ name: shop.example, type: CNAME, to: a.b }\n    - { name: shop.example, type: A, to: 192.0.2.2 }'),
        '10:7 shop.example has a CNAME, and beside a CNAME there can’t be another record.',
      ],
    ],
  ],
  [
    'tables and references',
    [
      [small('tables: [Orders]'), '4:9 tables must be a mapping (key: value).'],
      [small('tables:\n  Orders: skp'), '5:11 tables.Orders must be skip, copy-only or a mapping such as { headroom: 1500 }.'],
      [small('tables:\n  Orders: { headroom: -1 }'), '5:23 tables.Orders.headroom must be at least 0.'],
      [small('tables:\n  Orders: { headroom: lots }'), '5:23 tables.Orders.headroom must be auto or a number.'],
      [small('tables:\n  Orders: { hedroom: 5 }'), '5:13 tables.Orders has no key "hedroom".', '"headroom"'],
      [
        small('tables:\n  Orders: { conflict: mine }'),
        '5:23 tables.Orders.conflict must be park, old, new or a mapping (key: value).',
      ],
      [small('tables:\n  Orders: { conflict: { newst: At } }'), '5:13 tables.Orders.conflict.newest is missing.', 'Add'],
      [small('tables:\n  Orders: { match: Email }'), '5:20 tables.Orders.match must be a list.'],
      [small('tables:\n  Orders: { add: [1] }'), '5:19 tables.Orders.add[0] must be text.', 'quotes'],
      [small('references: Orders.A -> B.C'), '4:13 references must be a list.'],
      [small('references:\n  - Orders.A = B.C'), '5:5 This is no reference from one column to another.', '->'],
      [small('references:\n  - Orders -> B.C'), '5:5 This is no reference from one column to another.', 'Orders.CustomerID'],
    ],
  ],
  [
    'steps',
    [
      [small('steps: []'), '4:8 steps may not be empty.', 'Leave it out'],
      [small('steps: check'), '4:8 steps must be a list.'],
      [steps('  - chek'), '5:5 There is no step "chek".', '"check"'],
      [steps('  - frobnicate'), '5:5 There is no step "frobnicate".', 'The steps are: check'],
      [steps('  - snapshot-databse: {}'), '5:5 There is no step "snapshot-databse".', '"snapshot-database"'],
      [steps('  - relay'), '5:5 The step relay is not yet in this version of migrate.', 'Remove'],
      [steps('  - notify: { to: me }'), '5:5 The step notify is not yet in this version of migrate.', 'Remove'],
      [steps('  - 7'), '5:5 This is no step.', 'Write its name'],
      [steps('  - []'), '5:5 This list of steps is empty.', 'Remove'],
      [steps('  - [check, [report]]'), '5:13 A list within a list within steps means nothing.', 'side by side'],
      [steps('  - lower-ttl:\n    ttl: 60'), '6:5 A step has one name, but "ttl" stands beside "lower-ttl".', 'Indent'],
      [steps('  - lower-ttl: { tll: 60 }'), '5:18 lower-ttl has no key "tll".', '"ttl"'],
      [steps('  - lower-ttl: { ttl: soon }'), '5:23 lower-ttl.ttl must be'],
      [steps('  - watch-propagation: { quiet: 30 }'), '5:33 watch-propagation.quiet must be a duration such as 30s, 5m or 2h.'],
      [
        steps('  - watch-propagation: { every: 30 seconds }'),
        '5:33 watch-propagation.every must be a duration such as 30s, 5m or 2h.',
      ],
      [steps('  - rewrite-config'), '5:5 The step rewrite-config needs to be told what to do.', 'playbooks/'],
      [steps('  - run:'), '5:5 The step run needs to be told what to do.', 'playbooks/'],
      [steps('  - check\n  - check'), '6:5 The step check stands here again; it is in line 5 already.', 'Keep one'],
      [
        steps('  - check\n  - lower-ttl: {}\n  - lower-ttl: { ttl: 90 }'),
        '7:5 The step lower-ttl stands here again; it is in line 6 already.',
      ],
      [steps('  - pause: now\n  - pause: now'), '6:5 The step pause stands here twice, one right after the other.'],
      [
        steps('  - restore-files\n  - snapshot-files'),
        '5:5 restore-files stands before snapshot-files, which must have ended first.',
      ],
      [
        steps('  - [snapshot-database, restore-database]'),
        '5:25 restore-database stands beside snapshot-database, which must have ended first.',
      ],
      [
        steps('  - cutover-dns\n  - bump-identities'),
        '5:5 cutover-dns stands before bump-identities, which must have ended first.',
      ],
    ],
  ],
  [
    'YAML',
    [
      ['name: shop\nname: mugs\nold: {}\nnew: {}\n', '2:1 The key "name" stands here twice.', 'Keep one'],
      [small('tables:\n  A: skip\n  A: skip'), '6:3 The key "A" stands here twice.'],
      [small('site: @home'), '4:7 A value may not begin with this character.', 'quotes'],
      [small('site: *home'), '4:7 This alias (a value that begins with *) has no anchor before it.', 'quotes'],
      [small('site: !secret x'), '4:7 This tag (a value that begins with !) has no meaning in a playbook.', 'quotes'],
      [small('site: "https://shop'), '4:20 A quote, bracket or colon is missing.'],
      [small('\tsite: x'), '4:1 Tabs may not be used to indent.', 'spaces'],
      [small('site: a: b'), '4:7 A second key stands where a value is expected.', 'quotes'],
      [small('site: x\n---\nname: other'), '5:1 A playbook is one document; here a second one begins.', 'own file'],
      [small('? [a, b]\n: c'), '4:3 A key must be plain text.'],
      [small('tables: &t { A: *t }'), '4:17 This alias stands inside its own anchor.'],
      [small('tables: { A: ${NAME} }'), '4:15 This doesn’t belong here.', 'needs quotes'],
      [small('dns: { token: abc${NAME} }'), '4:19 This doesn’t belong here.', 'needs quotes'],
      [small(`steps: ${'['.repeat(5000)}`), '', 'brackets'],
    ],
  ],
  [
    'variables',
    [
      [small('site: https://${NOWHERE}/'), '4:15 The environment variable NOWHERE is not set.', 'export NOWHERE='],
      [small('site: https://${EMPTY}/'), '4:15 The environment variable EMPTY is empty.', 'export EMPTY='],
      [small('site: https://${NOT A NAME}/'), '4:15 This is neither ${NAME} nor ${file:PATH}.', '$${'],
      [small('site: https://${NAME:-x}/'), '4:15 This is neither ${NAME} nor ${file:PATH}.'],
      [small('site: https://${'), '4:15 This is neither ${NAME} nor ${file:PATH}.'],
      [small('site: ${file:nowhere.txt}'), "4:7 The file nowhere.txt doesn't exist.", 'folder of the playbook'],
      [small('${NOWHERE}: 1'), '4:1 The environment variable NOWHERE is not set.'],
    ],
  ],
]

describe.each(mistakes)('a mistake in %s', (_part, cases) => {
  it.each(cases)('%j is answered with %j', (text = '', expected = '', hint = '') => {
    const problems = problemsOf(text, { ...ENV, EMPTY: '' })
    const places = problems.map((problem) => `${problem.line}:${problem.column} ${problem.message}`)
    const at = places.findIndex((place) => place.startsWith(expected))
    expect(places, 'the problem is among them').toContainEqual(expect.stringContaining(expected))
    expect(problems[at]?.hint).toContain(hint)
  })
})

describe('a playbook with many mistakes', () => {
  it('has all of them told at once, in the order of the file', () => {
    // given a mistake in every part of the story's playbook
    const text = STORY.replace('connections: 4', 'conections: 4')
      .replace('sftp://site@new', 'ftp://site@new')
      .replace('type: CNAME', 'type: CNAM')
      .replace('headroom: 1500', 'headroom: much')
      .replace(' -> ', ' - ')
      .replace('- bump-identities', '- bump-identity')
      .replace('every: 30s', 'every: 30')
    // when it is read without the variable of its token
    const places = placesOf(text, { ...ENV, CLOUDFLARE_API_TOKEN: '' })
    // then each is told at its own place
    expect(places).toEqual([
      '6:3 old has no key "conections".',
      '8:10 new.files uses ftp://, which is not yet in this version of migrate.',
      '15:10 The environment variable CLOUDFLARE_API_TOKEN is empty.',
      '19:39 dns.records[1].type must be A, AAAA or CNAME.',
      '21:26 tables.Orders.headroom must be auto or a number.',
      '26:5 This is no reference from one column to another.',
      '32:5 There is no step "bump-identity".',
      '37:65 watch-propagation.every must be a duration such as 30s, 5m or 2h.',
    ])
  })

  it('names file, line and column of each in the message, and ends as wrong usage', () => {
    const read = (): unknown => parsePlaybook(small('tabels: {}\nsit: x'), 'shops/mine.yml', {})
    expect(read).toThrow(PlaybookError)
    expect(read).toThrow(
      /The playbook has 2 mistakes; nothing was touched\.\nshops\/mine\.yml:4:1: .*"tabels".*\n.*"tables".*\nshops\/mine\.yml:5:1: .*"sit"/,
    )
    expect(read).toThrow(expect.objectContaining({ code: 'playbook-invalid', ending: 'usage' }))
  })

  it('has every variable that is missing told, also two in one line', () => {
    expect(placesOf(small('old2: ${ONE}\nsite: https://${TWO}.${THREE}/${TWO}'), {})).toEqual([
      '4:1 A playbook has no key "old2".',
      '4:7 The environment variable ONE is not set.',
      '5:15 The environment variable TWO is not set.',
      '5:22 The environment variable THREE is not set.',
      '5:31 The environment variable TWO is not set.',
    ])
  })
})
