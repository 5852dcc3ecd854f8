import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { createAll, failureOf } from '../contract/database-kit.ts'
import type { MysqlAccount, TestMysql, TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, isRelease } from '../servers/mysql-programs.ts'

const WIDE = Array.from({ length: 220 }, (_, at) => `c${at} varchar(255) CHARACTER SET latin1`).join(', ')

/** What servers took long ago, or while a shop had them be less strict, and still have. */
export function mysqlOldShops(
  server: () => TestMysql,
  open: (made: TestMysqlDatabase, change?: { readonly account?: MysqlAccount }) => Database,
): void {
  it('makes tables that InnoDB takes without its strict mode alone, and numbers them', async () => {
    const [made, to] = [await server().database(), await server().database()]
    const connection = await made.connect()
    if (isMariadb) await connection.query('SET SESSION innodb_strict_mode = 0')
    await connection.query(`CREATE TABLE wide (id int PRIMARY KEY, ${WIDE}, KEY (c1))`)
    await connection.query('CREATE TABLE fixed (id int AUTO_INCREMENT PRIMARY KEY, v int, KEY (v)) ROW_FORMAT=FIXED')
    await connection.end()
    await server().rootSql('SET GLOBAL innodb_strict_mode = 1')
    try {
      const schema = await open(made).schema()
      const codes = async () => (await open(to).unmet?.(schema))?.map(({ code, message }) => `${code} ${message}`)
      if (isRelease('mysql', 8, 0)) {
        expect(await codes()).toEqual([expect.stringMatching(/^table-layout-strict .*: wide\./)])
        expect((await failureOf(createAll(open(to), schema))).code).toBe('database-statement-failed')
        await server().rootSql(`GRANT SESSION_VARIABLES_ADMIN ON *.* TO '${to.owner.user}'@'%'`)
      }
      expect(await codes()).toEqual([])
      const target = open(to)
      await createAll(target, schema)
      const [identity] = schema.identities
      if (identity === undefined) throw new Error('no identity')
      await target.raiseIdentity(identity, 99n)
      await to.sql('INSERT INTO fixed (v) VALUES (1)')
      expect(await to.sql('SELECT id FROM fixed')).toEqual([['100']])
      if (isMariadb) expect((await to.sql('SHOW CREATE TABLE fixed'))[0]?.[1]).toContain('ROW_FORMAT=FIXED')
      expect((await target.schema()).tables.map(({ columns }) => columns.length)).toEqual([2, 221])
    } finally {
      await server().rootSql('SET GLOBAL innodb_strict_mode = DEFAULT')
    }
  })

  it.skipIf(!isMariadb).each([
    ['LOAD DATA', 1],
    ['INSERT', 0],
  ])('takes rows over by %s that a shop wrote while no CHECK was minded, and minds it again', async (_way, localInfile) => {
    const [made, to] = [await server().database(), await server().database()]
    const table = 'CREATE TABLE prices (id int PRIMARY KEY, cents int CHECK (cents > 0))'
    await made.sql(`${table}; SET STATEMENT check_constraint_checks = 0 FOR INSERT INTO prices VALUES (1, -5), (2, 5)`)
    await to.sql(table)
    await server().rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    try {
      const [source, target] = [open(made), open(to)]
      const [prices] = (await source.schema()).tables
      if (prices === undefined) throw new Error('no table')
      await source.read(1, async ([reader]) => {
        const blocks: Buffer[] = []
        for await (const block of reader.blocks?.(prices) ?? []) blocks.push(block.bytes)
        await target.loadBlocks?.(prices, Readable.from(blocks), { run: 'r', name: 'prices' })
      })
      expect(await to.sql('SELECT * FROM prices')).toEqual([
        ['1', '-5'],
        ['2', '5'],
      ])
      const late = target.transaction([prices], (transaction) => transaction.insert(prices, [['3', '-1']]))
      expect((await failureOf(late)).message).toContain('prices.cents')
    } finally {
      await server().rootSql('SET GLOBAL local_infile = 1')
    }
  })

  it('tells which functions a server lacks to an account that may run none', async () => {
    const made = await server().database()
    const [whole, reader] = [open(made), open(made, { account: await made.readOnlyAccount() })]
    const lacked = async (database: Database) => (await database.furtherFacts?.())?.lackedFunctions
    expect(await lacked(reader)).toBe(await lacked(whole))
    expect(await lacked(reader)).toContain('JSON_APPEND')
    const info = await whole.info()
    const facts = (lackedFunctions: string) => ({ ...info, facts: { ...info.facts, lackedFunctions } })
    expect(whole.consequences?.(facts(''), facts('JSON_APPEND'))[0]?.hint).toContain('rehearse')
  })
}
