import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { AuthenticationType, AuthHandlerMiddleware, Client } from 'ssh2'
import SftpClient from 'ssh2-sftp-client'
import { systemClock } from '../../base/clock.ts'
import { MigrateError, messageOf } from '../../base/errors.ts'
import { unreachable } from '../failures.ts'
import { inTime } from '../in-time.ts'
import { receiveAnswers } from './answers.ts'
import { SftpChannel } from './channel.ts'
import { hostTrust } from './host-key.ts'
import { labelOf, type SftpOptions } from './options.ts'
import { gatherRequests } from './requests.ts'
import { decryptsApart, gatherWrites, openSocket, prepareKeys, widen } from './speed.ts'

/** A disk that has to wake up, or a large folder, may take its time. */
const SILENCE_MS = 60_000
const TIMEOUT_MS = 20_000

/** One login on the host: commands can be started. */
export interface Login {
  readonly client: Client
  readonly isLost: boolean
  /** Bulk operations that use it at this moment. */
  load: number
}

/** A login with its SFTP session. */
export interface SftpConnection extends Login {
  readonly channel: SftpChannel
  end(): Promise<void>
}

/** ssh2-sftp-client with the ssh2 client that it holds (its types leave it out). */
class LoginClient extends SftpClient {
  declare readonly client: Client
}

/** Who is told of a login on its way, and what it waits for. */
interface Way {
  /** Is shown the client when it has begun to connect. */
  hasten(client: Client): void
  /** Is told of the login a few round trips before the session is there; it is the connection that is returned. */
  loggedIn(login: Login): void
  /** The host is told nobody's name and password before this one is let in; when it isn't, neither are they, and what it threw is thrown. */
  readonly after?: Promise<Login> | undefined
}

/**
 * Logs in and opens an SFTP session. Throws MigrateErrors: `files-unreachable`, `files-login-failed`, `files-host-key-unknown`,
 * `files-host-key-changed`.
 */
export async function connect(options: SftpOptions, { hasten, loggedIn, after }: Way): Promise<SftpConnection> {
  const trust = await hostTrust(options)
  const privateKey = options.key === undefined ? undefined : await readKey(options, options.key)
  let first: (Error & { readonly level?: string }) | undefined
  let refusal: MigrateError | undefined
  let channel: SftpChannel | undefined
  const lose = (error: Error): void => {
    first ??= error
    channel?.lose(first)
  }
  const closed = (): void => lose(new Error('the connection was closed by the other side'))
  const login = new LoginClient('migrate', { error: (error) => lose(asError(error)), end: closed, close: closed })
  login.client.prependListener('error', lose)
  login.client.setMaxListeners(0) // as many as there are commands under way
  login.client.on('keyboard-interactive', (_name, _text, _language, prompts, answer) => {
    answer(prompts.map(() => options.password?.reveal() ?? ''))
  })
  const sock = openSocket({ host: options.host, port: options.port }, () => decryptsApart(login.client))
  gatherWrites(sock)
  login.client.on('handshake', () => setImmediate(() => prepareKeys(login.client)))
  const standing = {
    client: login.client,
    load: 0,
    get isLost(): boolean {
      return channel === undefined ? first !== undefined : channel.isLost
    },
  }
  login.client.once('ready', () => loggedIn(standing))
  const giveUp = (error: unknown): void => {
    lose(asError(error))
    sock.destroy()
  }
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  try {
    const opening = login.connect({
      sock,
      host: options.host,
      port: options.port,
      username: options.user,
      ...(options.password ? { password: options.password.reveal(), tryKeyboard: true } : {}),
      ...(privateKey ? { privateKey } : {}),
      ...(options.passphrase ? { passphrase: options.passphrase.reveal() } : {}),
      ...(options.agent ? { agent: options.agent } : {}),
      authHandler: inOrder(methods(options), after, giveUp),
      algorithms: { serverHostKey: trust.algorithms },
      hostVerifier: (key: Buffer) => {
        refusal = trust.judge(key)
        return refusal === undefined
      },
      readyTimeout: timeoutMs,
      keepaliveInterval: options.keepaliveMs ?? 10_000,
      keepaliveCountMax: 3,
    })
    hasten(login.client)
    // "Ready" is who is logged in; the part of the server that has the files may hang, and the other part give signs of life for ever.
    const session = await inTime(2 * timeoutMs, 'the beginning of SFTP', opening, () => sock.destroy())
    gatherRequests(session)
    receiveAnswers(session)
    // Last, so that it sees all that comes: what a content takes of the window is given back whoever took it.
    widen(session)
    channel = new SftpChannel(session, options.silenceMs ?? SILENCE_MS, () => sock.destroy())
  } catch (error) {
    sock.destroy()
    const why = refusal ?? first ?? asError(error)
    throw why instanceof MigrateError ? why : loginError(options, why)
  }
  return Object.assign(standing, { channel, end: () => end(login, sock) })
}

/** So long, at most, a polite goodbye takes; a line that is dead already gives no sign of it. */
const GOODBYE_MS = 2000

async function end(login: LoginClient, sock: Socket): Promise<void> {
  if (sock.destroyed) return
  const enough = new AbortController()
  const closed = new Promise<void>((resolve) => sock.once('close', () => resolve()))
  const ended = new Promise<void>((resolve) => login.client.once('end', () => resolve()))
  login.client.end()
  const late = systemClock.sleep(GOODBYE_MS, enough.signal).catch(() => undefined) // the goodbye came first
  await Promise.race([closed, ended, late])
  enough.abort()
  sock.destroy()
}

/** Asking for none costs a round trip, and only hosts that want nothing else give it. */
const methods = (options: SftpOptions): AuthenticationType[] => [
  ...(options.key === undefined ? [] : (['publickey'] as const)),
  ...(options.agent === undefined ? [] : (['agent'] as const)),
  ...(options.password === undefined ? [] : (['password', 'keyboard-interactive'] as const)),
  'none',
]

/** Gives ssh2 one way after the other, the first once `after` was let in; `giveUp` is told when it was not. */
function inOrder(
  ways: readonly AuthenticationType[],
  after: Promise<Login> | undefined,
  giveUp: (error: unknown) => void,
): AuthHandlerMiddleware {
  const [first] = ways
  let given = 0
  return (_left, _partly, go) => {
    given += 1
    if (after === undefined || first === undefined || given > 1) return ways[given - 1] ?? false
    after.then(() => go(first), giveUp)
    return undefined
  }
}

async function readKey(options: SftpOptions, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw loginFailed(options, `the private key ${file} can't be read (${messageOf(error)})`, error)
  }
}

function loginError(options: SftpOptions, error: Error & { readonly level?: string }): MigrateError {
  if (error.level === 'client-authentication')
    return loginFailed(options, 'the host refused the account or its password or key', error)
  if (error.level === 'agent') return loginFailed(options, `the ssh-agent failed (${error.message})`, error)
  if (/privateKey|passphrase/i.test(error.message))
    return loginFailed(options, `the private key can't be used (${error.message})`, error)
  return unreachable(labelOf(options), error)
}

const loginFailed = (options: SftpOptions, why: string, cause: unknown): MigrateError =>
  new MigrateError('files-login-failed', `${options.user} could not log in on ${labelOf(options)}: ${why}.`, {
    hint: 'Check user, password or key in the playbook; the host may also want the key uploaded first, or SFTP switched on.',
    cause,
  })

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
