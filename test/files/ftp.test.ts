import { afterAll, beforeAll, describe } from 'vitest'
import { filesContract } from '../contract/files.ts'
import { ftpdMissing, startProftpd, startPureFtpd, startVsftpd } from '../servers/ftpd.ts'
import { FTP_KINDS, overFtp, type Served, serve, serveEncrypted, stopServing } from './networked.ts'

const title = (text: string): string => (ftpdMissing === null ? text : `${text} (skipped: ${ftpdMissing})`)

describe.skipIf(ftpdMissing !== null)(title('FTP'), () => {
  const served: Partial<Record<keyof typeof FTP_KINDS, Served>> = {}
  beforeAll(async () => {
    served.proftpd = await serve((site) => startProftpd({ site }))
    served.explicit = await serveEncrypted('explicit')
    served.implicit = await serveEncrypted('implicit')
    served.vsftpd = await serve((site) => startVsftpd({ site }))
    served.pure = await serve((site) => startPureFtpd({ site }))
  })
  afterAll(async () => {
    for (const each of Object.values(served)) await stopServing(each)
  })
  const contractOn = (kind: keyof typeof FTP_KINDS, name: string): void =>
    filesContract(name, () => {
      const found = served[kind]
      if (found === undefined) throw new Error(`${kind} wasn't started`)
      return overFtp(found, FTP_KINDS[kind])
    })

  contractOn('proftpd', 'FTP, proftpd')
  contractOn('explicit', 'FTPS after AUTH TLS, proftpd')
  contractOn('implicit', 'FTPS from the first byte, proftpd')
  contractOn('vsftpd', 'FTP, vsftpd')
  contractOn('pure', 'FTP, pure-ftpd')
})
