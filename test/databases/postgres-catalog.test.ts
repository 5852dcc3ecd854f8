import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { copyTable, createAll } from '../contract/database-kit.ts'
import { postgresPrograms, startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { createEverything, NAMED_FINDINGS } from './postgres-catalog.ts'

/** The npm package's server has neither pg_dump nor contributed extensions. */
const programs = postgresPrograms()
const debian = programs !== undefined && existsSync(join(programs, 'pg_dump')) ? programs : undefined
const skipped = debian === undefined ? ' (skipped: pg_dump is not installed)' : ''

describe.skipIf(debian === undefined)(`everything that a PostgreSQL database may hold${skipped}`, () => {
  let server: TestPostgres
  const opened: Database[] = []
  const open = (made: TestDatabase): Database => {
    const url = new URL(server.superuserUrl)
    const account = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
    const database = openPostgres(made.options({ account }))
    opened.push(database)
    return database
  }
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.4' })
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close()
  })
  afterAll(() => server?.stop())

  it('is there afterwards, as pg_dump and the rows tell', async () => {
    const [from, to] = [await server.database(), await server.database()]
    await createEverything(from, false)
    const [source, target] = [open(from), open(to)]
    const schema = await source.schema()
    expect(await target.unmet?.(schema)).toEqual([])
    await createAll(target, schema, ['before'])
    for (const table of schema.tables) await copyTable(source, target, table, table.name.name)
    await createAll(target, schema, ['after'])
    await target.removeOwnTables()
    expect(await dump(server, to.name)).toBe(await dump(server, from.name))
    const rows = `SELECT table_schema || '.' || table_name, query_to_xml(format('SELECT * FROM ONLY %I.%I', table_schema, table_name), true, false, '')::text
      FROM information_schema.tables WHERE table_schema !~ '^(pg_|information)' ORDER BY 1`
    expect(await to.superuserSql(rows)).toEqual(await from.superuserSql(rows))
  })

  it('is named where it can’t be carried, and nothing else is', async () => {
    const [plain, made] = [await server.database(), await server.database()]
    await createEverything(plain, false)
    await createEverything(made, true)
    const expected = new Set(NAMED_FINDINGS.map(([code]) => code))
    const quiet = (await open(plain).schema()).findings.filter(
      (finding) => !['sequence-cycles', 'function-native', 'check-changes'].includes(finding.code),
    )
    expect(quiet).toEqual([])
    const { findings } = await open(made).schema()
    for (const [code, words] of NAMED_FINDINGS) {
      expect(findings.filter((finding) => finding.code === code).map((finding) => finding.message)).toContainEqual(
        expect.stringContaining(words),
      )
    }
    expect(findings.filter((finding) => !expected.has(finding.code))).toEqual([])
    await made.superuserSql('ALTER SUBSCRIPTION own_subscription SET (slot_name = NONE); DROP SUBSCRIPTION own_subscription')
  })
})

/** The whole schema as pg_dump writes it, sorted: two databases created in another order are the same. */
async function dump(server: TestPostgres, database: string): Promise<string> {
  const url = new URL(server.superuserUrl)
  url.pathname = `/${database}`
  const program = join(debian ?? '', 'pg_dump')
  const { stdout } = await promisify(execFile)(program, ['-s', '-O', '-d', url.href], { maxBuffer: 2 ** 26 })
  return (
    stdout
      .split(/;\n/)
      .map((statement) => statement.replace(/^(--.*|\s*)\n/gm, '').trim())
      // Rights of accounts aren't carried, those of everybody are.
      .filter((statement) => statement !== '' && !statement.startsWith('\\') && !/^GRANT (?![\s\S]* TO PUBLIC$)/.test(statement))
      .sort()
      .join(';\n')
  )
}
