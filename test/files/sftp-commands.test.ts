import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openSftp } from '../../src/files/sftp/index.ts'
import type { SftpOptions } from '../../src/files/sftp/options.ts'
import { SftpPool } from '../../src/files/sftp/pool.ts'
import { sshShell } from '../../src/files/sftp/shell.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

/** Nothing here may take longer: what hangs has failed. */
const SOON_MS = 20_000
const MOST_AT_ONCE = 192

describe.skipIf(sshdMissing !== null)(
  `commands on a host over SSH${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`,
  { timeout: SOON_MS },
  () => {
    let [site, sshd]: [SiteFolder?, Sshd?] = []
    let options: SftpOptions
    let programs: string
    beforeEach(async () => {
      site = siteFolder()
      programs = mkdtempSync(join(tmpdir(), 'migrate-programs-'))
      sshd = await startSshd({ config: [`SetEnv PATH=${programs}:/usr/bin:/bin`] })
      const { address, port, user, key, fingerprint } = sshd
      options = { host: address, port, user, key, fingerprint, root: site.path, connections: 1 }
    })
    afterEach(async () => {
      vi.restoreAllMocks()
      await sshd?.stop()
      site?.remove()
      rmSync(programs, { recursive: true })
    })

    it('wait for none of those who hold the connection: they may be waiting for the command', async () => {
      const pool = new SftpPool(options)
      const leases = await Promise.all(Array.from({ length: MOST_AT_ONCE }, () => pool.lease()))
      expect(await sshShell('shop', pool).run('echo done')).toMatchObject({ exit: 0, stdout: 'done\n' })
      for (const { release } of leases) release()
      await pool.close()
    })

    it('that the host never begins are not waited for when all is done', async () => {
      const host = openSftp(options)
      const exec = vi.spyOn(ssh2.Client.prototype, 'exec').mockImplementation(function (this: ssh2.Client) {
        return this
      })
      host.prepare?.('write')
      await vi.waitUntil(() => exec.mock.calls.length > 0, 20_000)
      await host.close()
    })

    it('that turn out to be something else are ended at once, and not when they please', async () => {
      const begun = join(programs, 'begun')
      writeFileSync(join(programs, 'perl'), `#!/bin/sh\necho $$ >>${begun}\necho Welcome\nexec sleep 60\n`, { mode: 0o755 })
      const host = openSftp(options)
      host.prepare?.('write')
      await vi.waitUntil(() => existsSync(begun), 20_000)
      await host.close()
      for (const pid of readFileSync(begun, 'utf8').trim().split('\n')) process.kill(Number(pid))
    })
  },
)
