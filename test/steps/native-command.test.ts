import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { World } from '../../src/steps/world.ts'
import type { DatabaseHost } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'
import { nativeSteps } from './native-steps.ts'

const SAVE = `#!/bin/sh
set -e
test -z "$FAIL_SAVE" || { echo "no room for $MIGRATE_PASSWORD" >&2; exit 7; }
export PGPASSWORD="$MIGRATE_PASSWORD"
pg_dump -h "$MIGRATE_HOST" -p "$MIGRATE_PORT" -U "$MIGRATE_USER" --no-owner --no-privileges -f "$MIGRATE_SNAPSHOT/shop.sql" "$MIGRATE_DATABASE"
echo saved
`
const LOAD = `#!/bin/sh
set -e
export PGPASSWORD="$MIGRATE_PASSWORD"
sed '/^CREATE SCHEMA public/d' "$MIGRATE_SNAPSHOT/shop.sql" > load.sql
psql -q -v ON_ERROR_STOP=1 -h "$MIGRATE_HOST" -p "$MIGRATE_PORT" -U "$MIGRATE_USER" -f load.sql "$MIGRATE_DATABASE"
`

describe('moving a database by commands of one’s own', () => {
  let server: TestPostgres
  let host: DatabaseHost
  let shop: MovingShop
  let made: TestDatabase[] = []
  let folder = ''
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.31.11' })
    const watched: TestPostgres = {
      ...server,
      database: async (prefix) => {
        const database = await server.database(prefix)
        made.push(database)
        return database
      },
    }
    host = postgresHost(watched)
  })
  afterAll(() => host?.close())
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-command-'))
    await mkdir(folder, { recursive: true })
    for (const [name, text] of [
      ['save.sh', SAVE],
      ['load.sh', LOAD],
    ] as const) {
      await writeFile(join(folder, name), text)
      await chmod(join(folder, name), 0o755)
    }
  })
  afterEach(async () => {
    await shop?.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** The shop's world, with what the playbook would tell the commands. */
  async function begin(): Promise<World> {
    made = []
    shop = await movingShop(host)
    await fill(shop.old)
    const environment = (database: TestDatabase | undefined) => () => ({
      MIGRATE_HOST: server.host,
      MIGRATE_PORT: String(server.port),
      MIGRATE_USER: database?.owner.user ?? '',
      MIGRATE_PASSWORD: database?.owner.password ?? '',
      MIGRATE_DATABASE: database?.name ?? '',
    })
    return {
      ...shop.world,
      old: { ...shop.world.old, databaseEnvironment: environment(made[0]) },
      new: { ...shop.world.new, databaseEnvironment: environment(made[1]) },
    }
  }

  const stepsFor = (world: World, save = './save.sh', load = './load.sh') =>
    nativeSteps(world, { method: 'command', command: save }, load === '' ? undefined : { command: load }, folder)

  it('arrives with every value as it left, plans nothing more, and is taken back whole', async () => {
    const { snapshot, restore } = stepsFor(await begin())
    for (const step of [snapshot, restore])
      expect((await step.check(shop.run)).filter(({ severity }) => severity === 'error')).toEqual([])
    const before = await contents(shop.old)
    const [change] = await snapshot.plan(shop.run)
    expect(snapshot.describe(change ?? null)).toMatch(/12 tables, .*method command .*the playbook gives a command/)
    await perform(snapshot, shop.run)
    expect(shop.run.events).toContainEqual({ event: 'note', message: 'saved' })
    const restored = await perform(restore, shop.run)
    expect(await contents(shop.new)).toEqual(before)
    for (const step of [snapshot, restore]) expect(await step.plan(shop.run)).toEqual([])
    expect(await restore.verify(shop.run)).toMatchObject([
      { severity: 'info', message: expect.stringContaining('as many as the old host has') },
    ])
    await perform(shop.bump, shop.run)
    await takeBack(restore, restored, shop.run)
    expect(await shop.new.tables()).toEqual([])
  })

  it('tells of rows that came to the old host since', async () => {
    const { snapshot, restore } = stepsFor(await begin())
    await perform(snapshot, shop.run)
    await shop.old.insert('customers', { email: 'late@example.com', name: null, note: null })
    await perform(restore, shop.run)
    expect(await restore.verify(shop.run)).toContainEqual(
      expect.objectContaining({
        severity: 'warning',
        code: 'row-count-differs',
        message: expect.stringContaining('customers has 2 rows'),
      }),
    )
  })

  it('shows what a command that fails said, and counts nothing as saved', async () => {
    const { snapshot } = stepsFor(await begin(), 'FAIL_SAVE=1 ./save.sh')
    await expect(perform(snapshot, shop.run)).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringMatching(/exit code 7[\s\S]*no room for/),
    })
    expect(await snapshot.plan(shop.run)).toHaveLength(1)
  })

  it('takes a command that saves nothing for a failure', async () => {
    const { snapshot } = stepsFor(await begin(), 'true')
    await expect(perform(snapshot, shop.run)).rejects.toMatchObject({ code: 'snapshot-incomplete' })
  })

  it('drops what a command that failed midway had made, and runs it again', async () => {
    const world = await begin()
    const { snapshot } = stepsFor(world)
    await perform(snapshot, shop.run)
    const broken = stepsFor(world, './save.sh', './load.sh && echo "the disk is full" >&2 && exit 3').restore
    await expect(perform(broken, shop.run)).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringContaining('the disk is full'),
    })
    expect(await shop.new.tables()).toContain('orders')
    const { restore } = stepsFor(world)
    expect((await restore.check(shop.run)).filter(({ severity }) => severity === 'error')).toEqual([])
    await perform(restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })

  it('ends the command, and what it started, when the run is stopped', async () => {
    const world = await begin()
    const stop = new AbortController()
    shop.run.signal = stop.signal
    const file = join(folder, 'pid')
    const { snapshot } = stepsFor(world, `sh -c 'echo $$ > ${file}; exec sleep 600' & wait`)
    const running = perform(snapshot, shop.run)
    const pid = async (): Promise<number> => Number((await readFile(file, 'utf8').catch(() => '')).trim())
    while ((await pid()) === 0) await new Promise((resolve) => setImmediate(resolve))
    stop.abort(new Error('stopped'))
    await expect(running).rejects.toThrow('stopped')
    // One that nobody has waited for yet is dead all the same.
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(await pid())], { encoding: 'utf8' })
    expect(stdout.trim()).toMatch(/^(Z.*)?$/)
  })

  it('asks for what is missing', async () => {
    const { restore } = stepsFor(await begin(), './save.sh', '')
    expect(await restore.check(shop.run)).toContainEqual(expect.objectContaining({ code: 'playbook-part-missing' }))
    const portable = nativeSteps(shop.world, { method: 'portable' }, { command: './load.sh' })
    expect(await portable.restore.check(shop.run)).toContainEqual(expect.objectContaining({ code: 'playbook-part-useless' }))
    expect(() => nativeSteps(shop.world, { method: 'command' })).toThrow('needs a command')
    expect(() => nativeSteps(shop.world, { command: 'x' })).toThrow('needs method: command')
    expect(() => nativeSteps(shop.world, { method: 'portable', from: 'a.bak' })).toThrow('exclude')
  })
})
