import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type SftpServer, startSftpServer } from '../../src/demo/sftp-server.ts'
import { SftpPool } from '../../src/files/sftp/pool.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'

/** More than one connection takes at once. */
const MANY = 250
const MOST_AT_ONCE = 192

let site: SiteFolder
let server: SftpServer
let pool: SftpPool
let open: (connections: number) => void
beforeEach(async () => {
  site = siteFolder()
  server = await startSftpServer({
    folder: site.path,
    address: '127.0.0.1',
    users: [{ name: 'shop', password: 'correct horse' }],
  })
  const { address, port, fingerprint } = server
  const login = { host: address, port, fingerprint, user: 'shop', password: new Secret('correct horse'), root: '/' }
  open = (connections) => {
    pool = new SftpPool({ ...login, connections })
  }
})
afterEach(async () => {
  await pool.close()
  await server.close()
  site.remove()
})

describe('operations that come all at once, before any connection stands', () => {
  it('go through one connection no more than it takes at a time, and all of them in the end', async () => {
    open(1)
    const leases = Array.from({ length: MANY }, () => pool.lease())
    const first = await Promise.all(leases.slice(0, MOST_AT_ONCE))
    expect(first[0]?.connection.load).toBe(MOST_AT_ONCE)
    for (const { release } of first) release()
    const rest = await Promise.all(leases.slice(MOST_AT_ONCE))
    expect(rest).toHaveLength(MANY - MOST_AT_ONCE)
    expect(server.counts.logins).toBe(1)
  })

  it('have further connections opened at once', async () => {
    open(3)
    const leases = await Promise.all(Array.from({ length: 24 }, () => pool.lease()))
    for (const { release } of leases) release()
    await pool.close()
    expect(server.counts.logins).toBe(3)
  })
})
