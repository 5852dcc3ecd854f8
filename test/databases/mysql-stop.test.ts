import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { underStop } from '../../src/base/stop.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database, Reader, ReadOptions } from '../../src/databases/port.ts'
import { perform, TestRun, testWorld } from '../fakes/step-run.ts'
import { startDelayProxy } from '../servers/delay-proxy.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing } from '../servers/mysql-programs.ts'
import { stepsOf } from '../steps/moving-shop.ts'
import { ENDERS, expectEndedOnServer } from './ended-reading.ts'
import { counted } from './mysql-shop.ts'

const ASKED = new Error('stopped, as asked')

describe.skipIf(mysqlMissing !== null)(
  `MySQL that is told to stop, or asked too much${mysqlMissing === null ? '' : ` (skipped: ${mysqlMissing})`}`,
  () => {
    let server: TestMysql
    const closing: (() => Promise<unknown>)[] = []
    beforeAll(async () => {
      server = await startTestMysql({ host: '127.0.33.2' })
    })
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close()
    })
    afterAll(() => server?.stop())

    const open = (made: TestMysqlDatabase, change: Parameters<TestMysqlDatabase['options']>[0] = {}): Database => {
      const database = openMysql(made.options(change))
      closing.push(() => database.close())
      return database
    }
    const sleeping = async (): Promise<number> =>
      (await server.rootSql("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%'")).length

    it('ends the statement on the server, rolls back what was before it, and goes on', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE worked (id int PRIMARY KEY)')
      const database = open(made)
      const stop = new AbortController()
      const work = underStop(stop.signal, () =>
        database.runStatements(['INSERT INTO worked VALUES (1)', 'SELECT SLEEP(600)']),
      ).catch((error: unknown) => error)
      await expect.poll(sleeping, { timeout: 30_000, interval: 20 }).toBe(1)
      stop.abort(ASKED)
      expect(await work).toBe(ASKED)
      expect(await sleeping()).toBe(0)
      expect(await made.sql('SELECT COUNT(*) FROM worked')).toEqual([['0']])
      expect((await database.info()).database).toBe(made.name)
    })

    /** A table of which a reading takes for ever, and how many such readings the server is at work on. */
    const asleep = async (forever = 'SLEEP(3600) = 0') => {
      const made = await server.database()
      await made.sql('CREATE TABLE asleep (id int PRIMARY KEY); INSERT INTO asleep VALUES (1)')
      const table = (await open(made).schema()).tables.find((each) => each.name.name === 'asleep')
      if (table === undefined) throw new Error('no table')
      await made.sql(`RENAME TABLE asleep TO asleep_rows; CREATE VIEW asleep AS SELECT id FROM asleep_rows WHERE ${forever}`)
      const read = async (reader: Reader, options: ReadOptions): Promise<void> => {
        for await (const batch of reader.rows(table, options)) throw new Error(`${batch.length} rows came`)
      }
      const atWork = async (): Promise<number> =>
        (
          await server.rootSql(
            "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT %`asleep`%' AND ID <> CONNECTION_ID()",
          )
        ).length
      return { made, read, atWork }
    }

    // Far away, as an old host is: whoever doesn't wait until the server knows has left long before it does.
    it.each(ENDERS)('ends the reading of rows on the server before %s has ended its call', async (what) => {
      const { made, read, atWork } = await asleep()
      const line = await startDelayProxy(server, { roundTripMs: 100 })
      closing.push(() => line.close())
      await expectEndedOnServer(what, { database: open(made, { host: line.host, port: line.port }), read, atWork })
    })

    it('ends it also where the account has all the connections that it may: one that does nothing makes room', async () => {
      // Whoever sleeps may see that nobody is there any more; whoever reckons doesn't.
      const { made, read, atWork } = await asleep('BENCHMARK(1000000000000, id * id) IS NOT NULL')
      const account = await made.readOnlyAccount()
      await server.rootSql(`ALTER USER '${account.user}'@'%' WITH MAX_USER_CONNECTIONS 2`)
      const database = open(made, { account, connections: 2 })
      const stop = new AbortController()
      const waiting = () => new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
      const work = underStop(stop.signal, () =>
        Promise.allSettled([database.read(1, ([reader]) => read(reader, {})), database.read(1, waiting)]),
      )
      const theirs = async () =>
        (await server.rootSql(`SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = '${account.user}'`)).length
      await expect.poll(async () => [await theirs(), await atWork()], { timeout: 30_000, interval: 20 }).toEqual([2, 1])
      stop.abort(ASKED)
      await work
      expect(await atWork()).toBe(0)
    })

    it('is left alone when it has fallen silent', async () => {
      const proxy = await startFaultProxy(server)
      closing.push(() => proxy.close())
      const database = open(await server.database(), { host: proxy.host, port: proxy.port })
      await database.info()
      const silent = proxy.freeze(1)
      const stop = new AbortController()
      const work = underStop(stop.signal, () => database.schema()).catch((error: unknown) => error)
      await silent
      stop.abort(ASKED)
      expect(await work).toBe(ASKED)
    })

    it('stops a question after the time it is given, and says how to give it longer', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE small (id int PRIMARY KEY)')
      const database = open(made, { statementTimeoutMs: 1500 })
      await database.info()
      const holder = await made.connect()
      closing.push(() => holder.end())
      await holder.query('LOCK TABLES small WRITE')
      await expect(database.sizes()).rejects.toMatchObject({
        code: 'database-timeout',
        message: expect.stringContaining("didn't answer a question in the time it is given"),
        hint: expect.stringContaining('statementTimeout: 10m'),
        retrySafe: false,
      })
    })

    // The server itself holds the accounts to the number: a connection too many fails the step.
    it.each([1, 2, 4])('moves over %i connections to each host, and never opens another', async (connections) => {
      const [old, fresh] = [await server.database('old'), await server.database('new')]
      await old.sql(`CREATE TABLE words (id int AUTO_INCREMENT PRIMARY KEY, word varchar(80) NOT NULL);
        CREATE TABLE others (id int PRIMARY KEY); INSERT INTO others SELECT seq FROM (${counted(50)}) AS numbers;
        INSERT INTO words (word) SELECT SHA2(seq, 256) FROM (${counted(5000)}) AS numbers`)
      const account = await old.readOnlyAccount()
      for (const { user } of [account, fresh.owner])
        await server.rootSql(`ALTER USER '${user}'@'%' WITH MAX_USER_CONNECTIONS ${connections}`)
      const world = testWorld({
        old: { database: open(old, { account, connections }), connections },
        new: { database: open(fresh, { connections }), connections },
      })
      const directory = await mkdtemp(join(tmpdir(), 'migrate-mysql-stop-'))
      closing.push(() => rm(directory, { recursive: true, force: true }))
      const run = new TestRun(directory)
      const { snapshot, restore, bump } = stepsOf(world)
      for (const step of [snapshot, restore, bump]) {
        await perform(step, run)
        expect((await step.verify(run)).filter((finding) => finding.severity === 'error')).toEqual([])
      }
      const words = (made: TestMysqlDatabase) => server.rootSql('CHECKSUM TABLE words, others', made.name)
      const sums = async (made: TestMysqlDatabase) => (await words(made)).map(([, sum]) => sum)
      expect(await sums(fresh)).toEqual(await sums(old))
    })
  },
)
