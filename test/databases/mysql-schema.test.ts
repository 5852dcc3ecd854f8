import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import type { Schema } from '../../src/databases/schema.ts'
import { closedAfterEach, copyTable, createAll } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, isRelease, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

const RICH: readonly string[] = [
  "SET SESSION sql_mode = '', time_zone = '+00:00'",
  ...(isMariadb
    ? [
        'CREATE SEQUENCE shared START WITH 5 INCREMENT BY 3 CACHE 7',
        'CREATE SEQUENCE free MINVALUE -10 MAXVALUE 1000000 START WITH 100 NOCACHE CYCLE',
        'CREATE TABLE aria_style (id int NOT NULL PRIMARY KEY, t text) ENGINE=Aria TRANSACTIONAL=1',
        'CREATE TABLE parted_old (id int NOT NULL) ENGINE=MyISAM PARTITION BY HASH (id) PARTITIONS 2',
      ]
    : []),
  `CREATE TABLE \`we ird\`\`t\` (\`A b\` int NOT NULL, \`c,(d\` varchar(20) COMMENT 'it''s, (odd) \`;', sh int DEFAULT ${isMariadb ? '(NEXT VALUE FOR shared)' : '5'},
    e enum('a,b','c)d') DEFAULT 'c)d', PRIMARY KEY (\`A b\`), KEY \`k,1\` (\`c,(d\`(5) DESC))`,
  `CREATE TABLE wp_posts (ID bigint(20) unsigned NOT NULL AUTO_INCREMENT, post_date datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
    post_content longtext NOT NULL, post_title text NOT NULL, post_name varchar(200) NOT NULL DEFAULT '', hidden int INVISIBLE DEFAULT 3,
    modified timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
    slug varchar(210) AS (CONCAT(post_name, '-', 'x')) VIRTUAL, len int AS (CHAR_LENGTH(post_name)) STORED,
    CONSTRAINT named CHECK (post_name <> 'bad,name'), PRIMARY KEY (ID), UNIQUE KEY by_slug (slug), KEY post_name (post_name(191)),
    FULLTEXT KEY words (post_title), FULLTEXT KEY more (post_content)) AUTO_INCREMENT = 77 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
    COMMENT='posts; and (more)'`,
  'CREATE TABLE second_key (grp int NOT NULL, n int NOT NULL AUTO_INCREMENT, PRIMARY KEY (grp, n), UNIQUE KEY (n))',
  'CREATE TABLE no_primary (a int NOT NULL, b int, UNIQUE KEY ua (a), KEY kb (b))',
  `CREATE TABLE parted (id int NOT NULL, y int NOT NULL, PRIMARY KEY (id, y)) PARTITION BY RANGE (y)
    (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE)`,
  'CREATE TABLE old_style (id int NOT NULL PRIMARY KEY, t varchar(20), KEY kt (t)) ENGINE=MyISAM ROW_FORMAT=FIXED DEFAULT CHARSET=latin1',
  'CREATE TABLE in_memory (id int NOT NULL PRIMARY KEY, t varchar(20), KEY kt (t) USING BTREE) ENGINE=MEMORY',
  'CREATE TABLE places (id int PRIMARY KEY, p point NOT NULL, SPATIAL KEY sp (p))',
  'CREATE TABLE packed (id int PRIMARY KEY) ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8',
  `CREATE TABLE kids (a int NOT NULL, b int NOT NULL, c int, PRIMARY KEY (a, b), KEY kc (c),
    CONSTRAINT k1 FOREIGN KEY (c) REFERENCES no_primary (a) ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT k2 FOREIGN KEY (a, b) REFERENCES parents (x, y) ON DELETE CASCADE)`,
]

const OBJECTS: readonly string[] = [
  'CREATE VIEW z_first AS SELECT ID, post_title FROM wp_posts WHERE post_name = "it\'s"',
  'CREATE SQL SECURITY INVOKER VIEW a_second AS SELECT z.ID, twice(z.ID) AS t FROM z_first z JOIN no_primary n ON n.a = z.ID WITH CASCADED CHECK OPTION'.replace(
    ' WITH CASCADED CHECK OPTION',
    '',
  ),
  'CREATE VIEW checked AS SELECT a, b FROM no_primary WHERE b > 0 WITH CASCADED CHECK OPTION',
  `CREATE FUNCTION twice(n int) RETURNS varchar(40) CHARSET latin1 DETERMINISTIC COMMENT 'doubles' RETURN CONCAT(n * 2, '\\\\')`,
  `CREATE PROCEDURE many(IN a int, OUT b int) MODIFIES SQL DATA BEGIN
    DECLARE done int DEFAULT 0; -- a comment; with a semicolon
    WHILE done < a DO SET done = done + 1; END WHILE;
    SET b = done; END`,
  'CREATE TRIGGER t_first BEFORE INSERT ON no_primary FOR EACH ROW SET NEW.b = IFNULL(NEW.b, 1)',
  'CREATE TRIGGER t_third BEFORE INSERT ON no_primary FOR EACH ROW SET NEW.b = NEW.b * 10',
  'CREATE TRIGGER t_second BEFORE INSERT ON no_primary FOR EACH ROW PRECEDES t_third BEGIN SET NEW.b = NEW.b + 1; END -- last',
  'CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS "2026-01-01 03:00:00" ON COMPLETION PRESERVE ENABLE DO DELETE FROM in_memory',
]

async function make(database: TestMysqlDatabase): Promise<void> {
  const connection = await database.connect()
  const [first = '', ...rest] = RICH
  await connection.query(first)
  await connection.query('CREATE TABLE parents (x int NOT NULL, y int NOT NULL, PRIMARY KEY (x, y))')
  for (const sql of rest) await connection.query(sql)
  // Views may only come once the function is there; the names are to sort the other way.
  for (const sql of [
    ...OBJECTS.filter((each) => each.includes('FUNCTION')),
    ...OBJECTS.filter((each) => !each.includes('FUNCTION')),
  ])
    await connection.query(sql)
  await connection.query("SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'")
  await connection.query(
    `CREATE TRIGGER t_ansi AFTER DELETE ON no_primary FOR EACH ROW INSERT INTO "we ird\`t" ("A b", "c,(d") VALUES (OLD.a, 'a\\' || 'b')`,
  )
  await connection.query("INSERT INTO wp_posts (post_content, post_title, post_name, hidden) VALUES ('c', 't', 'n', 9)")
  await connection.query("INSERT INTO old_style VALUES (1, 'zo\u00eb'), (2, NULL)")
  await connection.query("INSERT INTO in_memory VALUES (1, 'x')")
  await connection.query('INSERT INTO no_primary VALUES (1, NULL), (2, 5)')
  await connection.query('INSERT INTO parents VALUES (1, 2)')
  await connection.query('INSERT INTO kids VALUES (1, 2, 2)')
  await connection.query('INSERT INTO places VALUES (1, ST_GeomFromText("POINT(1 2)"))'.replaceAll('"', "'"))
  await connection.query('INSERT INTO parted VALUES (1, 1999), (2, 2020)')
  await connection.end()
}

const created = ({ tables, foreignKeys, identities, objects }: Schema): unknown => ({ tables, foreignKeys, identities, objects })

describe.skipIf(mysqlMissing !== null)(mysqlTitle('a schema of MariaDB'), () => {
  let server: TestMysql
  const track = closedAfterEach()
  const open = (made: TestMysqlDatabase, change: Parameters<TestMysqlDatabase['options']>[0] = {}): Database =>
    track(openMysql(made.options(change)))
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.4' })
  })
  afterAll(() => server?.stop())

  it('is carried with partitions, other engines, generated and hidden columns, views over views, programs and their sql_mode', async () => {
    const [from, to] = [await server.database(), await server.database()]
    await make(from)
    const [source, target] = [open(from), open(to)]
    const schema = await source.schema()
    await createAll(target, schema, ['before'])
    for (const table of schema.tables) await copyTable(source, target, table, table.name.name)
    await createAll(target, schema, ['after'])
    expect(created(await target.schema())).toEqual(created(schema))
    for (const { name } of schema.tables) {
      const show = `SHOW CREATE TABLE \`${name.name.replaceAll('`', '``')}\``
      const text = async (database: TestMysqlDatabase): Promise<string> =>
        ((await database.sql(show))[0]?.[1] ?? '').replace(/ AUTO_INCREMENT=\d+/, '').replaceAll(`\`${database.name}\``, 'DB')
      // Indexes that were added later stand after the others.
      const lines = (sql: string): readonly string[] =>
        sql
          .split('\n')
          // MySQL tells the character set again where a statement has named it.
          .map((line) => line.replace(/,$/, '').replace(/ CHARACTER SET \w+(?= COLLATE)/, ''))
          .sort()
      expect(lines(await text(to))).toEqual(lines(await text(from)))
      const checksum = `CHECKSUM TABLE \`${name.name.replaceAll('`', '``')}\` EXTENDED`
      expect((await to.sql(checksum))[0]?.[1]).toEqual((await from.sql(checksum))[0]?.[1])
    }
    const triggers = `SELECT TRIGGER_NAME, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS
      WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1`
    expect(await to.sql(triggers)).toEqual(await from.sql(triggers))
    expect(await to.sql('SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()')).toEqual([
      ['nightly', 'DISABLED'],
    ])
    expect(await to.sql('INSERT INTO no_primary (a) VALUES (9); SELECT b FROM no_primary WHERE a = 9')).toEqual([['20']])
    expect(await to.sql('SELECT * FROM a_second')).toEqual([])
    expect(await to.sql('SELECT post_date, slug, len, hidden FROM wp_posts')).toEqual([['0000-00-00 00:00:00', 'n-x', '1', '9']])
    for (const { undo, name } of [...target.ddl(schema)].reverse()) await target.retract(undo, { run: 'create', name })
    const left = await target.schema()
    expect([left.tables, left.objects, left.identities]).toEqual([[], [], []])
  })

  it('names what it can’t carry, and what it carries otherwise', async () => {
    const [made, other] = [await server.database(), await server.database('other')]
    await other.sql('CREATE TABLE elsewhere (id int PRIMARY KEY)')
    await made.rootSql(`${isMariadb ? 'CREATE TABLE kept (a int) WITH SYSTEM VERSIONING;' : ''}
      CREATE TABLE csv_lines (a int NOT NULL) ENGINE=CSV;
      CREATE TABLE grouped (g int NOT NULL, n int NOT NULL AUTO_INCREMENT, PRIMARY KEY (g, n)) ENGINE=MyISAM;
      CREATE TABLE plain_old (a int) ENGINE=MyISAM;
      CREATE TABLE child (a int, CONSTRAINT far FOREIGN KEY (a) REFERENCES ${other.name}.elsewhere (id));
      CREATE TABLE gone (a int);
      CREATE VIEW broken AS SELECT a FROM gone; DROP TABLE gone;
      CREATE VIEW abroad AS SELECT id FROM ${other.name}.elsewhere;
      CREATE TABLE found (t text, FULLTEXT KEY (t)) COMMENT 'FOREIGN KEY (a) REFERENCES \`x\`.\`y\` (z)';
      CREATE TABLE ticked (a int PRIMARY KEY, b int, CONSTRAINT \`c\`\`(\` FOREIGN KEY (b) REFERENCES ticked (a));
      CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR DO SELECT 1`)
    const { findings, tables } = await open(made, { account: server.root }).schema()
    const found = findings.map(
      (each) =>
        `${each.severity} ${each.code}: ${/\b(kept|csv_lines|grouped|plain_old|child|broken|abroad|found|ticked|hourly|admin@%)/.exec(each.message)?.[0]}`,
    )
    expect(found.sort()).toEqual([
      // 11.8 spells them well.
      ...(isMariadb && !isRelease('mariadb', 11, 8) ? ['error definition-unreadable: ticked'] : []),
      'error foreign-key-elsewhere: child',
      'error table-engine: csv_lines',
      'error table-not-transactional: grouped',
      ...(isMariadb ? ['error table-versioned: kept'] : []),
      'info definer-changes: admin@%',
      'info full-text-index: found',
      'info snapshot-locks-tables: undefined',
      'warning event-switched-off: hourly',
      'warning other-database: abroad',
      'warning table-not-transactional: plain_old',
      'warning view-broken: broken',
    ])
    expect(tables.map((table) => table.name.name)).toEqual(['child', 'found', 'grouped', 'plain_old', 'ticked'])
    for (const finding of findings) expect(finding.hint, finding.code).toBeDefined()
    // An account that may see its own database alone, on either host.
    const own = await open(made).schema()
    expect(own.findings).toContainEqual(
      expect.objectContaining({ code: 'other-database', message: expect.stringContaining(other.name) }),
    )
    const lacking = (await open(await server.database('new')).unmet?.(own)) ?? []
    expect(lacking).toMatchObject([
      { severity: 'error', code: 'database-elsewhere', message: expect.stringContaining('The view abroad reads') },
    ])
  })

  it('leaves the database’s own name out of programs, however they spell it, and names where it can’t', async () => {
    const [made, to, other] = [await server.database(), await server.database(), await server.database('other')]
    const { name } = made
    const programs = [
      // The table is called as the database is: what follows its name is a column.
      `CREATE VIEW own AS SELECT ${name}.id AS a, orders.id AS b FROM ${name} JOIN orders ON ${name}.id = orders.shop`,
      `CREATE PROCEDURE plain() /* it's */ SELECT o.id -- don't
        FROM ${name}.orders o JOIN \`${name}\`.${name} s ON o.shop = s.id JOIN ${name}.own v ON v.a = s.id`,
      `CREATE PROCEDURE dynamic() BEGIN PREPARE x FROM 'SELECT id FROM ${name}.orders'; EXECUTE x; END`,
      `CREATE PROCEDURE abroad() SELECT * FROM ${other.name}.things`,
      // Made when its time was still to come.
      "SET TIMESTAMP = UNIX_TIMESTAMP('2020-01-01')",
      "CREATE EVENT past ON SCHEDULE AT '2020-01-02' DISABLE DO SELECT 1",
      'SET TIMESTAMP = DEFAULT',
      "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
      `CREATE DEFINER="gone"@"nowhere" PROCEDURE "q""q"() BEGIN INSERT INTO "${name}"."log" VALUES ('C:\\');
        INSERT INTO "${name}".log SELECT "${name}"."id" FROM "${name}"; END`,
    ]
    await made.rootSql(
      [
        `CREATE TABLE ${name} (id int PRIMARY KEY)`,
        'CREATE TABLE orders (id int PRIMARY KEY, shop int)',
        'CREATE TABLE log (w varchar(20))',
        `INSERT INTO ${name} VALUES (1)`,
        'INSERT INTO orders VALUES (7, 1)',
        ...programs,
      ].join(';\n'),
    )
    const [source, target] = [open(made, { account: server.root }), open(to)]
    const schema = await source.schema()
    const told = schema.findings.filter(({ code }) => /^(own|other)-database|^event/.test(code))
    expect(
      told.map(({ severity, code, message }) => `${severity} ${code}: ${/(?:procedure|event) \w+/.exec(message)?.[0]}`).sort(),
    ).toEqual([
      'info event-over: event past',
      'warning other-database: procedure abroad',
      'warning own-database-named: procedure dynamic',
    ])
    await createAll(target, schema, ['before'])
    for (const table of schema.tables) await copyTable(source, target, table, table.name.name)
    await createAll(target, schema, ['after'])
    expect(await to.sql('SELECT * FROM own')).toEqual([['1', '7']])
    const called = await to.connect()
    expect((await called.query('CALL plain()'))[0]).toContainEqual([['7']])
    await called.query('CALL `q"q`()')
    await called.end()
    expect(await to.sql('SELECT * FROM log ORDER BY w')).toEqual([['1'], ['C:\\']])
  })

  it('carries text of a character set that the driver has never heard of', async () => {
    const [made, to] = [await server.database(), await server.database()]
    await made.sql(`CREATE TABLE odd (id int PRIMARY KEY, a varchar(9) CHARACTER SET swe7, b varchar(9) CHARACTER SET dec8);
      INSERT INTO odd VALUES (1, x'5b7d', x'a1ff')`)
    const [source, target] = [open(made), open(to)]
    const schema = await source.schema()
    await createAll(target, schema, ['before'])
    const [table] = schema.tables
    if (table === undefined) throw new Error('there is no table')
    await copyTable(source, target, table, 'odd')
    const blocks: Buffer[] = []
    await source.read(1, async ([reader]) => {
      for await (const { bytes } of reader.blocks?.(table) ?? []) blocks.push(Buffer.from(bytes))
    })
    expect(blocks.length).toBeGreaterThan(0)
    expect(await to.sql('SELECT HEX(a), HEX(b) FROM odd')).toEqual([['5B7D', 'A1FF']])
  })

  it('names tables without transactions together, however many there are', async () => {
    const made = await server.database()
    await made.sql(Array.from({ length: 7 }, (_, at) => `CREATE TABLE plugin_${at} (id int PRIMARY KEY) ENGINE=MyISAM`).join(';'))
    const found = (await open(made).schema()).findings.filter(({ code }) => code === 'table-not-transactional')
    expect(found.map(({ severity, message }) => `${severity} ${message.split(' are kept')[0]}`)).toEqual([
      'warning 7 tables (plugin_0, plugin_1, plugin_2, plugin_3, plugin_4 and 2 more)',
    ])
    const [told = ''] = /SELECT CONCAT.*$/.exec(found[0]?.hint ?? '') ?? []
    for (const [statement] of await made.sql(told)) await made.sql(statement ?? '')
    expect((await open(made).schema()).findings.filter(({ code }) => code === 'table-not-transactional')).toEqual([])
  })

  it.skipIf(!isMariadb)('lets rows be written into a table whose engine knows no savepoints', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE carts (id int AUTO_INCREMENT PRIMARY KEY, note text) ENGINE=Aria TRANSACTIONAL=1')
    const database = open(made)
    const { tables } = await database.schema()
    const [carts] = tables
    if (carts === undefined) throw new Error('no table')
    await database.transaction([carts], async (transaction) => {
      for (const id of ['1', '2', '3'])
        await transaction.insert(carts, [
          [id, 'one'],
          [`1${id}`, 'two'],
        ])
      await transaction.update(carts, ['2', 'changed'])
      await transaction.delete(carts, [['1'], ['11']])
    })
    expect(await made.sql('SELECT * FROM carts ORDER BY id')).toEqual([
      ['2', 'changed'],
      ['3', 'one'],
      ['12', 'two'],
      ['13', 'two'],
    ])
  })
})
