import { timingSafeEqual } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import ssh2, { type AuthContext, type Connection } from 'ssh2'
import { fingerprint } from '../files/sftp/known-hosts.ts'
import { gatherWrites, prepareKeys } from '../files/sftp/speed.ts'
import { type SftpFaults, serveSftp } from './sftp-session.ts'

export interface SftpUser {
  readonly name: string
  readonly password: string
  /** Every write is refused. */
  readonly readOnly?: boolean
}

export interface SftpServerOptions {
  /** Folder on this machine that the accounts see as `/`. */
  readonly folder: string
  /** A loopback address. */
  readonly address: string
  /** A free one when absent. */
  readonly port?: number
  readonly users: readonly SftpUser[]
  /** Changed by a test while the server runs. */
  readonly faults?: SftpFaults
}

export interface SftpServer {
  readonly address: string
  readonly port: number
  /** `SHA256:…` of the host key, which is made anew at every start. */
  readonly fingerprint: string
  /** Logins so far, and requests of them that would write. */
  readonly counts: { logins: number; writes: number }
  close(): Promise<void>
}

/** An SFTP server in this process over a real folder: for the demo and for tests, on loopback only. No shell, no extensions. */
export async function startSftpServer(options: SftpServerOptions): Promise<SftpServer> {
  // About one in 400 of the ed25519 keys that ssh2 1.17 makes can't be read back by it.
  const hostKey = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 })
  const counts = { logins: 0, writes: 0 }
  const ssh = new ssh2.Server({ hostKeys: [hostKey.private], ident: 'live-host-migration-demo' }, (connection) => {
    serveConnection(connection, options, counts)
  })
  const sockets = new Set<Socket>()
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    gatherWrites(socket)
    ssh.injectSocket(socket)
  })
  const port = await new Promise<number>((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(options.port ?? 0, options.address, () => {
      const bound = listener.address()
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0)
    })
  })
  return {
    address: options.address,
    port,
    fingerprint: fingerprint(publicBlob(hostKey.public)),
    counts,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function serveConnection(connection: Connection, options: SftpServerOptions, counts: SftpServer['counts']): void {
  let user: SftpUser | undefined
  connection.on('handshake', () => setImmediate(() => prepareKeys(connection)))
  connection.on('authentication', (context) => {
    user = options.users.find((candidate) => accepts(candidate, context))
    if (user === undefined) return context.reject(['password'])
    counts.logins += 1
    context.accept()
  })
  connection.on('error', () => connection.end()) // a client that went away; nothing is lost here
  connection.on('ready', () => {
    connection.on('session', (accept) => {
      const session = accept()
      session.on('sftp', (acceptSftp) => {
        serveSftp(acceptSftp(), {
          folder: options.folder,
          readOnly: user?.readOnly ?? false,
          faults: options.faults ?? {},
          wrote: () => {
            counts.writes += 1
          },
          cut: () => connection.end(),
        })
      })
    })
  })
}

function accepts(user: SftpUser, context: AuthContext): boolean {
  if (context.method !== 'password' || context.username !== user.name) return false
  const [given, wanted] = [Buffer.from(context.password), Buffer.from(user.password)]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/** The key itself out of `ecdsa-sha2-nistp256 AAAA… comment`. */
const publicBlob = (line: string): Buffer => Buffer.from(line.split(' ')[1] ?? '', 'base64')
