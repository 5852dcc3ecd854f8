import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databaseError } from '../../src/databases/mysql/errors.ts'
import { settable } from '../../src/databases/mysql/execute.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import { readSchema } from '../../src/databases/mysql/introspect.ts'
import { catalogTable } from '../../src/databases/mysql/introspect-tables.ts'
import type { ServerKind } from '../../src/databases/mysql/session.ts'
import { refuseOld, settingsOf } from '../../src/databases/mysql/settings.ts'
import { readTogether } from '../../src/databases/mysql/snapshot.ts'
import type { Database, ServerInfo } from '../../src/databases/port.ts'
import { type Column, ORDINARY, type Schema, type SchemaObject } from '../../src/databases/schema.ts'
import { closedAfterEach, readAll } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, isRelease, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { MeddledConnections } from './mysql-meddled.ts'

const kindOf = (family: ServerKind['family'], ...version: [number, number, number]): ServerKind => ({
  family,
  version,
  maxPacket: 2 ** 24,
  localInfile: true,
})

const textColumn = (name: string, collation: string | null): Column => ({
  name,
  type: collation === null ? 'int(11)' : 'varchar(20)',
  codec: collation === null ? 'number' : 'text',
  ...ORDINARY,
  collation,
})

const none: Schema = { tables: [], foreignKeys: [], identities: [], objects: [], principals: [], findings: [] }

describe('a definition as MySQL 5.7 and 8 spell it', () => {
  const created = (columns: readonly Column[], sql: string, collation: string): string =>
    catalogTable({ name: 't', engine: 'InnoDB', type: 'BASE TABLE', collation }, columns, sql, []).createSql

  it('is carried with the collations that 5.7 leaves unsaid, since later servers have other ones by default', () => {
    const columns = [
      textColumn('id', null),
      textColumn('plain', 'utf8mb4_general_ci'),
      textColumn('own', 'utf8mb4_general_ci'),
      textColumn('said', 'latin1_bin'),
      textColumn('choice', 'latin1_swedish_ci'),
      textColumn('of the table', 'utf8mb4_unicode_ci'),
    ]
    const sql = `CREATE TABLE \`t\` (
  \`id\` int(11) NOT NULL AUTO_INCREMENT COMMENT 'CHARACTER SET x',
  \`plain\` varchar(20) DEFAULT NULL,
  \`of the table\` varchar(20) COLLATE utf8mb4_unicode_ci NOT NULL,
  \`own\` varchar(20) CHARACTER SET utf8mb4 DEFAULT NULL,
  \`said\` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL,
  \`choice\` enum('a)','it''s') CHARACTER SET latin1 NOT NULL DEFAULT 'a)',
  PRIMARY KEY (\`id\`)
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='DEFAULT CHARSET=utf8'`
    const text = created(columns, sql, 'utf8mb4_unicode_ci')
    expect(text).toContain('`own` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL')
    expect(text).toContain('`of the table` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL')
    expect(text).toContain("`choice` enum('a)','it''s') CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'a)'")
    expect(text).toContain('`said` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL')
    expect(text).toContain("`id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'CHARACTER SET x'")
    expect(text).toContain(") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='DEFAULT CHARSET=utf8'")
    expect(created(columns, text, 'utf8mb4_unicode_ci')).toBe(text)
  })

  it('keeps what 8 hides, computes or doesn’t enforce, and leaves its tablespace behind', () => {
    const sql = `CREATE TABLE \`t\` (
  \`my_row_id\` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  \`id\` int DEFAULT (uuid_short()),
  \`at\` point NOT NULL /*!80003 SRID 4326 */,
  PRIMARY KEY (\`my_row_id\`),
  UNIQUE KEY \`low\` ((lower(\`plain\`))),
  KEY \`down\` (\`id\` DESC) /*!80000 INVISIBLE */,
  CONSTRAINT \`c\` CHECK ((\`id\` > 0)) /*!80016 NOT ENFORCED */
) /*!50100 TABLESPACE \`fast\` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
/*!50100 PARTITION BY RANGE (\`my_row_id\`)
(PARTITION p0 VALUES LESS THAN (10) DATA DIRECTORY = '/fast' ENGINE = InnoDB) */`
    const { table, createSql, indexes } = catalogTable(
      { name: 't', engine: 'InnoDB', type: 'BASE TABLE', collation: 'utf8mb4_0900_ai_ci' },
      [{ ...textColumn('my_row_id', null), nullable: false, identity: 'by-default' }, textColumn('id', null)],
      sql,
      [],
    )
    expect(table.key).toEqual(['my_row_id'])
    expect(indexes).toEqual(['UNIQUE KEY `low` ((lower(`plain`)))', 'KEY `down` (`id` DESC) /*!80000 INVISIBLE */'])
    for (const part of ['/*!80023 INVISIBLE */', '(uuid_short())', '/*!80003 SRID 4326 */', '/*!80016 NOT ENFORCED */'])
      expect(createSql).toContain(part)
    expect(createSql).toContain('\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci\n/*!50100 PARTITION')
    expect(createSql).toContain('LESS THAN (10) ENGINE = InnoDB')
  })

  it('keeps the words of its comments, whatever they look like', () => {
    const comment = "COMMENT='was ENGINE=MyISAM ROW_FORMAT=FIXED, TABLESPACE = fast, AUTO_INCREMENT=7'"
    const { createSql, engineSql } = catalogTable(
      { name: 't', engine: 'MyISAM', type: 'BASE TABLE', collation: 'latin1_swedish_ci' },
      [textColumn('id', null)],
      `CREATE TABLE \`t\` (
  \`id\` int DEFAULT NULL
) ENGINE=MyISAM DEFAULT CHARSET=latin1 ${comment} DATA DIRECTORY='/fast'
/*!50100 PARTITION BY HASH (\`id\`)
(PARTITION p0 COMMENT = 'ENGINE = MyISAM' ENGINE = MyISAM) */`,
      [],
    )
    expect(createSql).toContain(
      `\n) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci ${comment}\n/*!50100 PARTITION`,
    )
    expect(createSql).toContain("(PARTITION p0 COMMENT = 'ENGINE = MyISAM' ENGINE = InnoDB) */")
    expect(engineSql).toBe('ALTER TABLE `t` ENGINE=MyISAM')
  })

  it('of a program leaves out the modes that MySQL 8 no longer knows', () => {
    const line = "SET SESSION sql_mode = 'PIPES_AS_CONCAT,MSSQL,NO_KEY_OPTIONS,ANSI_QUOTES,NO_AUTO_CREATE_USER';"
    expect(settable(kindOf('mysql', 8, 0, 40), line)).toBe("SET SESSION sql_mode = 'PIPES_AS_CONCAT,ANSI_QUOTES'")
    expect(settable(kindOf('mysql', 8, 0, 40), "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER';")).toBe("SET SESSION sql_mode = ''")
    expect(settable(kindOf('mysql', 5, 7, 44), line)).toBe(line.slice(0, -1))
    expect(settable(kindOf('mariadb', 10, 11, 6), line)).toBe(line.slice(0, -1))
  })

  it.each([
    [kindOf('mysql', 5, 7, 19), ['tx_isolation'], ['transaction_isolation', 'information_schema_stats_expiry', 'show_gipk']],
    [kindOf('mysql', 5, 7, 20), ['transaction_isolation'], ['tx_isolation', 'information_schema_stats_expiry']],
    [kindOf('mysql', 8, 0, 11), ['information_schema_stats_expiry = 0', 'transaction_isolation'], ['tx_isolation', 'show_gipk']],
    [kindOf('mysql', 9, 7, 4), ['information_schema_stats_expiry = 0', 'show_gipk'], ['explicit_defaults_for_timestamp']],
    [kindOf('mariadb', 10, 3, 0), ['tx_isolation', 'max_statement_time'], ['max_execution_time', 'explicit_defaults']],
  ])('goes to a session with the settings of %j', (kind, has, lacks) => {
    const sql = settingsOf(kind)
    for (const name of has) expect(sql).toContain(name)
    for (const name of lacks) expect(sql).not.toContain(`SESSION ${name}`)
  })

  it('is refused before a session is set otherwise where the release is too old', () => {
    const refused = (...kind: Parameters<typeof kindOf>) => {
      try {
        refuseOld(kindOf(...kind), 'old database')
        return undefined
      } catch (error) {
        return error
      }
    }
    expect(refused('mysql', 5, 6, 24)).toMatchObject({
      code: 'database-too-old',
      message: 'The old database runs MySQL 5.6.24; migrate needs MySQL 5.7, MariaDB 10.3 or newer. Nothing was touched.',
    })
    expect(refused('mariadb', 10, 2, 44)).toMatchObject({ code: 'database-too-old' })
    expect([refused('mysql', 5, 7, 5), refused('mariadb', 10, 3, 0)]).toEqual([undefined, undefined])
  })

  it('refused to an account that logged in long ago is a missing right, whatever number the server gives it', () => {
    const refused = Object.assign(new Error("Access denied for user 'admin'@'%' (using password: YES)"), { errno: 1045 })
    expect(databaseError(refused, { label: 'old database' }).code).toBe('database-permission-denied')
    expect(databaseError(refused, { label: 'old database', connecting: true }).code).toBe('database-login-failed')
  })
})

describe.skipIf(mysqlMissing !== null)(mysqlTitle('servers that are set otherwise'), () => {
  let server: TestMysql
  const track = closedAfterEach()
  const open = (made: TestMysqlDatabase): Database => track(openMysql(made.options()))
  beforeAll(async () => {
    server = await startTestMysql({
      host: '127.0.12.11',
      settings: { 'transaction-isolation': 'READ-COMMITTED', 'lower-case-table-names': '1' },
    })
  })
  afterAll(() => server?.stop())

  it('to see each other’s changes at once are still read as of one moment', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
    const database = open(made)
    const [a, b] = (await database.schema()).tables
    if (a === undefined || b === undefined) throw new Error('no tables')
    const seen = await database.read(2, async (readers) => {
      await made.sql('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)')
      const counts: number[] = []
      for (const reader of readers) for (const table of [a, b]) counts.push((await readAll(reader, table)).length)
      return [readers.every(({ consistent }) => consistent), ...counts]
    })
    expect(seen).toEqual([true, 1, 0, 1, 0])
  })

  // MySQL since 8.0 tells a snapshot what its catalog was, so that nothing in it shows that a name stands for another table now.
  it.each([1, 2])(
    'asks beside the snapshot where its catalog is of old, and looks at the rows where it has none to spare, of %i',
    async (limit) => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int PRIMARY KEY); INSERT INTO t VALUES (1)')
      const asked: number[] = []
      const connections = new MeddledConnections(
        made,
        async (sql, connection) => {
          if (sql.startsWith('SELECT TABLE_NAME, CREATE_TIME FROM')) asked.push(connection)
        },
        { limit, claims: { family: 'mysql', version: [8, 0, 36] } },
      )
      track({ close: async () => connections.close() })
      const { tables } = await connections.use((session) => readSchema(session, 1))
      const [t, u] = tables
      if (t === undefined || u === undefined) throw new Error('no tables')
      const read = readTogether(connections, 1, async ([reader]) => {
        expect(await readAll(reader, u)).toEqual([])
        await made.sql('SELECT SLEEP(0.3)')
        expect(await readAll(reader, t, { limit: 1 })).toHaveLength(1)
        await made.sql('RENAME TABLE t TO gone, u TO t')
        return await readAll(reader, t)
      })
      await expect(read).rejects.toMatchObject({ code: 'table-rewritten', retrySafe: true })
      expect(asked).toEqual(limit === 1 ? [] : [1, 1])
    },
  )

  it('are asked, before anything is made there, what they would not take, or take otherwise', async () => {
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(`CREATE TABLE parent (id int PRIMARY KEY, code int, name varchar(20), KEY (code));
      CREATE TABLE keyless (a int)`)
    const [source, target] = [open(from), open(to)]
    const schema = await source.schema()
    const codes = async (changed: Schema, by = target): Promise<readonly string[]> =>
      ((await by.unmet?.(changed)) ?? []).map(({ severity, code, message }) => `${severity} ${code}: ${message}`)
    expect(await codes(schema)).toEqual([])
    const [parent] = schema.tables.filter(({ name }) => name.name === 'parent')
    if (parent === undefined) throw new Error('no table')
    const named = (name: string, columns: readonly Column[] = []) => ({ ...parent, name: { schema: '', name }, columns })
    const object = (kind: string, name: string, sql: string): SchemaObject => ({ kind, name, stage: 'after', sql, undo: null })
    const hasVectors = isRelease('mysql', 9, 0) || isRelease('mariadb', 11, 7)
    const changed: Schema = {
      ...none,
      tables: [
        named('Orders', [textColumn('x', 'utf8mb4_future_ci'), { ...textColumn('y', null), type: 'vector(3)' }]),
        named('orders', [textColumn('z', 'utf8mb3_general_ci')]),
      ],
      objects: [
        object('engine', 'logs', 'ALTER TABLE `logs` ENGINE=PLUTO'),
        object(
          'table',
          'orders',
          "CREATE TABLE `orders` (`z` text COMMENT 'COLLATE none' /*!990000 INVISIBLE */) COLLATE=utf8mb4_future_ci",
        ),
      ],
    }
    expect(await codes(changed)).toEqual([
      expect.stringMatching(/^error collation-missing: .*utf8mb4_future_ci.* in table Orders, table orders\.$/),
      expect.stringMatching(/^error engine-missing: .*logs is kept by PLUTO/),
      ...(hasVectors ? [] : [expect.stringMatching(/^error type-missing: .*Orders\.y, vector\(3\)/)]),
      expect.stringMatching(/^warning feature-left-out: .*table orders .*: INVISIBLE\.$/),
      expect.stringMatching(/^error table-names-clash: .*Orders, orders/),
      expect.stringMatching(/^error table-names-lowered: .*: Orders\.$/),
    ])
    const keyed = isMariadb ? 'innodb_force_primary_key' : 'sql_require_primary_key'
    await server.rootSql(`SET GLOBAL ${keyed} = 1`)
    expect(await codes(schema, open(to))).toEqual([expect.stringMatching(/^error primary-key-required: .*: keyless\.$/)])
    await server.rootSql(`SET GLOBAL ${keyed} = 0, GLOBAL local_infile = 0`)
    expect((await open(to).unmet?.(schema))?.map(({ severity, code }) => `${severity} ${code}`)).toEqual(['info load-by-insert'])
    const call = (kind: string): SchemaObject =>
      object(kind, 'tagged', `CREATE ${kind} … SET NEW.tags = json_append(NEW.tags, 'md5(x)')`)
    expect(await codes({ ...none, objects: [call('trigger'), call('procedure')] })).toEqual([
      expect.stringMatching(
        /^error function-missing: The trigger tagged calls JSON_APPEND\(\), .* every row that fires it would be refused/,
      ),
      expect.stringMatching(/^warning function-missing: The procedure tagged calls JSON_APPEND\(\)/),
    ])
    expect((await target.furtherFacts?.())?.lackedFunctions?.split(',')).toContain('JSON_APPEND')
    const info = { ...(await target.info()), facts: { ...(await target.info()).facts, lackedFunctions: 'JSON_APPEND' } }
    const lacking = { ...info, facts: { ...info.facts, lackedFunctions: 'MD5,JSON_APPEND' } }
    expect(target.consequences?.(info, lacking)).toMatchObject([
      {
        code: 'functions-gone',
        message: expect.stringContaining('what the old one does: MD5().'),
        hint: expect.stringContaining('component'),
      },
    ])
    const series = (minor: number): ServerInfo => ({ ...info, version: [10, minor, 3], product: `MariaDB 10.${minor}.3` })
    expect(target.consequences?.(series(11), series(5))).toMatchObject([
      {
        code: 'target-older',
        message: expect.stringContaining("MariaDB 10.5.3, of an older series than the old host's MariaDB 10.11.3"),
      },
    ])
    expect(target.consequences?.(series(5), series(11))).toEqual([])
    const exact = { ...info, facts: { ...info.facts, tableNames: '0' } }
    expect(target.consequences?.(info, exact).map(({ code }) => code)).toEqual(['table-names-exact'])
    expect([...(target.consequences?.(exact, info) ?? []), ...(target.consequences?.(info, info) ?? [])]).toEqual([])
  })
})
