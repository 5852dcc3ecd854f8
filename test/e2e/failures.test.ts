import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { everything } from './engine.ts'
import { story } from './migrate-process.ts'
import { endOf, expectResumed, expectTold, type Scene, startScene } from './scene.ts'
import { storyMissing } from './story-hosts.ts'

const WRONG = 'not-the-P@ssw0rd'
const withPassword = (url: string, password: string): string => {
  const changed = new URL(url)
  changed.password = encodeURIComponent(password)
  return changed.href
}

describe.skipIf(storyMissing !== null)(
  `what can go wrong at the door${storyMissing === null ? '' : ` (skipped: ${storyMissing})`}`,
  { timeout: 180_000 },
  () => {
    let scene: Scene
    beforeAll(async () => {
      scene = await startScene()
    })
    afterEach(() => scene.clear())
    afterAll(() => scene?.stop())

    it.each(['old', 'new'] as const)('a wrong password of the %s database', async (side) => {
      const trial = await scene.trial(`password-${side}`, { steps: '\n  - snapshot-database\n  - restore-database\n' })
      const line = scene.lines[`${side}Database`]
      const url = `postgres://shop@${line.host}:${line.port}/shop`
      const run = await trial.run({ [`${side.toUpperCase()}_DB`]: withPassword(url, WRONG) })
      await expectTold(
        trial,
        run,
        {
          code: 'database-login-failed',
          says: new RegExp(`${side} database.*refused.*Nothing was changed`, 's'),
          hints: /password/,
        },
        [WRONG],
      )
      expect((await everything(scene.hosts.new)).tables).toEqual([])
      await expectResumed(await trial.run())
    })

    it('a wrong key for SFTP', async () => {
      const trial = await scene.trial('key', { steps: '\n  - snapshot-files\n' })
      const stranger = join(trial.folder, 'stranger')
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger])
      await trial.rewrite((text) => text.replace(scene.hosts.ssh.old.key, stranger))
      await expectTold(trial, await trial.run(), {
        code: 'files-login-failed',
        says: /could not log in on .*old.*refused the account/,
        hints: /key in the playbook/,
      })
      await trial.rewrite()
      await expectResumed(await trial.run())
    })

    it('a wrong password for SFTP', async () => {
      const trial = await scene.trial('sftp-password', { steps: '\n  - snapshot-files\n  - restore-files\n' })
      await trial.rewrite((text) => text.replace(`key: ${scene.hosts.ssh.new.key}`, `password: "\${SFTP_PASSWORD}"`))
      const run = await trial.run({ SFTP_PASSWORD: WRONG })
      await expectTold(
        trial,
        run,
        { code: 'files-login-failed', says: /could not log in on .*new.*refused the account/, hints: /password/ },
        [WRONG],
      )
      await trial.rewrite()
      await expectResumed(await trial.run())
    })

    it.each(['old', 'new'] as const)('the %s host’s database switched off', async (side) => {
      const trial = await scene.trial(`off-database-${side}`, { steps: '\n  - snapshot-database\n  - restore-database\n' })
      await scene.lines[`${side}Database`].down()
      await expectTold(trial, await trial.run(), {
        code: 'database-unreachable',
        says: new RegExp(`${side} database.*can't be reached`),
        hints: /host and port.*firewall/,
      }).finally(() => scene.lines[`${side}Database`].up())
      await expectResumed(await trial.run())
    })

    it.each(['old', 'new'] as const)('the %s host’s SFTP switched off', async (side) => {
      const trial = await scene.trial(`off-files-${side}`, { steps: '\n  - snapshot-files\n  - restore-files\n' })
      await scene.lines[`${side}Files`].down()
      await expectTold(trial, await trial.run(), {
        code: 'files-unreachable',
        says: new RegExp(`${side}.*can't be reached`),
        hints: /host and port.*firewall/,
      }).finally(() => scene.lines[`${side}Files`].up())
      await expectResumed(await trial.run())
    })

    it('another host key than before', async () => {
      const { old, look } = scene.hosts.ssh
      const trial = await scene.trial('host-key', { steps: '\n  - snapshot-files\n' })
      scene.lines.oldFiles.lead({ host: look.address, port: look.port })
      const run = await trial.run()
      scene.lines.oldFiles.lead({ host: old.address, port: old.port })
      await expectTold(trial, run, { code: 'files-host-key-changed', says: /old.*key/s, hints: /fingerprint|known_hosts/ })
      expect(run.stdout).toContain(look.fingerprint)
      await expectResumed(await trial.run())
    })

    it.each([
      ['is for another zone', 'OTHER_TOKEN', 'dns-zone-missing', /sees no zone shop\.example/],
      ['may only read', 'LOOK_TOKEN', 'dns-permission-denied', /may not|can read the records of shop\.example/],
    ] as const)('a token that %s', async (_what, token, code, says) => {
      const before = await scene.hosts.picture()
      const trial = await scene.trial(token, { steps: '\n  - lower-ttl: { ttl: 2s }\n' })
      const run = await trial.run({ DNS_TOKEN: scene.hosts.env[token] ?? '' })
      await expectTold(trial, run, { code, says, hints: /API Tokens.*Zone → DNS → Edit/ })
      expect(await scene.hosts.picture()).toEqual(before)
      await expectResumed(await trial.run())
      expect(scene.hosts.zone.records()[0]?.ttl).toBe(2)
    })

    it('an account that may not set the identities of the new host', async () => {
      const trial = await scene.trial('identities', {
        steps: '\n  - snapshot-database\n  - restore-database\n  - bump-identities\n',
      })
      const restored = await trial.start({}, 'run', '--yes', '--until', 'restore-database').ended
      expect(restored.exit, story(restored)).toBe(0)
      await scene.administer(
        'new',
        'CREATE ROLE landlord; ALTER TABLE "Orders" OWNER TO landlord; GRANT SELECT, INSERT, UPDATE, DELETE ON "Orders" TO shop',
      )
      const before = await scene.administer('new', 'SELECT last_value, is_called FROM "Orders_OrderID_seq"')
      const run = await trial.run()
      await expectTold(trial, run, {
        code: 'right-to-write',
        says: /may not .*new database.*Nothing further was changed/s,
        hints: /GRANT/,
      })
      const refused = run.events.filter((event) => event.event === 'finding' && event.code === 'right-to-write')
      expect(refused.map((event) => event.message)).toContainEqual(
        expect.stringMatching(/set the sequence public\.Orders_OrderID_seq/),
      )
      expect(await scene.administer('new', 'SELECT last_value, is_called FROM "Orders_OrderID_seq"')).toEqual(before)
      // The hints are statements that can be run as they stand.
      for (const { hint } of refused) await scene.administer('new', String(hint).replace(/^[^:]*: /, ''))
      await expectResumed(await trial.run())
    })

    it('a playbook that was changed, and another database under the same name', async () => {
      const trial = await scene.trial('bound', { steps: '\n  - snapshot-database\n  - restore-database\n' })
      const begun = await trial.start({}, 'run', '--yes', '--until', 'snapshot-database').ended
      expect(begun.exit, story(begun)).toBe(0)

      await trial.rewrite((text) => text.replace('headroom: 1500', 'headroom: 2500'))
      await expectTold(trial, await trial.run(), {
        code: 'run-bound-elsewhere',
        says: /Nothing was changed.*tables\.Orders\.headroom: 1500 → 2500/s,
        hints: /old values back.*--fresh/,
        exit: 2,
      })

      await trial.rewrite()
      scene.lines.oldDatabase.lead(endOf(scene.hosts.new.url))
      const run = await trial.run()
      scene.lines.oldDatabase.lead(endOf(scene.hosts.old.url))
      await expectTold(trial, run, {
        code: 'run-bound-elsewhere',
        says: /Nothing was changed.*old\.database identity: /s,
        hints: /old values back/,
        exit: 2,
      })
      expect((await everything(scene.hosts.new)).tables).toEqual([])
      await expectResumed(await trial.run())
    })

    it('a second run while one is at work', async () => {
      const trial = await scene.trial('locked', {
        steps: '\n  - run: { command: "until test -e go; do sleep 0.1; done" }\n',
      })
      const first = trial.start({}, 'run', '--yes')
      await first.until((event) => event.event === 'change' && event.phase === 'applying')
      await expectTold(trial, await trial.run(), {
        code: 'run-locked',
        says: new RegExp(`in the hands of process ${first.pid} .*Nothing was changed`),
        hints: /migrate status/,
        refused: true,
      })
      await writeFile(join(trial.folder, 'go'), '')
      const ended = await first.ended
      expect(ended.exit, story(ended)).toBe(0)
      await expectResumed(await trial.run())
    })
  },
)
