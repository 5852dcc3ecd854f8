import { FTPError } from 'basic-ftp'
import { MigrateError, messageOf } from '../../base/errors.ts'
import { connectionLost, diskFull, fileMissing, filesFailed, permissionDenied } from '../failures.ts'
import { shownPath } from '../raw-names.ts'
import type { FtpConnection } from './connection.ts'
import { fromWire } from './wire.ts'

const FULL = /no space|disk full|not enough space|quota|insufficient (?:storage|disk)|failure writing to local file/i
const MISSING = /no such (?:file|dir)|not found|cannot find|doesn't exist|does not exist|not exist/i
/** Words by which servers say that an account may not. */
export const DENIED = /permission|not permitted|denied|not allowed|forbidden|prohibited|read.?only|not writable|privilege/i
const WORDS = [
  ['full', FULL],
  ['missing', MISSING],
  ['denied', DENIED],
] as const
const CONTROL = /control characters/i

/**
 * What a command's failure means, by its code (RFC 959, section 4.2) and, where one code stands for many things, by the server's words.
 * `unclear`: refused, but the words don't say why.
 */
export type Meaning = 'lost' | 'full' | 'missing' | 'denied' | 'name' | 'unclear' | 'other'

export function meaningOf(error: unknown, connection: FtpConnection): Meaning {
  const text = messageOf(error)
  if (CONTROL.test(text)) return 'name'
  if (!(error instanceof FTPError)) return connection.client.closed || isNetwork(error) ? 'lost' : 'other'
  // Of words that say more than one thing, some may be the file's own name.
  const said = WORDS.flatMap(([meaning, words]) => (words.test(text) ? meaning : []))
  const [only] = said.length === 1 ? said : []
  if (error.code === 552 || error.code === 452 || only === 'full') return 'full'
  if (error.code === 421 || error.code === 425 || error.code === 426) return 'lost'
  if (said.length > 1) return 'unclear'
  if (only !== undefined) return only
  if (error.code === 532 || error.code === 530) return 'denied'
  if (error.code === 550 || error.code === 553) return 'unclear'
  return error.code === 451 ? 'lost' : 'other'
}

const isNetwork = (error: unknown): boolean =>
  error instanceof Error &&
  ('code' in error ? /^(?:E[A-Z]+|ERR_)/.test(String(error.code)) : /socket|timeout|connection/i.test(error.message))

/** The error to throw; `exists` settles what an unclear refusal means. */
export function mapped(
  error: unknown,
  { label, path, doing, connection }: { label: string; path: string; doing: string; connection: FtpConnection },
  exists?: boolean,
): MigrateError {
  if (error instanceof MigrateError) return error
  switch (meaningOf(error, connection)) {
    case 'lost':
      // What became of a transfer that was cut is unknown; whoever needs a connection next gets another.
      connection.client.close()
      return connectionLost(label, path, error)
    case 'full':
      return diskFull(label, path, null, error)
    case 'missing':
      return fileMissing(label, path, error)
    case 'denied':
      return permissionDenied(label, path, doing, error)
    case 'unclear':
      return exists === false ? fileMissing(label, path, error) : permissionDenied(label, path, doing, error)
    case 'name':
      return noWay(label, path, 'a line break', error)
    case 'other':
      return filesFailed(label, path, doing, new Error(fromWire(messageOf(error)), { cause: error }))
  }
}

/** A name that no command can hold. */
export const noWay = (label: string, path: string, what: string, cause?: unknown): MigrateError =>
  new MigrateError('files-failed', `FTP has no way to name ${shownPath(JSON.stringify(path))} on ${label}: it holds ${what}.`, {
    hint: 'Rename it, or exclude it in the playbook. It was neither read nor written.',
    cause,
  })

/** Why a server broke a transfer off, when it says so afterwards on a control connection that still stands; that one is then closed. */
export async function lastWord(error: unknown, connection: FtpConnection): Promise<FTPError | undefined> {
  if (error instanceof FTPError || connection.client.closed || meaningOf(error, connection) !== 'lost') return undefined
  const answer = await connection.answers.next()
  connection.client.close()
  return answer !== undefined && /^[45]\d\d/.test(answer)
    ? new FTPError({ code: Number(answer.slice(0, 3)), message: answer.trim() })
    : undefined
}
