import { createHash, randomFillSync } from 'node:crypto'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { killAll, startMigrate, story } from './migrate-process.ts'

const MiB = 2 ** 20
/** Of one file; a snapshot marks every 64 MiB how far it has come. */
const SIZE = 100 * MiB

const title = sshdMissing === null ? 'kill -9' : `kill -9 (skipped: ${sshdMissing})`
describe.skipIf(sshdMissing !== null)(title, () => {
  let sshd: Sshd
  let home: SiteFolder
  let [toOld, toNew]: FaultProxy[] = []
  beforeAll(async () => {
    sshd = await startSshd({ address: '127.0.0.1' })
  })
  afterEach(async () => {
    killAll()
    await Promise.all([toOld?.close(), toNew?.close()])
    home.remove()
  })
  afterAll(() => sshd?.stop())

  it('in the middle of a large file, on its way here and on its way there, costs no more than what had not arrived', async () => {
    home = siteFolder()
    const behind = { host: sshd.address, port: sshd.port }
    ;[toOld, toNew] = [await startFaultProxy(behind), await startFaultProxy(behind)]
    for (const name of ['old', 'new']) home.folder(name)
    const bytes = randomFillSync(Buffer.allocUnsafe(SIZE))
    home.put('old/video.mp4', bytes)
    const host = (proxy: FaultProxy, folder: string): string =>
      `{ files: { url: "sftp://${sshd.user}@127.0.0.1:${proxy.port}${home.path}/${folder}", key: ${sshd.key}, fingerprint: "${sshd.fingerprint}" } }`
    const playbook = join(home.path, 'shop.yml')
    writeFileSync(
      playbook,
      `name: shop\nold: ${host(toOld, 'old')}\nnew: ${host(toNew, 'new')}\nsteps: [snapshot-files, restore-files]\n`,
    )
    const start = () => startMigrate(['run', playbook, '--yes'], {})
    const kept = (): string => join(home.path, '.migrate/shop/files/incoming')
    const partOf = (folder: string): number => {
      const name = existsSync(folder) ? readdirSync(folder).find((each) => /part$/.test(each)) : undefined
      return name === undefined ? 0 : statSync(join(folder, name)).size
    }

    // Three quarters have come when it is killed, and a quarter has gone on to the new host.
    const frozen = [toOld.freeze(80 * MiB), toNew.freeze(24 * MiB)]
    const first = start()
    await Promise.all(frozen)
    first.kill('SIGKILL')
    expect((await first.ended).exit).toBeNull()
    expect(partOf(kept())).toBeGreaterThan(64 * MiB)
    expect(partOf(join(home.path, 'new'))).toBeGreaterThan(16 * MiB)
    expect(existsSync(join(home.path, 'new/video.mp4'))).toBe(false)

    // All of it once more would be too much for this line: it goes on from the mark. Three quarters get to the new host.
    toOld.mend()
    toNew.mend()
    toOld.cut(SIZE - 64 * MiB + 16 * MiB)
    const stuck = toNew.freeze(56 * MiB)
    const second = start()
    await Promise.race([stuck, second.ended.then((run) => Promise.reject(new Error(story(run))))])
    second.kill('SIGKILL')
    expect((await second.ended).exit).toBeNull()
    expect(partOf(join(home.path, 'new'))).toBeGreaterThan(48 * MiB)
    expect(existsSync(join(home.path, 'new/video.mp4'))).toBe(false)

    toOld.mend()
    toNew.mend()
    toNew.cut(SIZE - 48 * MiB + 4 * MiB)
    const last = await start().ended
    expect(last.exit, story(last)).toBe(0)
    expect(last.events).toContainEqual(expect.objectContaining({ event: 'finding', code: 'restored-files-hashed' }))
    const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex')
    expect(sha256(home.read('new/video.mp4') ?? Buffer.alloc(0))).toBe(sha256(bytes))
    expect(readdirSync(join(home.path, 'new'))).toEqual(['video.mp4'])
  })
})
