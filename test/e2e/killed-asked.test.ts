import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runSql } from '../servers/postgres.ts'
import { everything } from './engine.ts'
import { postgresStory } from './engine-postgres.ts'
import { story, type WireEvent } from './migrate-process.ts'
import { NEW_ADDRESS, OLD_ADDRESS, type StoryHosts, startStory, storyMissing, ZONE } from './story-hosts.ts'

const STEPS = `
  - check
  - lower-ttl: { ttl: 2s }
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities
  - rewrite-config:
      - { file: web.config, replace: { "old-sql.example.com": "new-sql.example.com" } }
  - smoke-test: { paths: ["/", "/checkout"], assets: true }
  - cutover-dns
  - report
`

const applying = (step: string) => (event: WireEvent) =>
  event.step === step && event.event === 'change' && event.phase === 'applying'

describe.skipIf(storyMissing !== null)(
  `stopped by a person${storyMissing === null ? '' : ` (skipped: ${storyMissing})`}`,
  { timeout: 300_000 },
  () => {
    let hosts: StoryHosts
    let beginning: unknown
    beforeAll(async () => {
      hosts = await startStory(postgresStory)
      await hosts.write({ steps: STEPS })
      beginning = await wholeWorld(hosts)
    })
    afterAll(() => hosts?.stop())

    it('brings everything back after a kill before the cutover, by migrate rollback', async () => {
      const migrate = hosts.start('run', '--yes')
      await migrate.until((event) => event.step === 'smoke-test' && event.event === 'started')
      migrate.kill('SIGKILL')
      const killed = await migrate.ended
      expect(killed.exit).toBe(null)
      expect((await everything(hosts.new)).tables).not.toEqual([])
      expect(ttls(hosts)).toEqual([2, 5, 300])

      const back = await hosts.run('rollback', '--yes')
      expect(back.exit, story(back)).toBe(0)
      expect(back.events.filter((event) => event.code === 'not-taken-back')).toEqual([])
      expect(await wholeWorld(hosts)).toEqual(beginning)
      expect(ttls(hosts)).toEqual([5, 5, 300])
      const again = await hosts.run('rollback', '--yes')
      expect(again.exit, story(again)).toBe(0)
      expect(again.events.filter((event) => event.event === 'change')).toEqual([])
    })

    it('finishes the change in hand by Ctrl-C in the cutover, and goes on from there', async () => {
      const migrate = hosts.start('run', '--yes')
      await migrate.until(applying('cutover-dns'))
      migrate.kill('SIGINT')
      const run = await migrate.ended
      expect(run.exit, story(run)).toBe(130)
      const phases = run.events.filter((event) => event.step === 'cutover-dns' && event.event === 'change')
      expect(phases.map((event) => event.phase)).toEqual(['planned', 'applying', 'applied'])
      expect(run.events.filter((event) => event.step === 'report')).not.toContainEqual(
        expect.objectContaining({ event: 'started' }),
      )
      expect(apex(hosts)).toBe(NEW_ADDRESS)
      expect(apex(hosts)).not.toBe(OLD_ADDRESS)

      const rest = await hosts.run('run', '--yes')
      expect(rest.exit, story(rest)).toBe(0)
      expect(apex(hosts)).toBe(NEW_ADDRESS)
    })
  },
)

const apex = (hosts: StoryHosts): string | undefined => hosts.zone.records().find((record) => record.name === ZONE)?.content

const ttls = (hosts: StoryHosts): readonly number[] => hosts.zone.records().map((record) => record.ttl)

/** All that is on both hosts and in DNS; what was asked of the API on the way is no part of it. */
async function wholeWorld(hosts: StoryHosts): Promise<unknown> {
  const { writes: _writes, ...picture } = (await hosts.picture()) as { readonly writes: unknown }
  const relations = `SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' UNION ALL
    SELECT n.nspname, p.proname, 'f' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2, 3`
  return {
    picture,
    old: await everything(hosts.old),
    new: await everything(hosts.new),
    relations: await runSql(hosts.new.superuserUrl ?? '', relations),
    schemas: await runSql(hosts.new.superuserUrl ?? '', `SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1`),
  }
}
