import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { NativePower, NativeWishes } from '../../src/databases/native-port.ts'
import type { Database } from '../../src/databases/port.ts'
import { openLocal } from '../../src/files/local.ts'
import type { World } from '../../src/steps/world.ts'
import type { DatabaseHost } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'
import { nativeSteps } from './native-steps.ts'

const FILE = 'backup/shop.bak'

/**
 * A server that writes its backup on its own disk and replaces a database as a whole, as SQL Server does: a dump of PostgreSQL in one
 * file, restored into a database whose marks go first.
 */
function backingUp(database: Database, afterRestore: () => void): Database {
  const { native } = database
  if (native === undefined) throw new Error('PostgreSQL has tools of its own')
  const pathOf = ({ server }: NativeWishes): string => (server !== undefined && 'path' in server ? server.path : '')
  const unpacked = async <T>(work: (directory: string) => Promise<T>): Promise<T> => {
    const folder = await mkdtemp(join(tmpdir(), 'migrate-backing-up-'))
    try {
      return await work(join(folder, 'dump'))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  const power: NativePower = {
    replaces: true,
    tools: async () => ({ tool: 'BACKUP 1.0', format: 'tar', reason: 'the server saves itself', findings: [] }),
    save: (work) =>
      unpacked(async (directory) => {
        const saved = await native.save({ ...work, wishes: {}, directory })
        execFileSync('tar', ['-cf', pathOf(work.wishes), '-C', directory, '.'])
        return { ...saved, rows: null, place: 'server' }
      }),
    restore: (work) =>
      unpacked(async (directory) => {
        await mkdir(directory)
        execFileSync('tar', ['-xf', pathOf(work.wishes), '-C', directory])
        await database.removeOwnTables()
        await native.restore({ ...work, wishes: {}, directory })
        afterRestore()
      }),
    discard: (run) => native.discard(run),
  }
  return { ...database, native: power }
}

describe('a backup that the old server writes on its own disk', () => {
  let host: DatabaseHost
  let shop: MovingShop
  let world: World
  let folder = ''
  let afterRestore: () => void
  beforeAll(async () => {
    host = postgresHost(await startTestPostgres({ host: '127.0.31.12' }))
  })
  afterAll(() => host?.close())
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-backup-'))
    for (const side of ['old', 'new']) await mkdir(join(folder, side, 'backup'), { recursive: true })
    afterRestore = () => undefined
    shop = await movingShop(host)
    await fill(shop.old)
    const files = (side: string) => openLocal(join(folder, side), side)
    world = {
      ...shop.world,
      old: { ...shop.world.old, database: backingUp(shop.oldDatabase, () => undefined), files: files('old') },
      new: { ...shop.world.new, database: backingUp(shop.newDatabase, () => afterRestore()), files: files('new') },
    }
  })
  afterEach(async () => {
    await shop?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const place = (side: string) => ({ path: join(folder, side, FILE), file: FILE })
  const steps = (snapshot: unknown = { method: 'native', backup: place('old') }) =>
    nativeSteps(world, snapshot, { backup: place('new') }, folder)
  const onDisk = (side: string) => readdir(join(folder, side, 'backup'))

  it('is fetched through its files, put on the new host, restored there, and left on neither', async () => {
    const { snapshot, restore } = steps()
    for (const step of [snapshot, restore])
      expect((await step.check(shop.run)).filter(({ severity }) => severity === 'error')).toEqual([])
    const saved = await perform(snapshot, shop.run)
    expect(await onDisk('old')).toEqual([])
    const restored = await perform(restore, shop.run)
    expect(await onDisk('new')).toEqual([])
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
    for (const step of [snapshot, restore]) expect(await step.plan(shop.run)).toEqual([])
    expect((await restore.verify(shop.run)).map(({ severity }) => severity)).toEqual(['info'])
    await takeBack(restore, restored, shop.run)
    await takeBack(snapshot, saved, shop.run)
    expect(await shop.new.tables()).toEqual([])
  })

  it('never takes the place of a file that is there', async () => {
    await writeFile(join(folder, 'old', FILE), 'last night’s')
    const { snapshot, restore } = steps()
    await expect(perform(snapshot, shop.run)).rejects.toMatchObject({ code: 'backup-file-exists' })
    expect(await readFile(join(folder, 'old', FILE), 'utf8')).toBe('last night’s')
    await rm(join(folder, 'old', FILE))
    await perform(snapshot, shop.run)
    await writeFile(join(folder, 'new', FILE), 'someone else’s')
    await expect(perform(restore, shop.run)).rejects.toMatchObject({ code: 'backup-file-exists' })
    expect(await readFile(join(folder, 'new', FILE), 'utf8')).toBe('someone else’s')
    expect(await shop.new.tables()).not.toContain('orders')
  })

  it.each(['here', 'old'] as const)('may be there already: %s', async (where) => {
    const made = steps()
    await perform(made.snapshot, shop.run)
    const dump = (await readdir(join(shop.run.directory, 'database'))).find((name) => name.startsWith('dump-')) ?? ''
    const given = where === 'here' ? join(folder, 'given.bak') : join(folder, 'old', 'given.bak')
    await copyFile(join(shop.run.directory, 'database', dump, 'shop.bak'), given)
    await rm(join(shop.run.directory, 'database'), { recursive: true })
    const { snapshot, restore } = steps({ from: 'given.bak' })
    expect(await snapshot.check(shop.run)).toContainEqual(
      expect.objectContaining({
        code: 'backup-found',
        message: expect.stringContaining(where === 'here' ? given : 'given.bak on old'),
      }),
    )
    await perform(snapshot, shop.run)
    await perform(restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
    const missing = steps({ from: 'nowhere.bak' })
    expect(await missing.snapshot.check(shop.run)).toContainEqual(expect.objectContaining({ code: 'backup-missing' }))
  })

  it('is restored again when the run died before it could say that it was done', async () => {
    const { snapshot } = steps()
    await perform(snapshot, shop.run)
    afterRestore = () => {
      throw new Error('killed')
    }
    await expect(perform(steps().restore, shop.run)).rejects.toThrow('killed')
    expect(await shop.new.tables()).toContain('orders')
    afterRestore = () => undefined
    const { restore } = steps()
    expect((await restore.check(shop.run)).filter(({ severity }) => severity === 'error')).toEqual([])
    await perform(restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
    expect(await restore.plan(shop.run)).toEqual([])
  })

  it('is not restored over a database that holds anything at all', async () => {
    const { snapshot, restore } = steps()
    await shop.newDatabase.runStatements(['CREATE TABLE guestbook (id integer PRIMARY KEY)'])
    await perform(snapshot, shop.run)
    expect(await restore.check(shop.run)).toContainEqual(
      expect.objectContaining({ code: 'target-not-empty', message: expect.stringContaining('guestbook') }),
    )
  })
})
