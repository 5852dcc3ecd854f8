import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contentOf } from './engine.ts'
import { story } from './migrate-process.ts'
import { expectResumed, expectTold, type Scene, startScene } from './scene.ts'
import { storyMissing } from './story-hosts.ts'

/** A file system of its own, as small as a disk that is about to be full. */
interface SmallDisk {
  readonly folder: string
  /** Mount options of tmpfs (tmpfs(5)): `size`, `nr_inodes`. */
  change(options: string): void
  remove(): void
}

function mountSmall(folder: string, options: string): SmallDisk {
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'pipe' })
  return {
    folder,
    change: (other) => execFileSync('mount', ['-o', `remount,${other}`, folder], { stdio: 'pipe' }),
    remove: () => execFileSync('umount', ['--lazy', folder], { stdio: 'pipe' }),
  }
}

/** Why no small disk can be had here; `null` when it can. */
function smallDiskMissing(): string | null {
  if (userInfo().uid !== 0) return 'only root can mount a small disk'
  const folder = mkdtempSync(join(tmpdir(), 'migrate-small-'))
  try {
    mountSmall(folder, 'size=64k').remove()
    return null
  } catch {
    return 'a small disk can’t be mounted here'
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const missing = storyMissing ?? smallDiskMissing()
/** 3 MiB that don't compress well. */
const VISITORS = `INSERT INTO "Sessions" SELECT 'visitor ' || n,
  decode((SELECT string_agg(md5(n::text || part::text), '') FROM generate_series(1, 12) part), 'hex') FROM generate_series(1, 8000) n`
const BIG_FILE = 'images/lookbook.bin'

describe.skipIf(missing !== null)(
  `a disk of the new host that is full${missing === null ? '' : ` (skipped: ${missing})`}`,
  { timeout: 240_000 },
  () => {
    let scene: Scene
    let site: SmallDisk | undefined
    let tables: SmallDisk | undefined
    beforeAll(async () => {
      scene = await startScene()
      await scene.hosts.old.execute(VISITORS)
      await writeFile(join(scene.hosts.oldSite, BIG_FILE), randomBytes(3 * 2 ** 20))
    })
    afterAll(async () => {
      site?.remove()
      await scene?.stop()
      tables?.remove()
      if (tables !== undefined) rmSync(tables.folder, { recursive: true, force: true })
    })

    it('sees beforehand that the files won’t fit, and goes on once there is room', async () => {
      site = mountSmall(scene.hosts.newSite, 'size=2m')
      const trial = await scene.trial('no-room', { steps: '\n  - check\n  - snapshot-files\n  - restore-files\n' })
      const checked = await trial.run()
      await expectTold(trial, checked, {
        code: 'no-room',
        says: /new-site has .* free; the old host's files need 3\..*Nothing was changed/,
        hints: /Make room/,
      })
      const late = await scene.trial('no-room-unchecked', { steps: '\n  - snapshot-files\n  - restore-files\n' })
      await expectTold(late, await late.run(), {
        code: 'files-disk-full',
        says: /files need 3\..*new-site has .* free.*Nothing was changed/,
        hints: /run again/,
      })
      expect(await readdir(scene.hosts.newSite)).toEqual([])
      site.change('size=16m')
      await expectResumed(await trial.run())
      expect(await readFile(join(scene.hosts.newSite, BIG_FILE), 'base64')).toBe(
        await readFile(join(scene.hosts.oldSite, BIG_FILE), 'base64'),
      )
      await scene.clear()
    })

    it('tells which file had no room midway, leaves no half of it, and goes on once there is room', async () => {
      // A quota on the number of files that comes into being after everybody has looked.
      const quota = `mount -o remount,nr_inodes=30 ${scene.hosts.newSite}`
      const trial = await scene.trial('files-full', {
        steps: `\n  - snapshot-files\n  - run: { command: "${quota}" }\n  - restore-files\n`,
      })
      await expectTold(trial, await trial.run(), {
        code: 'files-disk-full',
        says: /disk of .*new-site is full: "[^"]+" could not be written/,
        hints: /Free space.*what has arrived is kept/,
      })
      const arrived = (await readdir(scene.hosts.newSite, { recursive: true })).filter((name) => name.endsWith('.svg'))
      expect(arrived.length).toBeGreaterThan(0)
      for (const name of arrived) {
        expect(await readFile(join(scene.hosts.newSite, name), 'utf8')).toBe(
          await readFile(join(scene.hosts.oldSite, name), 'utf8'),
        )
      }
      site?.change('nr_inodes=1000')
      await expectResumed(await trial.run())
      const names = async (folder: string): Promise<readonly string[]> => (await readdir(folder, { recursive: true })).sort()
      expect(await names(scene.hosts.newSite)).toEqual(await names(scene.hosts.oldSite))
    })

    it.each([
      ['database', '512k', 'state-disk-small', /free for the run's folder .*too little.*Nothing was changed/],
      ['database', '1400k', 'disk-full', /run's folder is full.*couldn't be written\. Neither host was changed/],
      ['files', '1400k', 'disk-full', /run's folder is full: nothing more could be kept/],
      ['files', '64k', 'disk-full', /run's folder is full: nothing more could be kept/],
    ] as const)(
      'tells that the %s don’t fit into the run’s own folder of %s, and goes on once there is room',
      async (what, size, code, says) => {
        const trial = await scene.trial(`own-${what}-${size}`, {
          steps: `\n  - snapshot-${what}\n`,
          tables: '\n  Orders: { headroom: 1500 }',
        })
        const own = mountSmall(join(trial.folder, '.migrate'), `size=${size}`)
        try {
          await expectTold(trial, await trial.run(), { code, says, hints: /room.*run again/, refused: true })
          own.change('size=64m')
          await expectResumed(await trial.run())
        } finally {
          own.remove()
        }
      },
    )

    it('tells which database has no room, keeps what is whole, and goes on once there is room', async () => {
      const [[data] = []] = await scene.administer('new', 'SHOW data_directory')
      const { uid, gid } = statSync(data ?? '')
      const folder = mkdtempSync(join(tmpdir(), 'migrate-tablespace-'))
      tables = mountSmall(folder, 'size=1m')
      chownSync(folder, uid, gid)
      await scene.administer('new', `CREATE TABLESPACE small LOCATION '${folder}'`)
      await scene.administer('new', 'GRANT CREATE ON TABLESPACE small TO shop; ALTER ROLE shop SET default_tablespace = small')
      const trial = await scene.trial('database-full', {
        // With a step between them the restore doesn't begin beside the snapshot, and can't stop it.
        steps: '\n  - snapshot-database\n  - snapshot-files\n  - restore-database\n',
        tables: '\n  Orders: { headroom: 1500 }',
      })
      const run = await trial.run()
      await expectTold(trial, run, {
        code: 'database-disk-full',
        says: /disk of the new database.*is full: .*rolled back/s,
        hints: /Make room.*run again/,
      })
      expect(
        run.events.filter((event) => event.event === 'done').map((event) => event.step),
        story(run),
      ).toEqual(['snapshot-database', 'snapshot-files'])
      tables.change('size=64m')
      await expectResumed(await trial.run())
      for (const name of ['Sessions', 'Orders', 'OrderItems'] as const) {
        expect(await contentOf(scene.hosts.new, name)).toEqual(await contentOf(scene.hosts.old, name))
      }
    })
  },
)
