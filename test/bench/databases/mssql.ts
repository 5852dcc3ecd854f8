import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectTestMssql, MSSQL_URL, type TestMssqlDatabase } from '../../servers/mssql.ts'
import { startBcpRelay } from './bcp-relay.ts'
import { type BenchEngine, type Data, type Job, type Place, type Tool, tableNames } from './engine.ts'
import type { DriverCopy } from './mssql-driver.ts'

const FREEBCP = '/usr/bin/freebcp'
/** Rows that are made one by one; more are copies of them under numbers of their own, which a server makes far sooner. */
const MADE_ROWS = 100_000
/** One row in so many is hashed. */
const HASHED_EVERY = 100

/** money in place of decimal, of which Babelfish's bulk load reads some lengths wrong. */
const COLUMNS: Readonly<Record<Exclude<Data, 'tables'>, string>> = {
  narrow: `id bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, customer_id int NOT NULL, placed datetime NOT NULL, total money NOT NULL,
    status varchar(10) NOT NULL`,
  wide: `id bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, email nvarchar(120) NOT NULL, name nvarchar(80) NULL, street nvarchar(120) NULL, city nvarchar(80) NULL,
    country char(2) NOT NULL, phone varchar(40) NULL, created datetime NOT NULL, changed datetime NULL, visits int NOT NULL, balance money NOT NULL,
    discount smallmoney NULL, score float NULL, active bit NOT NULL, note nvarchar(200) NULL, description nvarchar(1000) NOT NULL, token varbinary(64) NOT NULL,
    a int NULL, b int NULL, c bigint NULL, d smallint NULL`,
}

const INDEXES: Readonly<Record<Exclude<Data, 'tables'>, string>> = {
  narrow: 'CREATE INDEX narrow_customer ON narrow (customer_id)',
  wide: 'CREATE INDEX wide_email ON wide (email)',
}

/** The select list over a number `i`. */
const VALUES: Readonly<Record<Exclude<Data, 'tables'>, string>> = {
  narrow:
    "i % 500000, DATEADD(second, i, '2026-01-01'), CONVERT(decimal(12,2), i * CONVERT(bigint, 7919) % 100000) / 100, CASE i % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'paid' ELSE 'sent' END",
  wide: `'customer' + CONVERT(varchar(10), i) + '@example.com', N'Åsa Customer ' + CONVERT(varchar(10), i), N'Street ' + CONVERT(varchar(10), i % 900),
    N'Malmö ' + CONVERT(varchar(10), i % 70), 'SE', '+46 40 ' + CONVERT(varchar(10), i), DATEADD(second, i, '2026-01-01'),
    CASE WHEN i % 3 = 0 THEN DATEADD(second, i, '2026-06-01') END, i % 1000, CONVERT(decimal(19,4), i * CONVERT(bigint, 7919) % 1000000) / 10000,
    CASE WHEN i % 5 = 0 THEN 12.5 END, SQRT(i), i % 2, CASE WHEN i % 4 = 0 THEN N'please ring twice, ' + CONVERT(varchar(10), i) END,
    REPLICATE(CONVERT(nvarchar(10), i) + N' abcdefghijklmnopqrstuvwxyz ', 12), CONVERT(varbinary(64), REPLICATE('token', 12)), i, NULLIF(i % 7, 0),
    i * CONVERT(bigint, 1000003), i % 30000`,
}

const createSql = (data: Data, name: string): string =>
  `CREATE TABLE ${name} (${data === 'tables' ? 'id int NOT NULL PRIMARY KEY, name varchar(40) NOT NULL, price money NULL' : COLUMNS[data]})`

/** Numbers from `first` to `last`, no more than `MADE_ROWS`. */
const numbers = (first: number, last: number): string => {
  const digit = '(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))'
  const places = ['a', 'b', 'c', 'd', 'e'].slice(0, String(last - first).length)
  const sum = places.map((place, power) => `${10 ** power} * ${place}.n`).join(' + ')
  const joins = places.map((place) => `${digit} AS ${place}(n)`).join(' CROSS JOIN ')
  return `(SELECT ${first} + ${sum} AS i FROM ${joins}) AS numbers WHERE i <= ${last}`
}

function* fillSql(data: Data, amount: number): Generator<string> {
  for (const name of tableNames(data, amount)) {
    yield createSql(data, name)
    if (data === 'tables') {
      yield `INSERT INTO ${name} SELECT i, '${name} ' + CONVERT(varchar(10), i), i * 1.01 FROM ${numbers(1, 10)}`
      continue
    }
    const columns = namesOf(data).slice(1).join(', ')
    const made = Math.min(amount, MADE_ROWS)
    yield `INSERT INTO ${name} (${columns}) SELECT ${VALUES[data]} FROM ${numbers(1, made)}`
    for (let there = made; there < amount; there *= 2)
      yield `INSERT INTO ${name} (${columns}) SELECT ${columns} FROM ${name} WHERE id <= ${amount - there}`
    yield INDEXES[data]
  }
}

const namesOf = (data: Exclude<Data, 'tables'>): readonly string[] =>
  [...COLUMNS[data].matchAll(/(?:^|,\s+)([a-z_]+) (?=[a-z])/g)].map((match) => match[1] ?? '')

/** The rows' count, the sum of their numbers, and of some of them, as text, hashed, the sum of the hashes: none depends on the order. */
const fingerprintSql = (data: Data, name: string): string => {
  const columns = data === 'tables' ? ['id', 'name', 'price'] : namesOf(data)
  const text = (column: string): string => {
    const value = column === 'token' ? `CONVERT(varchar(140), ${column}, 2)` : `CONVERT(nvarchar(1000), ${column})`
    return `ISNULL(${value}, N'-')`
  }
  const hash = `HASHBYTES('MD5', ${columns.map(text).join(" + N'|' + ")})`
  const sum = (what: string, where: string): string =>
    `(SELECT CONVERT(nvarchar(40), SUM(CONVERT(decimal(38,0), ${what}))) FROM ${name}${where})`
  const hashed = data === 'tables' ? '' : ` WHERE id % ${HASHED_EVERY} = 0`
  return `SELECT COUNT(*) AS c, ${sum('id', '')} AS n, ${sum(`CONVERT(bigint, SUBSTRING(${hash}, 1, 7))`, hashed)} AS h FROM ${name}`
}

/** The server that MIGRATE_TEST_MSSQL names; `undefined` without one. */
export async function mssqlBench(): Promise<BenchEngine | undefined> {
  if (MSSQL_URL === undefined) return undefined
  const server = await connectTestMssql()
  const made = new Map<string, TestMssqlDatabase>()
  const of = (place: Place): TestMssqlDatabase => {
    const database = made.get(place.database)
    if (database === undefined) throw new Error(`there is no ${place.database}`)
    return database
  }
  const create = async (): Promise<Place> => {
    const database = await server.database()
    made.set(database.name, database)
    return { host: server.host, port: server.port, database: database.name, ...database.owner }
  }
  const probe = await create()
  const product = await of(probe).use(async (session) => {
    const { rows } = await session.query('SELECT CONVERT(nvarchar(200), @@VERSION)')
    return String(rows[0]?.[0]).split(/ \(|\n| with /)[0] ?? 'SQL Server'
  })
  await of(probe).drop()
  const execute: Execute = (place, statements) =>
    of(place).use(async (session) => {
      for (const statement of statements) await session.batch(statement)
    })
  return {
    name: product,
    adapter: 'mssql',
    peers: [freebcp(execute), driverCopy(execute)],
    create,
    fill: (place, data, amount) => execute(place, fillSql(data, amount)),
    fingerprint: (place, data, amount) =>
      of(place).use(async (session) => {
        const found: string[] = []
        for (const name of tableNames(data, amount)) {
          const { rows } = await session.batch(fingerprintSql(data, name))
          found.push(`${name} ${rows.flat().join(' ')}`)
        }
        return found.join('\n')
      }),
    drop: (place) => of(place).drop(),
    stop: () => server.close(),
  }
}

type Execute = (place: Place, statements: Iterable<string>) => Promise<void>

/** As a program of one's own does it with the driver that we build on, too: see mssql-driver.ts. Tables and indexes as for freebcp. */
const driverCopy = (execute: Execute): Tool => ({
  name: 'npm mssql, stream and bulk',
  missing: null,
  move: async ({ from, to, data, amount, run }: Job) => {
    const tables = tableNames(data, amount)
    await execute(
      to,
      tables.map((name) => createSql(data, name)),
    )
    const copy: DriverCopy = { from, to, tables }
    const script = fileURLToPath(new URL('./mssql-driver.ts', import.meta.url))
    await run('copy', { file: process.execPath, args: [script], env: { COPY: JSON.stringify(copy) } })
    if (data !== 'tables') await execute(to, [INDEXES[data]])
    return undefined
  },
})

/**
 * In characters, since its native format knows few types. Rows alone, so the tables are made beforehand and the indexes afterwards, as whoever uses it
 * has to. It ends well also where the server took no row: the comparison finds that. Its rows go through a relay that ends them as Babelfish wants it.
 */
const freebcp = (execute: Execute): Tool => ({
  name: 'freebcp out, in',
  missing: existsSync(FREEBCP) ? null : 'freebcp is not installed',
  move: async ({ from, to, data, amount, folder, run }: Job) => {
    const names = tableNames(data, amount)
    const copy = (place: Place, name: string, direction: 'in' | 'out', { host, port } = place): Promise<string> =>
      run(direction, {
        file: FREEBCP,
        args: [
          ...[
            `dbo.${name}`,
            direction,
            join(folder, name),
            '-c',
            '-t',
            '\t',
            '-r',
            '\n',
            '-b',
            '50000',
            ...(data === 'tables' ? [] : ['-E']),
          ],
          ...['-D', place.database, '-S', `${host}:${port}`, '-U', place.user, '-P', place.password],
        ],
        env: { TDSVER: '7.4' },
      })
    for (const name of names) await copy(from, name, 'out')
    const creating = names.map((name) => createSql(data, name))
    await execute(to, creating)
    const relay = await startBcpRelay(to)
    try {
      for (const name of names) await copy(to, name, 'in', { ...to, ...relay })
    } finally {
      await relay.close()
    }
    if (data !== 'tables') await execute(to, [INDEXES[data]])
    return undefined
  },
})
