import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { isRaw, unpack } from '../../src/databases/mssql/blocks.ts'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { failureOf, tableOf } from '../contract/database-kit.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql } from '../servers/mssql.ts'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const ROWS = 20_000
/** Without a key: nothing but the mark would keep a row from being there twice. */
const CREATE = 'CREATE TABLE words (id int NOT NULL, word nvarchar(60) NOT NULL, price decimal(19, 4) NULL)'
const FILL = `INSERT INTO words SELECT TOP (${ROWS}) n, CONCAT(N'word é ', n), n / 7.0 FROM
  (SELECT ROW_NUMBER() OVER (ORDER BY (SELECT NULL)) AS n FROM sys.all_columns a CROSS JOIN sys.all_columns b) x`
const STATE = 'SELECT COUNT(*) AS rows_there, COUNT(DISTINCT id) AS ids, SUM(CONVERT(bigint, id)) AS total FROM words'

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('a bulk load of rows as another SQL Server sent them'), () => {
  let server: TestMssql
  beforeAll(async () => {
    server = await connectTestMssql()
  })
  afterAll(() => server?.close())

  it('that is cut by its connection’s loss leaves no row and no mark, and loads each row once when it is tried again', async () => {
    const [from, to] = [await server.database(), await server.database()]
    for (const made of [from, to]) await made.use((session) => session.batch(CREATE))
    await from.use((session) => session.batch(FILL))
    const source = openMssql(from.options())
    const words = tableOf(await source.schema(), 'words')
    const blocks: Buffer[] = []
    await source.read(1, async ([reader]) => {
      for await (const { bytes } of reader.blocks?.(words) ?? []) blocks.push(Buffer.from(bytes))
    })
    for await (const held of unpack(all(blocks))) expect(isRaw(held)).toBe(true)
    const bytes = blocks.reduce((sum, block) => sum + block.length, 0)
    const proxy = await startFaultProxy(server)
    const target = openMssql(to.options({ host: proxy.host, port: proxy.port }))
    const mark = { run: 'copy', name: 'words' }
    const state = async () => to.use(async (session) => (await session.batch(STATE)).rows[0]?.map(String))
    const load = () => target.loadBlocks?.(words, all(blocks), mark) ?? Promise.resolve(-1)
    try {
      await target.marks('copy')
      for (const after of [2000, bytes / 4, bytes / 2, bytes - 2000]) {
        proxy.cut(Math.round(after))
        expect(await failureOf(load())).toMatchObject({ code: 'database-connection-lost', retrySafe: true })
        proxy.mend()
        expect(await state()).toEqual(['0', '0', 'null'])
        expect(await target.marks('copy')).toEqual(new Set())
      }
      expect(await load()).toBe(ROWS)
      expect(await load()).toBe(0)
      expect(await state()).toEqual([String(ROWS), String(ROWS), String((ROWS * (ROWS + 1)) / 2)])
    } finally {
      for (const each of [source, target, proxy]) await each.close()
      for (const made of [from, to]) await made.drop()
    }
  })
})

async function* all(blocks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const block of blocks) yield Buffer.from(block)
}
