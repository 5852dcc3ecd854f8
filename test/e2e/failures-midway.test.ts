import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contentOf } from './engine.ts'
import { type MigrateRun, story, type WireEvent } from './migrate-process.ts'
import { expectResumed, expectTold, type LineName, type Scene, startScene, type Trial } from './scene.ts'
import { storyMissing } from './story-hosts.ts'

const MIB = 2 ** 20
const BIG_FILE = 'images/lookbook.bin'
const SESSIONS = 12_000

/** Every table is copied: the one with the many rows is the one that the story's playbook skips. */
const ALL_TABLES = '\n  Orders: { headroom: 1500 }'

const isRetry = (event: WireEvent): boolean => event.event === 'note' && String(event.message).includes('Trying again in')

const most = (run: MigrateRun, step: string, unit: string): number =>
  Math.max(
    0,
    ...run.events
      .filter((each) => each.step === step && each.event === 'progress' && each.unit === unit)
      .map((each) => Number(each.done)),
  )

describe.skipIf(storyMissing !== null)(
  `a line that is cut midway${storyMissing === null ? '' : ` (skipped: ${storyMissing})`}`,
  { timeout: 300_000 },
  () => {
    let scene: Scene
    let table: Trial
    let file: Trial
    beforeAll(async () => {
      scene = await startScene()
      await scene.hosts.old.execute(
        `INSERT INTO "Sessions" SELECT 'visitor ' || n, decode(repeat(md5(n::text), 12), 'hex') FROM generate_series(1, ${SESSIONS}) n`,
      )
      await writeFile(join(scene.hosts.oldSite, BIG_FILE), randomBytes(8 * MIB))
      table = await scene.trial('table', { steps: '\n  - snapshot-database\n  - restore-database\n', tables: ALL_TABLES })
      file = await scene.trial('file', { steps: '\n  - snapshot-files\n  - restore-files\n', tables: ALL_TABLES })
    })
    afterAll(() => scene?.stop())

    it('tells what broke, in the middle of a table and of a file, when the line stays cut', async () => {
      const { oldDatabase, oldFiles } = scene.lines
      oldDatabase.cut(2 * MIB)
      oldFiles.cut(3 * MIB)
      const [rows, files] = await Promise.all([table.run(), file.run()])
      oldDatabase.mend()
      oldFiles.mend()
      expect(rows.events.filter(isRetry), story(rows)).toHaveLength(5)
      expect(files.events.filter(isRetry), story(files)).toHaveLength(5)
      expect(rows.stdout).toContain('connection to the old database')
      await expectTold(table, rows, {
        code: 'database-unreachable',
        says: /old database.*can't be reached/,
        hints: /host and port.*firewall/,
      })
      await expectTold(file, files, {
        code: 'files-unreachable',
        says: /old.*can't be reached/,
        hints: /host and port.*firewall/,
      })
      expect(most(rows, 'snapshot-database', 'rows')).toBeLessThan(SESSIONS)
    })

    it('goes on where it stopped, and by itself when the line to the new host breaks for a moment', async () => {
      const resumed = await Promise.all(
        [[table, 'newDatabase'] as const, [file, 'newFiles'] as const].map(([trial, line]) => cutOnce(trial, line)),
      )
      for (const run of resumed) await expectResumed(run)
      for (const name of ['Sessions', 'Orders', 'OrderItems'] as const) {
        expect(await contentOf(scene.hosts.new, name)).toEqual(await contentOf(scene.hosts.old, name))
      }
    })

    it('stops at once by Ctrl-C where the old host has fallen silent, and resumes', async () => {
      const trial = await scene.trial('silent', { steps: '\n  - snapshot-database\n', tables: ALL_TABLES })
      const silent = scene.lines.oldDatabase.freeze(2 * MIB)
      const migrate = trial.start({}, 'run', '--yes')
      await silent
      migrate.kill('SIGINT')
      const run = await migrate.ended
      scene.lines.oldDatabase.mend()
      expect(run.exit, story(run)).toBe(130)
      expect(run.events.at(-1)).toMatchObject({ event: 'finished', outcome: 'interrupted', exit: 130 })
      expect(run.stderr).toContain('Stopping at the next safe point')
      expect(run.events.filter((event) => event.event === 'done')).toEqual([])
      const status = await trial.start({}, 'status').ended
      expect(status.stdout).toContain('"outcome":"interrupted"')
      await expectResumed(await trial.run())
    })

    async function cutOnce(trial: Trial, line: LineName): Promise<MigrateRun> {
      // More than all that is asked of the new host before the restore, less than what that brings.
      scene.lines[line].cut(2 * MIB)
      const migrate = trial.start({}, 'run', '--yes')
      await migrate.until(isRetry)
      scene.lines[line].mend()
      return migrate.ended
    }
  },
)
