import ssh2, { type AuthContext } from 'ssh2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf } from '../../src/base/errors.ts'
import { Secret } from '../../src/base/secret.ts'
import { fingerprint as fingerprintOf } from '../../src/files/sftp/known-hosts.ts'
import { SftpPool } from '../../src/files/sftp/pool.ts'
import { freePort } from '../servers/ports.ts'

const CONNECTIONS = 4
const PASSWORD = 'correct horse'

/** A host that answers nobody's password before so many connections have exchanged keys with it. */
let port: number
let fingerprint: string
let attempts: string[]
let stop: () => Promise<void>
beforeEach(async () => {
  attempts = []
  let ready = 0
  let answer: () => void = () => undefined
  const allReady = new Promise<void>((resolve) => {
    answer = resolve
  })
  const key = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
  const judge = (context: AuthContext): void => {
    const given = context.method === 'password' ? context.password : 'none'
    if (given !== 'none') attempts.push(given)
    void allReady.then(() => (given === PASSWORD ? context.accept() : context.reject(['password'])))
  }
  const server = new ssh2.Server({ hostKeys: [key.private] }, (connection) => {
    connection.on('error', () => connection.end())
    connection.on('handshake', () => {
      ready += 1
      if (ready === CONNECTIONS) answer()
    })
    connection.on('authentication', judge)
    connection.on('session', (accept) => accept().on('sftp', (take) => void take()))
  })
  port = await freePort('127.0.0.1')
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', () => resolve()))
  fingerprint = fingerprintOf(Buffer.from(key.public.split(' ')[1] ?? '', 'base64'))
  stop = () => new Promise<void>((resolve) => void server.close(() => resolve()))
})
afterEach(() => stop())

const poolWith = (password: string): SftpPool =>
  new SftpPool({
    ...{ host: '127.0.0.1', port, fingerprint, user: 'shop', root: '/', knownHosts: '/dev/null', connections: CONNECTIONS },
    password: new Secret(password),
  })

describe('connections that are opened for a lot of work', () => {
  it('stand before the first one is let in, which gives its password alone, and a program finds each of them free', async () => {
    const pool = poolWith(PASSWORD)
    const widened = pool.widen()
    const first = await pool.leaseForProgram()
    expect(attempts[0]).toBe(PASSWORD)
    const others = await Promise.all([1, 2, 3].map(() => pool.leaseForProgram()))
    expect(new Set([first, ...others].map(({ connection }) => connection)).size).toBe(CONNECTIONS)
    expect(attempts).toEqual(Array.from({ length: CONNECTIONS }, () => PASSWORD))
    const further = await pool.leaseForProgram()
    for (const { release } of [first, ...others, further]) release()
    await widened
    await pool.close()
  })

  it('give a wrong password to the host once, and are opened again for another try', async () => {
    const pool = poolWith('wrong')
    const said = await Promise.all([
      pool.widen().then(() => 'in', codeOf),
      pool.lease().then(() => 'in', codeOf),
      pool.leaseForProgram().then(() => 'in', codeOf),
    ])
    expect(said).toEqual(['files-login-failed', 'files-login-failed', 'files-login-failed'])
    expect(attempts.filter((each) => each === 'wrong')).toHaveLength(1)
    await pool.close()
  })
})
