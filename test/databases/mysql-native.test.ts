import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { mysqlNative } from '../../src/databases/mysql/native.ts'
import type { NativePower, NativeRestore } from '../../src/databases/native-port.ts'
import type { Schema, Table, TableName } from '../../src/databases/schema.ts'
import { hasMariadb, type NativeMariadb, startNativeMariadb } from './mysql-native-server.ts'

const READER = { user: 'reader', password: `p"w#'\\d ${'x'.repeat(20)}` }
const OWNER = { user: 'owner', password: 'secret of the owner' }

/** What gets lost most often, and accounts that the new host doesn't know. */
const SHOP = `
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, email varchar(120) NOT NULL UNIQUE, born date NOT NULL DEFAULT '0000-00-00', seen timestamp(6) NULL);
CREATE TABLE orders (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, price decimal(30,10), gross decimal(30,10) AS (price * 2) STORED,
  note longtext, flags bit(9), kind enum('a','b','') , photo longblob, place geometry, extra json, FOREIGN KEY (customer_id) REFERENCES customers (id)) AUTO_INCREMENT = 5000;
CREATE TABLE \`odd \`\`name\` (\`a(b\` varchar(40), c varbinary(20));
CREATE TABLE sessions (id int PRIMARY KEY, token varchar(40));
CREATE TABLE empty_one (id int AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 77;
CREATE TABLE migrate_marks (run int); CREATE TABLE migrate_ledger (run int);
INSERT INTO customers (email, born, seen) VALUES ('åda@example.com', '0000-00-00', '2026-11-20 07:00:00.000001'), ('b', '1970-01-01', NULL), ('', '2000-00-00', NULL);
INSERT INTO orders (customer_id, price, note, flags, kind, photo, place, extra) VALUES
  (1, 12345678901234567890.0123456789, 'a); INSERT INTO \`orders\` VALUES (1),(2);', b'101010101', 'a', x'00ff270a5c', ST_GeomFromText('POINT(1 2)'), '{"a": "(),(\\\\""}'),
  (2, NULL, 'it''s\\n(back\\\\) \\\\'' 🧦', NULL, '', '', NULL, NULL), (1, 0, NULL, b'0', 'b', NULL, NULL, '[]');
INSERT INTO \`odd \`\`name\` VALUES ('),(', 'x'), (NULL, x'27'), ('\\n(', '');
INSERT INTO sessions VALUES (1, 'secret'), (2, 'token');
CREATE DEFINER = 'gone'@'nowhere' VIEW open_orders AS SELECT o.id, c.email FROM orders o JOIN customers c ON c.id = o.customer_id;
DELIMITER //
CREATE DEFINER = 'gone'@'nowhere' TRIGGER orders_note BEFORE INSERT ON orders FOR EACH ROW BEGIN SET NEW.note = CONCAT(NEW.note, ' [copied]'); END//
CREATE DEFINER = 'gone'@'nowhere' FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2//
CREATE DEFINER = 'gone'@'nowhere' PROCEDURE tidy() BEGIN
  SELECT 'CREATE DEFINER=\`gone\`@\`nowhere\` PROCEDURE';
END//
CREATE DEFINER = 'gone'@'nowhere' EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM sessions//
DELIMITER ;`

const TABLES = ['customers', 'orders', 'odd `name', 'sessions', 'empty_one']
const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``

const table = (name: string): Table => ({
  name: { schema: '', name },
  columns: [],
  primaryKey: null,
  uniqueKeys: [],
  key: [],
  triggers: [],
})
const SCHEMA: Schema = { tables: TABLES.map(table), foreignKeys: [], identities: [], objects: [], principals: [], findings: [] }

describe.skipIf(!hasMariadb)('saving and restoring with mariadb-dump and the client', () => {
  let server: NativeMariadb
  let count = 0
  let [from, to] = ['', '']
  let directory = ''

  beforeAll(async () => {
    server = await startNativeMariadb('127.0.31.9')
    for (const { user, password } of [READER, OWNER])
      await server.sql(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`)
    await server.sql(`GRANT SELECT ON mysql.proc TO 'reader'@'%'`)
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    count += 1
    ;[from, to] = [`old${count}`, `new${count}`]
    await server.sql(`CREATE DATABASE ${from} CHARACTER SET utf8mb4; CREATE DATABASE ${to} CHARACTER SET utf8mb4`)
    await server.sql(SHOP, from)
    await server.sql(`GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON ${from}.* TO 'reader'@'%'; GRANT ALL ON ${to}.* TO 'owner'@'%'`)
    directory = join(await mkdtemp(join(tmpdir(), 'migrate-mysql-native-')), 'dump')
  })
  afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }))

  const old = (): NativePower => mysqlNative(server.options(from, READER), (sql) => server.sql(sql, from))
  const fresh = (): NativePower => mysqlNative(server.options(to, OWNER), (sql) => server.sql(sql, to))
  const work = (skip: readonly TableName[] = [], signal = new AbortController().signal): NativeRestore => ({
    run: 'run-1',
    wishes: {},
    directory,
    schema: SCHEMA,
    skip,
    connections: 2,
    signal,
    progress: () => undefined,
  })
  const checksums = async (database: string, names = TABLES) => {
    const rows = await server.sql(`CHECKSUM TABLE ${names.map(quoted).join(', ')}`, database)
    return rows.map(([name, sum]) => [name?.slice(name.indexOf('.') + 1), sum])
  }
  const definitions = async (database: string) =>
    (await server.sql(TABLES.map((name) => `SHOW CREATE TABLE ${quoted(name)};`).join('\n'), database)).map(([, text]) => text)

  it('brings every value, by an account that may only read, and counts the rows whatever customers typed', async () => {
    const means = await old().tools('save', {})
    expect(means).toMatchObject({ tool: expect.stringMatching(/^mariadb-dump 1\d/), format: 'mysql-sql', findings: [] })
    const saved = await old().save(work())
    expect(saved).toEqual({
      consistent: true,
      rows: { customers: 3, orders: 3, 'odd `name': 3, sessions: 2, empty_one: 0 },
      place: 'directory',
    })
    await fresh().restore(work())
    expect(await checksums(to)).toEqual(await checksums(from))
    expect(await definitions(to)).toEqual(await definitions(from))
    expect(await server.sql('SHOW TABLES LIKE "migrate%"', to)).toEqual([])
  })

  it('makes views, routines, triggers and events anew as the account that restores', async () => {
    await old().save(work())
    await fresh().restore(work())
    expect(await server.sql('SELECT twice(21); SELECT count(*) FROM open_orders; CALL tidy()', to)).toEqual([
      ['42'],
      ['3'],
      ['CREATE DEFINER=`gone`@`nowhere` PROCEDURE'],
    ])
    const definers = await server.sql(
      `SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '${to}' UNION ALL SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '${to}'
       UNION ALL SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '${to}' UNION ALL SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '${to}'`,
    )
    expect(definers).toEqual(Array.from({ length: 5 }, () => ['owner@%']))
  })

  it('leaves the rows of skipped tables behind, and keeps their definitions', async () => {
    const skip = [{ schema: '', name: 'sessions' }]
    expect((await old().save(work(skip))).rows).not.toHaveProperty('sessions')
    await fresh().restore(work(skip))
    expect(await server.sql('SELECT count(*) FROM sessions', to)).toEqual([['0']])
    expect(await definitions(to)).toEqual(await definitions(from))
    const texts = (await readdir(directory)).map(async (name) => gunzipSync(await readFile(join(directory, name))).toString())
    expect((await Promise.all(texts)).join('')).not.toContain("'secret'")
  })

  it('never replaces what is there', async () => {
    await old().save(work())
    await server.sql('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)', to)
    await expect(fresh().restore(work())).rejects.toMatchObject({
      code: 'native-tool-failed',
      message: expect.stringContaining("Table 'orders' already exists"),
    })
    expect(await server.sql('SELECT * FROM orders', to)).toEqual([['1']])
  })

  it('stops when it is told to, lets go of the server, and can be done again after the drop', async () => {
    await server.sql(
      `CREATE TABLE filler (id int PRIMARY KEY, note varchar(200)); INSERT INTO filler SELECT seq, REPEAT(MD5(seq), 4) FROM seq_1_to_200000`,
      from,
    )
    await old().save(work())
    const stop = new AbortController()
    const restoring = fresh().restore({
      ...work([], stop.signal),
      progress: (done) => {
        if (done > 2_000_000) stop.abort(new Error('stopped'))
      },
    })
    await expect(restoring).rejects.toThrow('stopped')
    await fresh().discard('run-1')
    expect(await server.sql(`SELECT IS_USED_LOCK('migrate restore run-1')`)).toEqual([[null]])
    await server.sql(`DROP DATABASE ${to}; CREATE DATABASE ${to}; `)
    await fresh().restore(work())
    expect(await checksums(to, [...TABLES, 'filler'])).toEqual(await checksums(from, [...TABLES, 'filler']))
  })

  it('ends a session that a killed process left behind, and waits for its end', async () => {
    const name = 'migrate restore run-1'
    const holding = server.sql(`SELECT GET_LOCK('${name}', 0); SELECT SLEEP(600)`, to).catch((error: unknown) => String(error))
    while ((await server.sql(`SELECT IS_USED_LOCK('${name}') IS NULL`))[0]?.[0] !== '0');
    await fresh().discard('run-1')
    await holding
    expect(await server.sql(`SELECT IS_USED_LOCK('${name}')`)).toEqual([[null]])
  })

  it('tells of a dump that isn’t whole', async () => {
    await server.sql(`REVOKE TRIGGER ON ${from}.* FROM 'reader'@'%'; REVOKE SHOW VIEW ON ${from}.* FROM 'reader'@'%'`)
    await expect(old().save(work())).rejects.toMatchObject({
      code: 'native-tool-failed',
      message: expect.stringContaining('SHOW VIEW'),
    })
  })

  it('tells of routines that the account may not see', async () => {
    await server.sql(`REVOKE SELECT ON mysql.proc FROM 'reader'@'%'; GRANT EXECUTE ON ${from}.* TO 'reader'@'%'`)
    try {
      await expect(old().save(work())).rejects.toMatchObject({
        code: 'native-tool-failed',
        message: expect.stringMatching(/privileges to SHOW CREATE/),
      })
    } finally {
      await server.sql(`GRANT SELECT ON mysql.proc TO 'reader'@'%'`)
    }
  })

  it('leaves no password in a temporary file', async () => {
    await old().save(work())
    await fresh().restore(work())
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith('migrate-client-'))
    const texts = await Promise.all(left.map(async (name) => readdir(join(tmpdir(), name))))
    expect(texts.flat()).toEqual([])
  })

  it('names tables that no transaction holds still', async () => {
    await server.sql('CREATE TABLE old_log (id int) ENGINE = MyISAM', from)
    expect((await old().tools('save', {})).findings).toMatchObject([
      { code: 'native-not-consistent', message: expect.stringContaining('old_log') },
    ])
    expect(await old().save(work())).toMatchObject({ consistent: false })
  })

  it('finds a file that was cut short', async () => {
    await old().save(work())
    const file = join(directory, '2-database.sql.gz')
    const bytes = await readFile(file)
    await writeFile(file, bytes.subarray(0, bytes.length - 200))
    await expect(fresh().restore(work())).rejects.toThrow(/unexpected end/)
  })
})
