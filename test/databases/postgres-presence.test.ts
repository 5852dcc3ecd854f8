import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Secret } from '../../src/base/secret.ts'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import type { Presence } from '../../src/databases/presence-port.ts'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.ts'
import { sameDatabase } from '../../src/steps/same-database.ts'
import { dataRoom } from '../servers/copies.ts'
import { postgresPrograms } from '../servers/postgres.ts'
import { startCopiedPostgres } from '../servers/postgres-copies.ts'

const OWNER = { user: 'shop', password: 'shop of the tests' }
const settings = { listen_addresses: '127.0.7.31,127.0.7.32' }

describe('two databases of one fingerprint', () => {
  let folder: string
  let old: PostgresServer
  let copy: PostgresServer
  const opened: Database[] = []
  beforeAll(async () => {
    folder = mkdtempSync(join(dataRoom, 'migrate-presence-'))
    chmodSync(folder, 0o755)
    const binaries = postgresPrograms()
    const options = { host: '127.0.7.31', settings, ...(binaries === undefined ? {} : { binaries }) }
    const first = await startCopiedPostgres({ ...options, directory: join(folder, 'old') })
    await first.createDatabase('shop', OWNER)
    await first.stop()
    execFileSync('cp', ['-a', join(folder, 'old'), join(folder, 'new')])
    old = await startPostgres({ ...options, directory: join(folder, 'old') })
    copy = await startPostgres({ ...options, directory: join(folder, 'new') })
  })
  afterAll(async () => {
    await Promise.all(opened.map((each) => each.close()))
    await Promise.all([old?.stop(), copy?.stop()])
    rmSync(folder, { recursive: true, force: true })
  })

  const open = ({ port }: PostgresServer, host = '127.0.7.31'): Database => {
    const { user, password } = OWNER
    const where = { host, port, user, password: new Secret(password), database: 'shop' }
    const database = openPostgres({ ...where, connections: 1, label: `database at ${host}:${port}` })
    opened.push(database)
    return database
  }
  const fingerprint = async (database: Database) => (await database.info()).fingerprint

  it('are two where one server was made from a copy of the other’s files', async () => {
    const [one, two] = [open(old), open(copy)]
    expect(await fingerprint(two)).toBe(await fingerprint(one))
    expect(await sameDatabase(one, two, 'shop')).toMatchObject({ severity: 'info', code: 'server-copied' })
    expect(await sameDatabase(two, one, 'shop')).toMatchObject({ severity: 'info', code: 'server-copied' })
  })

  it('are one where one server answers at two addresses', async () => {
    const [one, two] = [open(old), open(old, '127.0.7.32')]
    expect(await fingerprint(two)).toBe(await fingerprint(one))
    expect(await sameDatabase(one, two, 'shop')).toEqual({
      severity: 'error',
      code: 'same-database',
      message: 'old.database and new.database are the same database (shop).',
      hint: "Give the new host's database as new.database.",
    })
  })

  it('leave no lock and no transaction behind', async () => {
    const database = open(old)
    await sameDatabase(database, open(copy), 'shop')
    const { presence } = (await database.presence?.hold('1', async () => undefined)) ?? {}
    expect(presence).toMatchObject({ had: true, leads: true })
    expect(await sameDatabase(database, open(copy), 'shop')).toMatchObject({ code: 'server-copied' })
  })
})

describe('two databases of one fingerprint that can’t be told apart', () => {
  const seen = (change: Partial<Presence> = {}): Database['presence'] => ({
    hold: async (_sign, work) => {
      const result = await work()
      return { presence: { had: true, started: '1', leads: true, ...change }, result }
    },
  })
  const judged = async (one: Database['presence'], two: Database['presence']) => {
    const database = (presence: Database['presence']) => ({ presence }) as Database
    const { severity, code, hint } = await sameDatabase(database(one), database(two), 'shop')
    return [severity, code, hint?.replace("Give the new host's database as new.database.", '')]
  }

  it('are taken for one: a standby, a lock that one of them had not, servers that began together, no answer', async () => {
    const another = { started: '2' }
    expect(await judged(seen(), seen(another))).toEqual(['info', 'server-copied', undefined])
    for (const [one, two, hint] of [
      [seen(), seen({ ...another, leads: false }), /standby/],
      [seen({ leads: false }), seen(another), /standby/],
      [seen(), seen({ ...another, had: false }), /could not be told apart/],
      [seen({ had: false }), seen(another), /could not be told apart/],
      [seen(), seen(), /could not be told apart/],
      [seen(), { hold: () => Promise.reject(new MigrateError('database-unreachable', 'no answer')) }, /no answer/],
    ] as const)
      expect(await judged(one, two)).toEqual(['error', 'same-database', expect.stringMatching(hint)])
    expect(await judged(undefined, seen(another))).toEqual(['error', 'same-database', ''])
  })
})
