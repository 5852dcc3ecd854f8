import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { columnState } from '../../src/databases/mysql/identities.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import { valuesUsed } from '../../src/databases/plan/headroom.ts'
import type { Block, Database } from '../../src/databases/port.ts'
import type { Identity, Table } from '../../src/databases/schema.ts'
import { failureOf, readAll, rowsOf } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { counted } from './mysql-shop.ts'

/** Connections that were made with TLS so far. */
const ACCEPTED = "SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'"

describe.skipIf(mysqlMissing !== null)(mysqlTitle('reading from MariaDB, and its numbers'), () => {
  let server: TestMysql
  const closing: (() => Promise<unknown>)[] = []
  const open = (database: TestMysqlDatabase, change: Parameters<TestMysqlDatabase['options']>[0] = {}): Database => {
    const result = openMysql(database.options(change))
    closing.push(() => result.close())
    return result
  }
  const tableIn = async (database: Database, name: string): Promise<Table> => {
    const found = (await database.schema()).tables.find((table) => table.name.name === name)
    if (found === undefined) throw new Error(`no table ${name}`)
    return found
  }
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.7' })
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(() => server?.stop())

  describe('readers', () => {
    it('are one when a transaction that is left open keeps writers from being held, and keep nobody waiting', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)')
      const writer = await made.connect()
      await writer.query('START TRANSACTION')
      await writer.query('INSERT INTO t VALUES (2)')
      const database = open(made, { connections: 5 })
      const t = await tableIn(database, 't')
      await database.read(3, async (readers) => {
        expect(readers.map((reader) => reader.consistent)).toEqual([true])
        await writer.query('COMMIT')
        expect(await readAll(readers[0], t)).toEqual([['1']])
      })
      await writer.end()
      for (let seen = 0; seen < 3; ) {
        await database.read(3, async (readers) => {
          seen = readers.length
        })
      }
    })

    it('say that rows of MyISAM are of no one instant', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (a int PRIMARY KEY) ENGINE=MyISAM')
      await open(made).read(2, async (readers) => expect(readers.map((reader) => reader.consistent)).toEqual([false, false]))
    })

    it('stop at once when told to, also while a lock makes them wait', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (a int PRIMARY KEY)')
      const database = open(made)
      const t = await tableIn(database, 't')
      const blocker = await made.connect()
      await blocker.query('LOCK TABLES t WRITE')
      const stop = new AbortController()
      const reason = new Error('stopped by the test')
      const outcome = expect(rowsOf(database, t, { signal: stop.signal })).rejects.toBe(reason)
      const waits = `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock' AND DB = '${made.name}'`
      for (let seen = '0'; seen === '0'; ) seen = (await server.rootSql(waits))[0]?.[0] ?? '0'
      stop.abort(reason)
      await outcome
      await blocker.end()
      expect(await rowsOf(database, t)).toEqual([])
    })

    it('bring a row of more than 16 MiB whole', async () => {
      const made = await server.database()
      await server.rootSql('SET GLOBAL max_allowed_packet = 134217728')
      await made.sql(
        "CREATE TABLE big (id int PRIMARY KEY, b longblob, t longtext); INSERT INTO big VALUES (1, REPEAT(x'00ff5c0a', 10000000), REPEAT('é', 9000000)), (2, NULL, '')",
      )
      const database = open(made)
      const big = await tableIn(database, 'big')
      const rows = await rowsOf(database, big)
      expect(rows.map((each) => each.map((cell) => cell?.length))).toEqual([
        [1, 80_000_000, 9_000_000],
        [1, undefined, 0],
      ])
      expect(rows[0]?.[1]?.slice(-8)).toBe('00ff5c0a')
      await server.rootSql('SET GLOBAL max_allowed_packet = 16777216')
      const small = open(made)
      const failure = await failureOf(
        small.transaction([big], (transaction) => transaction.insert(big, [['3', rows[0]?.[1] ?? null, '']])),
      )
      expect([failure.code, failure.hint]).toEqual(['value-too-large', expect.stringContaining('max_allowed_packet')])
    })
  })

  describe('an auto-numbered column', () => {
    it('gives the next of the server’s own series, as a sequence does that counts in its steps, and goes on after a restart', async () => {
      const other = await startTestMysql({
        host: '127.0.12.6',
        settings: { 'auto-increment-increment': '10', 'auto-increment-offset': '3' },
      })
      const databases: Database[] = []
      const opened = (made: TestMysqlDatabase): Database => {
        const database = openMysql(made.options())
        databases.push(database)
        return database
      }
      try {
        const made = await other.database()
        await made.sql('CREATE TABLE t (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, n int)')
        if (isMariadb) await made.sql('CREATE SEQUENCE s START WITH 14 INCREMENT BY 0 NOCACHE')
        const database = opened(made)
        const schema = await database.schema()
        const state = async (of = database) => (await of.identities(schema))[0]
        const insert = async (): Promise<string> =>
          (await made.sql('INSERT INTO t (n) VALUES (1); SELECT CAST(LAST_INSERT_ID() AS CHAR)'))[0]?.[0] ?? ''
        expect([(await state())?.last, (await state())?.next]).toEqual([null, 3n])
        expect(await insert()).toBe('3')
        expect((await state())?.next).toBe(13n)
        const [identity, sequence] = schema.identities
        if (identity === undefined) throw new Error('no identity')
        expect([identity.increment, identity.maximum]).toEqual(['10', '4294967295'])
        await database.raiseIdentity(identity, 1500n)
        expect((await state())?.next).toBe(1503n)
        expect(await insert()).toBe('1503')
        await made.sql('DELETE FROM t WHERE id > 3')
        if (sequence !== undefined) {
          const next = async () => (await database.identities(schema))[1]
          const given = async () => BigInt((await made.sql('SELECT NEXTVAL(s)'))[0]?.[0] ?? 0)
          expect(sequence.increment).toBe('10')
          expect([(await next())?.next, await given(), (await next())?.next]).toEqual([23n, 23n, 33n])
          await database.raiseIdentity(sequence, 1500n)
          const raised = await next()
          expect([raised?.next, await given()]).toEqual([1513n, 1513n])
          if (raised !== undefined) expect(valuesUsed(raised)).toBe(149n)
        } else expect(isMariadb).toBe(false)
        await other.restart()
        const after = await state(opened(made))
        expect([after?.next, await insert()]).toEqual([1513n, '1513'])
      } finally {
        for (const database of databases) await database.close()
        await other.stop()
      }
    })

    // MySQL up to 5.7 and MariaDB up to 10.2.3 do so; none of them is to be had here.
    it('goes on after the largest row, or where it stands, on a server that forgets at a restart', () => {
      const identity: Identity = {
        kind: 'column',
        table: { schema: '', name: 't' },
        column: 'id',
        sequence: null,
        seed: '1',
        increment: '1',
        minimum: '1',
        maximum: '2147483647',
      }
      const steps = { increment: 1n, offset: 1n }
      const state = (counter: bigint, edge: bigint | null, of = steps) => {
        const { last, next } = columnState(identity, counter, edge, of)
        return [last, next]
      }
      expect(state(1n, 500n)).toEqual([500n, 501n])
      expect(state(400n, 500n)).toEqual([500n, 501n])
      expect(state(900n, 500n)).toEqual([899n, 900n])
      expect(state(900n, null)).toEqual([899n, 900n])
      expect(state(1n, null)).toEqual([null, 1n])
      expect(state(1n, -5n)).toEqual([-5n, 1n])
      expect(state(1n, 500n, { increment: 10n, offset: 3n })).toEqual([500n, 503n])
    })

    it('holds negative numbers and 0 as any other, and is only raised past the largest', async () => {
      const [from, to] = [await server.database(), await server.database()]
      await from.sql(
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; CREATE TABLE t (id int NOT NULL AUTO_INCREMENT PRIMARY KEY); INSERT INTO t VALUES (-5), (0)",
      )
      const [source, target] = [open(from), open(to)]
      const schema = await source.schema()
      for (const { name, sql } of target.ddl(schema)) await target.execute(sql, { run: 'r', name })
      const t = await tableIn(source, 't')
      await source.read(1, ([reader]) => target.load(t, reader.rows(t), { run: 'r', name: 'rows' }))
      expect(await to.sql('SELECT id FROM t ORDER BY id')).toEqual([['-5'], ['0']])
      const [state] = await target.identities(schema)
      expect([state?.last, state?.next]).toEqual([0n, 1n])
    })

    it.skipIf(!isMariadb)('takes numbers from a sequence with a cache beyond all that the cache may still give', async () => {
      const made = await server.database()
      await made.sql(
        'CREATE SEQUENCE s CACHE 1000; CREATE TABLE t (id bigint DEFAULT (NEXT VALUE FOR s) PRIMARY KEY, n int); INSERT INTO t (n) VALUES (1), (2)',
      )
      const database = open(made)
      const schema = await database.schema()
      const [state] = await database.identities(schema)
      expect([state?.identity.column, state?.next]).toEqual(['id', 1001n])
      if (state === undefined) throw new Error('no identity')
      await database.raiseIdentity(state.identity, 5000n)
      expect(await made.sql('INSERT INTO t (n) VALUES (3); SELECT MAX(id) FROM t')).toEqual([['5001']])
    })
  })
})

describe.skipIf(mysqlMissing !== null)(mysqlTitle('MariaDB over TLS'), () => {
  let folder: string
  let server: TestMysql
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'migrate-mysql-tls-'))
    chmodSync(folder, 0o755)
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    const made = spawnSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-keyout',
        key,
        '-out',
        certificate,
      ],
      { encoding: 'utf8' },
    )
    if (made.status !== 0) throw new Error(made.stderr)
    chmodSync(key, 0o600)
    const owner = spawnSync('id', ['-u', 'mysql'], { encoding: 'utf8' })
    if (process.getuid?.() === 0) chownSync(key, Number(owner.stdout), 0)
    server = await startTestMysql({
      host: '127.0.0.1',
      settings: { 'ssl-key': key, 'ssl-cert': certificate, 'local-infile': '1' },
    })
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it.each(['prefer', 'require'] as const)('reads and writes, blocks too, with sslmode %s', async (sslmode) => {
    const [from, to] = [await server.database(), await server.database()]
    const create = 'CREATE TABLE t (id int PRIMARY KEY, s varchar(100))'
    await from.sql(`${create}; INSERT INTO t SELECT seq, REPEAT('x', seq MOD 100) FROM (${counted(50000)}) AS numbers`)
    await to.sql(create)
    const before = Number((await server.rootSql(ACCEPTED))[0]?.[1])
    const [source, target] = [openMysql(from.options({ sslmode })), openMysql(to.options({ sslmode }))]
    const [table] = (await source.schema()).tables
    if (table === undefined) throw new Error('no table')
    async function* bytes(blocks: AsyncIterable<Block> | undefined) {
      for await (const block of blocks ?? []) yield block.bytes
    }
    await source.read(1, async ([reader]) => {
      expect((await readAll(reader, table, { limit: 10 })).length).toBe(10)
      expect(await target.loadBlocks?.(table, bytes(reader.blocks?.(table)), { run: 'r', name: 't' })).toBe(50_000)
    })
    expect(Number((await server.rootSql(ACCEPTED))[0]?.[1])).toBeGreaterThan(before)
    expect(await to.sql('CHECKSUM TABLE t EXTENDED').then((rows) => rows[0]?.[1])).toBe(
      (await from.sql('CHECKSUM TABLE t EXTENDED'))[0]?.[1],
    )
    await Promise.all([source.close(), target.close()])
  })

  it('trusts the authority that the playbook names, and no other', async () => {
    const made = await server.database()
    const trusting = openMysql(made.options({ host: 'localhost', sslmode: 'verify-full', ca: join(folder, 'certificate.pem') }))
    expect((await trusting.info()).engine).toBe(isMariadb ? 'mariadb' : 'mysql')
    await trusting.close()
    const wary = openMysql(made.options({ host: 'localhost', sslmode: 'verify-full' }))
    const failure = await failureOf(wary.info())
    expect([failure.code, failure.message]).toEqual(['database-unreachable', expect.stringContaining('TLS')])
    await wary.close()
  })
})
