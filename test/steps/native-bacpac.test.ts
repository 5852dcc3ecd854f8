import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { mssqlNative } from '../../src/databases/mssql/native.ts'
import { debianPostgres } from '../../src/demo/postgres-server.ts'
import { openLocal } from '../../src/files/local.ts'
import type { World } from '../../src/steps/world.ts'
import type { DatabaseHost } from '../contract/database-host.ts'
import { FakeServer, OPTIONS } from '../databases/mssql-backup-server.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'
import { nativeSteps } from './native-steps.ts'

const BIN = debianPostgres()

/**
 * SQL Server's own way with an export (databases/mssql/native.ts), where PostgreSQL stands in for the server, and a script that calls
 * pg_restore for sqlpackage: what is exported, fetched, looked into and brought in is a real database all the same.
 */
describe.skipIf(BIN === undefined)(
  `a .bacpac${BIN === undefined ? ' (skipped: PostgreSQL of Debian is not installed)' : ''}`,
  () => {
    let server: TestPostgres
    let host: DatabaseHost
    let shop: MovingShop
    let world: World
    let folder = ''
    let target: FakeServer
    const made: TestDatabase[] = []
    beforeAll(async () => {
      server = await startTestPostgres({ host: '127.0.31.13' })
      host = postgresHost({
        ...server,
        database: async (prefix) => {
          const database = await server.database(prefix)
          made.push(database)
          return database
        },
      })
    })
    afterAll(() => host?.close())
    beforeEach(async () => {
      made.length = 0
      folder = await mkdtemp(join(tmpdir(), 'migrate-bacpac-'))
      await mkdir(join(folder, 'old', 'backup'), { recursive: true })
      shop = await movingShop(host, { tables: { words: { mode: 'skip' } } })
      await fill(shop.old)
      target = new FakeServer()
      const bin = await sqlpackage()
      const { newDatabase: fresh, oldDatabase: old } = shop
      const drop = (): Promise<void> => fresh.removeOwnTables()
      world = {
        ...shop.world,
        old: {
          ...shop.world.old,
          database: { ...old, native: mssqlNative(OPTIONS, new FakeServer(), async () => undefined, []) },
          files: openLocal(join(folder, 'old'), 'old'),
        },
        new: { ...shop.world.new, database: { ...fresh, native: mssqlNative(OPTIONS, target, drop, [bin]) } },
      }
    })
    afterEach(async () => {
      await shop?.close()
      await rm(folder, { recursive: true, force: true })
    })

    /** Brings in the file that its response file names. */
    async function sqlpackage(): Promise<string> {
      const bin = join(folder, 'bin')
      await mkdir(bin)
      const script = `#!/bin/sh
[ "$1" = /Version ] && { echo 162.1.167.1; exit 0; }
grep -q '^/Action:Import$' "\${1#@}" || exit 1
exec '${BIN}/pg_restore' --no-owner --no-privileges -d '${made[1]?.url}' "$(sed -n 's|^/SourceFile:||p' "\${1#@}")"
`
      await writeFile(join(bin, 'sqlpackage'), script)
      await chmod(join(bin, 'sqlpackage'), 0o755)
      return bin
    }

    const exported = (path: string): void => {
      execFileSync(join(BIN ?? '', 'pg_dump'), ['-Fc', '-f', path, made[0]?.url ?? ''])
    }
    const steps = (from: string) => nativeSteps(world, { from }, undefined, folder)
    const errors = (found: readonly { readonly severity: string }[]) => found.filter(({ severity }) => severity === 'error')

    it.each([
      ['here', 'shop.bacpac'],
      ['among the old host’s files', 'old/backup/shop.bacpac'],
    ])(
      'that the control panel made, %s, is checked before anything is done, brought in, and taken back',
      async (_where, place) => {
        exported(join(folder, place))
        const before = await shop.new.tables()
        const from = place.replace('old/', '')
        const { snapshot, restore } = steps(from)
        for (const step of [snapshot, restore]) expect(errors(await step.check(shop.run))).toEqual([])
        const saved = await perform(snapshot, shop.run)
        expect(errors(await restore.check(shop.run))).toEqual([])
        const restored = await perform(restore, shop.run)
        const { words: _skipped, ...expected } = await contents(shop.old)
        expect(await contents(shop.new)).toMatchObject(expected)
        // An export holds the rows of every table.
        expect(target.done).toEqual([expect.stringContaining('DELETE FROM [public].[words];')])
        for (const step of [snapshot, restore]) expect(await step.plan(shop.run)).toEqual([])
        expect(errors(await restore.verify(shop.run))).toEqual([])
        await takeBack(restore, restored, shop.run)
        await takeBack(snapshot, saved, shop.run)
        expect(await shop.new.tables()).toEqual(before)
      },
    )

    it('is refused in check where nothing could bring it in', async () => {
      exported(join(folder, 'shop.bacpac'))
      await rm(join(folder, 'bin'), { recursive: true })
      const { restore } = steps('shop.bacpac')
      expect(errors(await restore.check(shop.run))).toEqual([
        expect.objectContaining({
          code: 'native-not-possible',
          message: expect.stringContaining("the snapshot is a .bacpac, and sqlpackage isn't installed here"),
        }),
      ])
    })
  },
)
