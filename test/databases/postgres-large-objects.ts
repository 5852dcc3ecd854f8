import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'
import type { PostgresAccount, TestDatabase, TestPostgres } from '../servers/postgres.ts'
import { stepsOf } from '../steps/moving-shop.ts'

/** As Hibernate's @Lob has it: a column with the number of a large object, which no foreign key guards. */
const SHOP = `CREATE TABLE public.pictures (id bigint PRIMARY KEY, image oid);
  INSERT INTO public.pictures VALUES (1, lo_from_bytea(70001, '\\x00ff41')), (2, lo_from_bytea(70002, '')),
    (3, lo_from_bytea(70003, (SELECT string_agg(sha256(n::text::bytea), '') FROM generate_series(1, 20000) n))), (4, lo_from_bytea(70004, '\\x04')), (5, lo_from_bytea(70005, '\\x05'));
  COMMENT ON LARGE OBJECT 70001 IS 'it''s a logo'; GRANT SELECT ON LARGE OBJECT 70001 TO PUBLIC`

const LOOK = `SELECT m.oid, length(lo_get(m.oid)), md5(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject'),
  (SELECT string_agg(x.privilege_type, ',') FROM aclexplode(m.lomacl) x WHERE x.grantee = 0) FROM pg_largeobject_metadata m ORDER BY 1`

/** A shop's large objects on their way, on the server of the suite that calls it. */
export function largeObjects(server: () => TestPostgres): void {
  describe('large objects', () => {
    let from: TestDatabase
    let to: TestDatabase
    let directory: string
    let run: TestRun
    const opened: Database[] = []
    const open = (made: TestDatabase, account?: PostgresAccount): Database => {
      const database = openPostgres(made.options(account === undefined ? {} : { account }))
      opened.push(database)
      return database
    }
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'migrate-large-objects-'))
      run = new TestRun(directory)
      from = await server().database()
      to = await server().database()
      await from.sql(SHOP)
    })
    afterEach(async () => {
      for (const database of opened.splice(0)) await database.close()
      await rm(directory, { recursive: true, force: true })
    })
    const world = (reader?: PostgresAccount) => testWorld({ old: { database: open(from, reader) }, new: { database: open(to) } })

    it('arrive with their numbers, contents, comments and what everybody may do, and are taken back', async () => {
      const { snapshot, restore } = stepsOf(world())
      const errors = [...(await snapshot.check(run)), ...(await restore.check(run))].filter(
        ({ severity }) => severity === 'error',
      )
      expect(errors).toEqual([])
      await perform(snapshot, run)
      const restored = await perform(restore, run)
      expect(await restore.plan(run)).toEqual([])
      expect(await to.sql(LOOK)).toEqual(await from.sql(LOOK))
      expect(await to.sql('SELECT count(*) FROM pictures JOIN pg_largeobject_metadata m ON m.oid = image')).toEqual([['5']])
      await takeBack(restore, restored, run)
      expect(await to.sql(LOOK)).toEqual([])
    })

    it('are carried when they are born, change or go on the old host, and never overwritten on the new one', async () => {
      const both = world()
      const { snapshot, restore } = stepsOf(both)
      await perform(snapshot, run)
      await perform(restore, run)
      await from.sql(`INSERT INTO pictures VALUES (6, lo_from_bytea(70006, '\\x0606')); SELECT lo_put(70002, 0, '\\x22');
        SELECT lo_truncate(lo_open(70001, 131072), 1); DELETE FROM pictures WHERE id = 4; SELECT lo_unlink(70004);
        SELECT lo_from_bytea(70007, '\\x01d0'); SELECT lo_put(70005, 0, '\\x01d0')`)
      await to.sql(`SELECT lo_from_bytea(70007, '\\x0e'); SELECT lo_put(70005, 0, '\\x0e'); SELECT lo_from_bytea(70008, '\\x08')`)
      const reconcile = reconcileKind.create({}, testContext(both, 'reconcile'))
      await perform(reconcile, run)
      expect(await to.sql('SELECT oid, lo_get(oid) FROM pg_largeobject_metadata WHERE oid <> 70003 ORDER BY 1')).toEqual([
        ['70001', '\\x00'],
        ['70002', '\\x22'],
        ['70005', '\\x0e'],
        ['70006', '\\x0606'],
        ['70007', '\\x0e'],
        ['70008', '\\x08'],
      ])
      expect(await to.sql('SELECT image FROM pictures ORDER BY id')).toEqual([
        ['70001'],
        ['70002'],
        ['70003'],
        ['70005'],
        ['70006'],
      ])
      const parked = (await reconcile.verify(run)).filter(({ code }) => code === 'rows-parked')
      expect(parked.map(({ message }) => message).join()).toMatch(/2 rows/)
      expect(await reconcile.plan(run)).toEqual([])
    })

    it('that the account may not read are named with what lets it, before anything is saved', async () => {
      const reader = await from.readOnlyAccount()
      const database = open(from, reader)
      const missing = (await database.missingRights('read')).map(({ message, hint }) => `${message} ${hint}`)
      expect(missing).toEqual([expect.stringContaining(`read the large objects of ${from.owner.user} on`)])
      await from.superuserSql(/run: (.*)$/.exec(missing[0] ?? '')?.[1] ?? 'none')
      expect(await database.missingRights('read')).toEqual([])
      const writer = await to.readOnlyAccount()
      const [temporary] = (await open(to, writer).unmet?.(await database.schema())) ?? []
      expect(temporary?.hint).toContain(`GRANT TEMPORARY ON DATABASE ${to.name} TO ${writer.user};`)
      const { snapshot } = stepsOf(world(reader))
      await perform(snapshot, run)
      expect((await snapshot.verify(run)).map(({ code }) => code)).toEqual(['snapshot-taken'])
    })
  })
}
