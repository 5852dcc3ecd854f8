import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { filesContract } from '../contract/files.ts'
import type { FilesUnderTest } from '../contract/files-kit.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { bySshd, inProcess } from './networked.ts'

const noDisk = userInfo().uid === 0 ? null : 'only root can mount a small disk'

/** A small disk for one test, and what fills it. */
function smallDisk() {
  const disk = fs.mkdtempSync(join(tmpdir(), 'migrate-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128m,mode=755', 'tmpfs', disk])
  return {
    disk,
    fill: (afterBytes: number | undefined) => {
      const ballast = join(disk, 'ballast')
      fs.rmSync(ballast, { force: true })
      if (afterBytes === undefined) return
      const { bavail, bsize } = fs.statfsSync(disk)
      fs.writeFileSync(ballast, Buffer.alloc(bavail * bsize - Math.ceil(afterBytes / bsize) * bsize))
    },
    remove: () => {
      execFileSync('umount', ['-l', disk]) // a session that is just ending may still hold it
      fs.rmdirSync(disk)
    },
  }
}

filesContract('a folder on this machine', async () => {
  const site = siteFolder()
  return { host: openLocal(site.path), truth: site, stop: async () => site.remove() }
})

/** An account that owns nothing, there everywhere: `daemon`. */
const NOBODYS = 1

describe.skipIf(noDisk !== null)(`on this machine${noDisk === null ? '' : ` (skipped: ${noDisk})`}`, () => {
  filesContract('a folder of a small disk, which is there once more for reading alone', async () => {
    const { disk, fill, remove } = smallDisk()
    const site = siteFolder(disk)
    const shown = join(disk, 'shown')
    fs.mkdirSync(shown)
    execFileSync('mount', ['--bind', site.path, shown])
    execFileSync('mount', ['-o', 'remount,bind,ro', shown])
    return {
      host: openLocal(site.path),
      readOnly: openLocal(shown),
      truth: site,
      fill,
      // root may look everywhere: from now on somebody else does.
      deny: (path) => {
        fs.chmodSync(site.path, 0o755)
        fs.chmodSync(join(site.path, path), 0o700)
        process.seteuid?.(NOBODYS)
      },
      stop: async () => {
        process.seteuid?.(0)
        execFileSync('umount', ['-l', shown])
        remove()
      },
    }
  })
})

filesContract('the fake in memory', async () => {
  const host = new MemoryFiles()
  const readOnly = new MemoryFiles()
  const under: FilesUnderTest = {
    host,
    readOnly,
    truth: {
      put: (path, bytes, mode, mtimeSeconds) => {
        host.put(path, '', mode, mtimeSeconds)
        const node = host.nodes.get(path)
        if (node !== undefined) host.nodes.set(path, { ...node, bytes })
        for (const [key, value] of host.nodes) readOnly.nodes.set(key, value)
        readOnly.readOnly = true
      },
      folder: (path) =>
        host.nodes.set(path, { kind: 'folder', mode: 0o755, mtimeSeconds: 0, bytes: Buffer.alloc(0), target: null }),
      link: (path, target) =>
        host.nodes.set(path, { kind: 'link', mode: 0o777, mtimeSeconds: 0, bytes: Buffer.alloc(0), target }),
      read: (path) => host.nodes.get(path)?.bytes,
      paths: () => [...host.nodes.keys()].sort(),
    },
    deny: (path) => {
      host.denied = path
    },
    fill: (afterBytes) => {
      host.capacity = afterBytes ?? Number.POSITIVE_INFINITY
    },
    stop: async () => undefined,
  }
  return under
})

filesContract('SFTP, the server in this process', () => inProcess({ seed: 3 }))

describe.skipIf(sshdMissing !== null)(`with Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  let writing: Sshd
  let reading: Sshd
  beforeAll(async () => {
    writing = await startSshd({ address: '127.0.0.1' })
    reading = await startSshd({ address: '127.0.0.1', readOnly: true })
  })
  afterAll(async () => {
    await Promise.all([writing?.stop(), reading?.stop()])
  })

  filesContract('SFTP, sshd', () => bySshd(writing, reading))

  describe.skipIf(noDisk !== null)(`on a small disk${noDisk === null ? '' : ` (skipped: ${noDisk})`}`, () => {
    filesContract('SFTP, sshd, a disk of its own', async () => {
      const { disk, fill, remove } = smallDisk()
      const site = siteFolder(disk)
      const { address, port, user, key, fingerprint } = writing
      const host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 1 })
      return {
        host,
        truth: site,
        fill,
        stop: async () => {
          await host.close()
          remove()
        },
      }
    })
  })
})
