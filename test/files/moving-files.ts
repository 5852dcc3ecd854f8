import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Json } from '../../src/base/json.ts'
import { Secret } from '../../src/base/secret.ts'
import { startSftpServer } from '../../src/demo/sftp-server.ts'
import type { SftpFaults } from '../../src/demo/sftp-session.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import type { Step } from '../../src/run/step.ts'
import { carryFilesKind } from '../../src/steps/carry-files.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { rewriteConfigKind } from '../../src/steps/rewrite-config.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'

/** Two hosts with an SFTP server each, and a run between them. */
export interface Move {
  readonly old: Side
  readonly new: Side
  readonly run: TestRun
  /** Steps of the kinds, made from options as a playbook would give them; each call as in a new process. */
  snapshot(options?: unknown): Step
  restore(options?: unknown): Step
  rewrite(options: unknown): Step
  carry(options?: unknown): Step
  stop(): Promise<void>
}

export interface Side {
  readonly site: SiteFolder
  readonly faults: SftpFaults
  readonly host: FileHost
  /** Requests so far that would have written something. */
  writes(): number
}

/** The old host's account may only read. */
export async function startMove(): Promise<Move> {
  const directory = mkdtempSync(join(tmpdir(), 'migrate-run-'))
  const run = new TestRun(directory)
  const [old, oldStop] = await startSide(true)
  const [fresh, newStop] = await startSide(false)
  const world = testWorld({ old: { files: old.host }, new: { files: fresh.host } })
  return {
    old,
    new: fresh,
    run,
    snapshot: (options) =>
      snapshotFilesKind.create(snapshotFilesKind.options.parse(options), testContext(world, 'snapshot-files')),
    restore: (options) => restoreFilesKind.create(restoreFilesKind.options.parse(options), testContext(world, 'restore-files')),
    rewrite: (options) =>
      rewriteConfigKind.create(rewriteConfigKind.options.parse(options), testContext(world, 'rewrite-config')),
    carry: (options = {}) => carryFilesKind.create(carryFilesKind.options.parse(options), testContext(world, 'carry-files')),
    stop: async () => {
      await Promise.all([oldStop(), newStop()])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function startSide(readOnly: boolean): Promise<readonly [Side, () => Promise<void>]> {
  const site = siteFolder()
  const faults: SftpFaults = {}
  const users = [{ name: 'shop', password: 'correct horse', readOnly }]
  const server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users, faults })
  const host = openSftp({
    host: server.address,
    port: server.port,
    user: 'shop',
    root: '/',
    password: new Secret('correct horse'),
    fingerprint: server.fingerprint,
    connections: 2,
  })
  const stop = async (): Promise<void> => {
    await host.close()
    await server.close()
    site.remove()
  }
  return [{ site, faults, host, writes: () => server.counts.writes }, stop]
}

/** The snapshot at work, and the restore beside it from its first word on, as the runner does it. Returns what the restore planned. */
export async function relayedBy(move: Move, restore: Step = move.restore()): Promise<readonly Json[]> {
  const { run } = move
  run.following = true
  const taken = perform(move.snapshot(), run).finally(() => {
    run.following = false
  })
  const begun = (async () => {
    while (!run.handedOver) await new Promise((resolve) => setImmediate(resolve))
    return await perform(restore, run)
  })()
  const [snapshot, done] = await Promise.allSettled([taken, begun])
  for (const end of [snapshot, done]) if (end.status === 'rejected') throw end.reason
  return done.status === 'fulfilled' ? done.value : []
}

/** A shop's files: pages, pictures, a link, an empty folder, odd names and modes. */
export function fillShop(site: SiteFolder): void {
  site.put('web.config', Buffer.from('\ufeff<add server="old-sql.example.com" password="hunter22"/>\r\n<other/>\r\n'), 0o640)
  for (let index = 0; index < 120; index += 1) site.put(`images/shirt-${index}.png`, Buffer.alloc(500 + index * 37, index))
  site.put('images/poster.tif', Buffer.alloc(700_000, 'poster'))
  site.put('pages/größe & preis.html', Buffer.from('<h1>M</h1>'), 0o604)
  site.put('empty.txt', Buffer.alloc(0))
  site.link('images/newest.png', 'shirt-119.png')
  site.folder('cache')
}
