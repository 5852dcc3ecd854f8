import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { Client, FTPError } from 'basic-ftp'
import { systemClock } from '../../base/clock.ts'
import { MigrateError, messageOf } from '../../base/errors.ts'
import { unreachable } from '../failures.ts'
import { inTime } from '../in-time.ts'
import { type FtpOptions, labelOf } from './options.ts'
import { Answers, passiveMode } from './passive.ts'
import { hearWholeLines } from './whole-lines.ts'
import { WIRE } from './wire.ts'

const TIMEOUT_MS = 30_000
/** A login takes some fifteen answers. Each may take as long as the time limit says, and all of them together so many times that. */
const LOGIN_TIMES = 4

/** One login. It does one thing at a time. */
export interface FtpConnection {
  readonly client: Client
  /** What the server says it knows (FEAT, RFC 2389), upper case: `MLST`, `MFMT`, `SIZE`, … */
  readonly features: ReadonlySet<string>
  /** What the server says of itself (SYST): `UNIX Type: L8`, `Windows_NT`. */
  readonly system: string
  /** The folder in which the login begins. */
  readonly home: string
  /** When it was last used, by the monotonic clock, milliseconds. */
  usedAt: number
  readonly answers: Answers
}

/**
 * Logs in. Throws MigrateErrors: `files-unreachable`, `files-login-failed`, `files-host-key-changed` (another certificate than the
 * playbook names).
 */
export async function connect(options: FtpOptions): Promise<FtpConnection> {
  const client = new Client(options.timeoutMs ?? TIMEOUT_MS, { allowSeparateTransferHost: false })
  const answers = new Answers()
  client.ftp.log = answers.log
  hearWholeLines(client.ftp)
  try {
    return await inTime(LOGIN_TIMES * client.ftp.timeout, 'the login', logIn(client, options, answers), () => hangUp(client))
  } catch (error) {
    client.close()
    throw loginError(options, error)
  }
}

async function logIn(client: Client, options: FtpOptions, answers: Answers): Promise<FtpConnection> {
  await open(client, options)
  await client.login(options.user, options.password?.reveal() ?? '')
  await client.useDefaultSettings()
  client.ftp.encoding = WIRE
  client.prepareTransfer = passiveMode(answers)
  const features = new Set([...(await client.features()).keys()].map((name) => name.toUpperCase()))
  const system = (await client.sendIgnoringError('SYST')).message.slice(4)
  const home = await client.pwd()
  return { client, features, system, home, usedAt: systemClock.monotonic(), answers }
}

/** Not by the client alone: it would leave in the dark the encryption that begins over its socket. */
function hangUp(client: Client): void {
  client.ftp.socket.destroy()
  client.close()
}

async function open(client: Client, options: FtpOptions): Promise<void> {
  const { host, port, tls } = options
  const settings: ConnectionOptions = {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(options.ca === undefined ? {} : { ca: await authorities(options, options.ca) }),
    ...(options.fingerprint === undefined ? {} : { rejectUnauthorized: false, checkServerIdentity: () => undefined }),
    // For an address the name in the certificate is that address.
    host,
  }
  if (tls === 'implicit') await client.connectImplicitTLS(host, port, settings)
  else await client.connect(host, port)
  // basic-ftp watches over answers alone: for encryption that doesn't begin after AUTH TLS it would wait for ever.
  if (tls === 'explicit') {
    const encrypted = client.useTLS(settings)
    await inTime(client.ftp.timeout, 'the beginning of encryption', encrypted, () => hangUp(client))
  }
  if (tls !== 'none' && options.fingerprint !== undefined) verify(client, options, options.fingerprint)
}

async function authorities(options: FtpOptions, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new MigrateError(
      'files-login-failed',
      `The certificates to trust ${labelOf(options)} by can't be read: ${messageOf(error)}.`,
      {
        hint: 'Correct the path at `ca:` in the playbook.',
        cause: error,
      },
    )
  }
}

/** Before the password goes out. */
function verify(client: Client, options: FtpOptions, wanted: string): void {
  const { socket } = client.ftp
  const found = socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : undefined
  if (found !== undefined && plain(found) === plain(wanted)) return
  throw new MigrateError(
    'files-host-key-changed',
    `${labelOf(options)} shows another certificate than the playbook names: ${found ?? 'none'}. Nobody logged in there.`,
    {
      hint: 'If the host has renewed its certificate, put the new fingerprint into the playbook. If not, somebody may be in between.',
    },
  )
}

const plain = (fingerprint: string): string => fingerprint.replaceAll(/[^0-9a-f]/gi, '').toLowerCase()

function loginError(options: FtpOptions, error: unknown): MigrateError {
  if (error instanceof MigrateError) return error
  const label = labelOf(options)
  const failed = (why: string, hint: string): MigrateError =>
    new MigrateError('files-login-failed', `${options.user} could not log in on ${label}: ${why}.`, { hint, cause: error })
  if (error instanceof FTPError && error.code === 421) {
    return new MigrateError('files-unreachable', `${label} takes no further connection: ${messageOf(error)}.`, {
      hint: 'Lower `connections:` of that host in the playbook, or wait until other logins have ended.',
      cause: error,
      retrySafe: true,
    })
  }
  if (error instanceof FTPError) {
    const hint = /tls|ssl|secure/i.test(error.message)
      ? 'The host wants an encrypted login: write ftps:// instead of ftp://.'
      : 'Check user and password in the playbook; the host may also know the account only with its domain (user@shop.example).'
    return failed(messageOf(error), hint)
  }
  if (/certificate|self[- ]signed|altnames|unable to verify/i.test(messageOf(error))) {
    return failed(
      `its certificate isn't trusted (${messageOf(error)})`,
      'Name its authority (`ca: FILE`), or its own SHA-256 (`fingerprint:`), which the host’s control panel shows.',
    )
  }
  return unreachable(label, error)
}
