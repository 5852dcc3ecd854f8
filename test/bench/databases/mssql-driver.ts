// Copies tables as a program of one's own would with the packages everybody has: mssql (tedious) streams the rows out, and its bulk loads bring
// them in, the next ones read meanwhile. What to copy comes as JSON in the variable COPY. Values pass through JavaScript's own types.
import mssql, { type ConnectionPool, type IColumnMetadata } from 'mssql'
import type { Place } from './engine.ts'

export interface DriverCopy {
  readonly from: Place
  readonly to: Place
  readonly tables: readonly string[]
}

/** Rows of one bulk load. */
const BATCH_ROWS = 20_000

type Row = Parameters<mssql.Table['rows']['add']>

const pool = ({ host, port, database, user, password }: Place): Promise<ConnectionPool> =>
  new mssql.ConnectionPool({
    server: host,
    port,
    database,
    user,
    password,
    options: { encrypt: false, trustServerCertificate: true },
    requestTimeout: 0,
  }).connect()

async function copyTable(from: ConnectionPool, to: ConnectionPool, name: string): Promise<void> {
  const request = from.request()
  request.stream = true
  request.arrayRowMode = true
  let columns: readonly IColumnMetadata[string][] = []
  let rows: Row[] = []
  let loading: Promise<unknown> = Promise.resolve()
  const load = async (some: readonly Row[]): Promise<void> => {
    await loading
    const table = new mssql.Table(name)
    for (const { name: column, type, length, precision, scale, nullable } of columns) {
      const full = { type, length, precision, scale }
      table.columns.add(column, full, { nullable })
    }
    for (const row of some) table.rows.add(...row)
    loading = to.request().bulk(table)
    request.resume()
  }
  const done = new Promise<void>((resolve, reject) => {
    request.on('error', reject)
    request.on('recordset', (given: IColumnMetadata) => {
      columns = Object.values(given)
    })
    request.on('row', (row: Row) => {
      rows.push(row)
      if (rows.length < BATCH_ROWS) return
      request.pause()
      load(rows).catch(reject)
      rows = []
    })
    request.on('done', () =>
      load(rows)
        .then(() => loading)
        .then(() => resolve(), reject),
    )
  })
  void request.query(`SELECT * FROM ${name}`)
  await done
}

if (process.env.COPY !== undefined) {
  const { from, to, tables }: DriverCopy = JSON.parse(process.env.COPY)
  const [source, target] = await Promise.all([pool(from), pool(to)])
  for (const table of tables) await copyTable(source, target, table)
  await Promise.all([source.close(), target.close()])
}
