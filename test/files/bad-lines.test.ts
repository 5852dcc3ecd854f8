import { afterAll, beforeAll, describe } from 'vitest'
import { filesOnBadLines } from '../contract/files-on-bad-lines.ts'
import { ftpdMissing, startProftpd, startPureFtpd, startVsftpd } from '../servers/ftpd.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { asIis, bySshd, FTP_KINDS, inProcess, overFtp, type Served, serve, serveEncrypted, stopServing } from './networked.ts'

/** A turned bit may make a length of a packet endless: such a connection falls silent, and isn't waited for so long as usual. */
const LIMIT_MS = 4000

filesOnBadLines('SFTP, the server in this process', () => inProcess({ limitMs: LIMIT_MS }))
filesOnBadLines('FTP, as IIS speaks it', () => asIis(LIMIT_MS))

describe.skipIf(sshdMissing !== null)(`with Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  let sshd: Sshd
  beforeAll(async () => {
    sshd = await startSshd({ address: '127.0.0.1' })
  })
  afterAll(() => sshd?.stop())

  filesOnBadLines('SFTP, sshd', () => bySshd(sshd, sshd, LIMIT_MS))
})

const title = ftpdMissing === null ? 'FTP' : `FTP (skipped: ${ftpdMissing})`
describe.skipIf(ftpdMissing !== null)(title, () => {
  const served: Partial<Record<keyof typeof FTP_KINDS, Served>> = {}
  beforeAll(async () => {
    served.proftpd = await serve((site) => startProftpd({ site }))
    served.explicit = await serveEncrypted('explicit')
    served.vsftpd = await serve((site) => startVsftpd({ site }))
    served.pure = await serve((site) => startPureFtpd({ site }))
  })
  afterAll(async () => {
    for (const each of Object.values(served)) await stopServing(each)
  })

  // TLS from the first byte is the same lines in the same session: its contract (ftp.test.ts) says what is its own.
  for (const kind of ['proftpd', 'explicit', 'vsftpd', 'pure'] as const)
    filesOnBadLines(
      `FTP, ${kind}`,
      () => {
        const found = served[kind]
        if (found === undefined) throw new Error(`${kind} wasn't started`)
        return overFtp(found, { ...FTP_KINDS[kind], seed: undefined }, LIMIT_MS)
      },
      'tls' in FTP_KINDS[kind],
    )
})
