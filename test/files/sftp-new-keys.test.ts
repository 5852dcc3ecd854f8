import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSftp, type SftpHost } from '../../src/files/sftp/index.ts'
import { bytesOf, plainly } from '../contract/files-kit.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

describe.skipIf(sshdMissing !== null)(
  `a host that wants new keys in the middle${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`,
  () => {
    let site: SiteFolder
    let server: Sshd
    let host: SftpHost
    beforeEach(async () => {
      site = siteFolder()
      server = await startSshd({ config: ['RekeyLimit 3M'] })
      const { address, port, user, key, fingerprint } = server
      host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 1 })
    })
    afterEach(async () => {
      await host.close()
      await server.stop()
      site.remove()
    })

    it('gets every byte, and gives it', async () => {
      const contents = [0, 1, 2].map(() => randomBytes(5_000_000))
      await Promise.all(contents.map((bytes, index) => host.write(`file${index}`, Readable.from([bytes]), plainly)))
      for (const [index, bytes] of contents.entries()) expect(site.read(`file${index}`)?.equals(bytes)).toBe(true)
      const read = await Promise.all(contents.map((_, index) => bytesOf(host.read(`file${index}`))))
      for (const [index, bytes] of contents.entries()) expect(read[index]?.equals(bytes)).toBe(true)
    })
  },
)
