import { FTPError, type FTPResponse } from 'basic-ftp'
import { systemClock } from '../../base/clock.ts'
import { connectionLost, permissionDenied } from '../failures.ts'
import { FolderEntries } from '../folder-entries.ts'
import { comparePaths, joinPath, nameOf, parentOf } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import type { FtpConnection } from './connection.ts'
import { meaningOf } from './failures.ts'
import { eachLine } from './lines.ts'
import { type ListedEntry, parseFacts, parseListLine, parseTime } from './listing.ts'
import { fromWire, toWire } from './wire.ts'

/** Some servers say that all went well when it didn't (vsftpd: "226 Transfer done (but failed to open directory)."). */
const FAILED_AFTER_ALL = /fail|denied|can't|cannot|could not/i
/** What some refuse to list an empty folder with: "550 No files found." */
const EMPTY = /\bno (?:files|entries|matches)\b|\bis empty\b/i

/** Of every link on Unix. */
const LINK_MODE = 0o777

interface Folder {
  /** Its whole path on the host. */
  readonly at: string
  readonly path: string
  readonly label: string
  /** Only this one of what it holds is wanted. */
  readonly only?: string
  /** Is told of every path that is listed, of some twice. */
  readonly see?: (path: string) => void
  /** Is told how many lines it has, and of a file among them. */
  readonly counted?: (lines: number, file: string | undefined) => void
}

/**
 * The entries of one folder, sorted. Throws for what can't be listed whole: an answer that ends early, a line that isn't understood. Memory:
 * a few mebibytes, however many they are (folder-entries.ts); never the server's text.
 */
export async function listFolder(connection: FtpConnection, folder: Folder): Promise<FolderEntries> {
  const { client, features, system } = connection
  await client.cd(folder.at)
  const known = features.has('MLST')
    ? (await entriesBy('MLSD', parseFacts, connection, folder)).entries
    : new FolderEntries(folder.path)
  // MLSD is exact, but proftpd leaves out links that lead nowhere, and says of none where it leads; `ls` does.
  if (features.has('MLST') && !/unix/i.test(system)) return known
  return merged(connection, folder, known, await entriesByList(connection, folder, known.length))
}

/**
 * Files that begin with a dot are listed by most servers for `-a` alone. Others take that for the name of a file, and list nothing (that of
 * Windows CE) or refuse (pyftpdlib): an answer without a line isn't believed.
 */
async function entriesByList(connection: FtpConnection, folder: Folder, expected: number): Promise<FolderEntries> {
  const now = systemClock.now() / 1000
  const by = (command: string): Promise<Listed> =>
    entriesBy(command, (line) => parseListLine(line, now), connection, folder, expected)
  try {
    const { entries, lines, file } = await by('LIST -a')
    folder.counted?.(lines, file)
    if (lines > 0) return entries
  } catch (error) {
    if (!(error instanceof FTPError && error.code >= 500)) throw error
  }
  const { entries, lines, file } = await by('LIST')
  folder.counted?.(lines, file)
  return entries
}

/** Asked in the folder itself, which can be entered. */
function saysEmpty(connection: FtpConnection, error: unknown): boolean {
  if (!(error instanceof FTPError) || ![450, 550].includes(error.code)) return false
  return EMPTY.test(error.message) && ['unclear', 'other'].includes(meaningOf(error, connection))
}

interface Listed {
  readonly entries: FolderEntries
  /** How many lines the server's answer had, also of what isn't wanted. */
  readonly lines: number
  /** The path of a file among them. */
  readonly file: string | undefined
}

async function entriesBy(
  command: string,
  parse: (line: string) => ListedEntry | 'itself',
  connection: FtpConnection,
  { path, label, only, see }: Folder,
  expected = 0,
): Promise<Listed> {
  const entries = new FolderEntries(path)
  let lines = 0
  let file: string | undefined
  const { client } = connection
  const { answer, isWhole } = await eachLine(
    client,
    command,
    (line) => {
      lines += 1
      const found = parse(line)
      const entry = found === 'itself' ? undefined : entryFrom(found, path)
      if (entry?.kind === 'file') file = entry.path
      if (entry === undefined || (only !== undefined && entry.path !== only)) return
      see?.(entry.path)
      entries.add(entry)
    },
    expected,
  ).catch((error: unknown) => {
    if (!saysEmpty(connection, error)) throw error
    return { answer: { message: '' }, isWhole: true }
  })
  if (FAILED_AFTER_ALL.test(answer.message)) throw permissionDenied(label, path, 'list', new Error(answer.message.trim()))
  if (!isWhole) {
    client.close()
    throw connectionLost(label, path, new Error('the listing ends in the middle of a line'))
  }
  return { entries: entries.sort(), lines, file }
}

/** What either listing has, each path once; of both, the exact one's, with a link's end from the other. */
async function merged(
  connection: FtpConnection,
  folder: Folder,
  known: FolderEntries,
  listed: FolderEntries,
): Promise<FolderEntries> {
  const all = new FolderEntries(folder.path)
  const exact = known[Symbol.iterator]()
  let next = exact.next()
  let last: string | undefined
  for (const entry of listed) {
    for (; next.done !== true && comparePaths(next.value.path, entry.path) < 0; next = exact.next()) all.add(next.value)
    if (next.done !== true && next.value.path === entry.path) {
      const { kind, target } = next.value
      all.add(kind === 'link' ? { ...next.value, target: entry.target ?? target } : next.value)
      next = exact.next()
    } else if (entry.path !== last) {
      const mtimeSeconds = entry.kind === 'file' ? await modified(connection, toWire(nameOf(entry.path))) : null
      all.add(mtimeSeconds === null ? entry : { ...entry, mtimeSeconds })
    }
    last = entry.path
  }
  for (; next.done !== true; next = exact.next()) all.add(next.value)
  for (const each of [known, listed]) each.close()
  return all.sort()
}

/** Exact, of a file in the folder that the connection is in; `null` where the server doesn't tell (RFC 3659, section 3). */
export async function modified(connection: FtpConnection, name: string): Promise<number | null> {
  if (!connection.features.has('MDTM')) return null
  const { code, message } = await connection.client.sendIgnoringError(`MDTM ${await guarded(connection, name)}`)
  return code === 213 ? parseTime(message.slice(4)) : null
}

/** As the client itself does for names that begin with a space. */
const guarded = (connection: FtpConnection, name: string): Promise<string> => connection.client.protectWhitespace(name)

/**
 * One entry by MLST, links not followed where the server says so; `undefined` when it isn't there. `at`: its whole path. `unclear`: the
 * server refuses, and doesn't say that nothing is there, or what it says may be of a link's end; the folder's listing tells. Throws where the refusal is about something else than
 * this path: the login, or the moment (RFC 959, section 4.2.1: 4yz may be otherwise when it is asked again).
 */
export async function lookUp(connection: FtpConnection, at: string, path: string): Promise<FileEntry | 'unclear' | undefined> {
  const { code, message } = await asked(connection, `MLST ${await guarded(connection, at)}`)
  if (code !== 250) return (await isMissing(connection, at, { code, message })) ? undefined : 'unclear'
  const [line] = message.split(/\r?\n/).filter((each) => each.startsWith(' '))
  if (line === undefined) return 'unclear'
  const facts = line.slice(1)
  const found = parseFacts(`${facts.slice(0, facts.indexOf(' '))} ${toWire(nameOf(path))}`)
  if (found === 'itself') return 'unclear'
  // proftpd calls a link what it points at; all that is left of the link is its mode.
  const isDoubtful = found.kind === 'link' || found.mode === LINK_MODE || found.mode === null
  return isDoubtful ? 'unclear' : entryFrom(found, parentOf(path))
}

export async function asked({ client }: FtpConnection, command: string): Promise<FTPResponse> {
  const answer = await client.sendIgnoringError(command)
  if ((answer.code >= 400 && answer.code < 500) || answer.code === 530) throw new FTPError(answer)
  return answer
}

/**
 * Whether the server says that nothing is there. proftpd and pure-ftpd say of a missing file, as of a forbidden one, that they can't tell
 * about it; asked to go there they say why. It costs a round trip, and a listing far more in a large folder.
 */
async function isMissing(connection: FtpConnection, at: string, refusal: FTPResponse): Promise<boolean> {
  if (saysMissing(connection, refusal)) return true
  return saysMissing(connection, await asked(connection, `CWD ${await guarded(connection, at)}`))
}

export const saysMissing = (connection: FtpConnection, answer: FTPResponse): boolean =>
  answer.code >= 500 && meaningOf(new FTPError(answer), connection) === 'missing'

/**
 * Whether a host without MLST says that nothing is there, in two answers: no file, no folder. Only of one that has no links (Windows): asked
 * about a link that leads nowhere, others say the same.
 */
export async function isSurelyMissing(connection: FtpConnection, at: string): Promise<boolean> {
  if (!/windows/i.test(connection.system) || !connection.features.has('SIZE')) return false
  const name = await guarded(connection, at)
  return (
    saysMissing(connection, await asked(connection, `SIZE ${name}`)) &&
    saysMissing(connection, await asked(connection, `CWD ${name}`))
  )
}

function entryFrom(entry: ListedEntry, folder: string): FileEntry {
  const { kind, size, mode, target } = entry
  return {
    path: joinPath(folder, fromWire(entry.name)),
    kind,
    size,
    mode,
    mtimeSeconds: entry.mtimeSeconds ?? entry.roughlySeconds,
    target: kind === 'link' && target !== null ? fromWire(target) : null,
  }
}
