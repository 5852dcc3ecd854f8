import { FTPError, type FTPResponse } from 'basic-ftp'
import { systemClock } from '../../base/clock.ts'
import { connectionLost, permissionDenied } from '../failures.ts'
import { joinPath, nameOf, parentOf } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import type { FtpConnection } from './connection.ts'
import { meaningOf } from './failures.ts'
import { type ListedEntry, parseFacts, parseList, parseMlsd, parseTime } from './listing.ts'
import { fromWire, toWire } from './wire.ts'

/** Some servers say that all went well when it didn't (vsftpd: "226 Transfer done (but failed to open directory)."). */
const FAILED_AFTER_ALL = /fail|denied|can't|cannot|could not/i

/**
 * The entries of one folder, in no set order. `at`: its whole path on the host. Throws for what can't be listed whole: an
 * answer that ends early, a line that isn't understood.
 */
export async function listFolder(
  connection: FtpConnection,
  at: string,
  folder: string,
  label: string,
): Promise<readonly FileEntry[]> {
  await connection.client.cd(at)
  const known = connection.features.has('MLST')
    ? parseMlsd(await rawList(connection, 'MLSD', folder, label))
    : ([] as readonly ListedEntry[])
  // MLSD is exact, but proftpd leaves out links that lead nowhere, and says of none where it leads; `ls` does.
  const isWhole = connection.features.has('MLST') && !/unix/i.test(connection.system)
  const listed = isWhole ? [] : parseList(await rawList(connection, 'LIST -a', folder, label), systemClock.now() / 1000)
  const entries = await merged(connection, known, listed)
  return entries.map((entry) => entryFrom(entry, folder))
}

/** What either listing has; of both, the exact one's, with the link's end from the other. */
async function merged(
  connection: FtpConnection,
  known: readonly ListedEntry[],
  listed: readonly ListedEntry[],
): Promise<readonly ListedEntry[]> {
  const entries = new Map(known.map((entry) => [entry.name, entry]))
  for (const entry of listed) {
    const exact = entries.get(entry.name)
    if (exact !== undefined) entries.set(entry.name, { ...exact, target: entry.target ?? exact.target })
    else
      entries.set(entry.name, entry.kind === 'file' ? { ...entry, mtimeSeconds: await modified(connection, entry.name) } : entry)
  }
  return [...entries.values()]
}

async function rawList(connection: FtpConnection, command: string, folder: string, label: string): Promise<string> {
  const { client } = connection
  let text = ''
  client.availableListCommands = [command]
  client.parseList = (raw) => {
    text = raw
    return []
  }
  await client.list()
  const answer = connection.answers.last()
  if (FAILED_AFTER_ALL.test(answer)) throw permissionDenied(label, folder, 'list', new Error(answer.trim()))
  if (text !== '' && !text.endsWith('\n')) {
    client.close()
    throw connectionLost(label, folder, new Error('the listing ends in the middle of a line'))
  }
  return text
}

/** Exact, of a file in the folder that the connection is in; `null` where the server doesn't tell (RFC 3659, section 3). */
async function modified(connection: FtpConnection, name: string): Promise<number | null> {
  if (!connection.features.has('MDTM')) return null
  const { code, message } = await connection.client.sendIgnoringError(`MDTM ${await guarded(connection, name)}`)
  return code === 213 ? parseTime(message.slice(4)) : null
}

/** As the client itself does for names that begin with a space. */
const guarded = (connection: FtpConnection, name: string): Promise<string> => connection.client.protectWhitespace(name)

/**
 * One entry by MLST, links not followed where the server says so; `undefined` when it isn't there. `at`: its whole path. `unclear`: the
 * server refuses, and doesn't say that nothing is there; the folder's listing tells. Throws where the refusal is about something else than
 * this path: the login, or the moment (RFC 959, section 4.2.1: 4yz may be otherwise when it is asked again).
 */
export async function lookUp(connection: FtpConnection, at: string, path: string): Promise<FileEntry | 'unclear' | undefined> {
  const { code, message } = await asked(connection, `MLST ${await guarded(connection, at)}`)
  if (code !== 250) return (await isMissing(connection, at, { code, message })) ? undefined : 'unclear'
  const [line] = message.split(/\r?\n/).filter((each) => each.startsWith(' '))
  if (line === undefined) return 'unclear'
  const facts = line.slice(1)
  const found = parseFacts(`${facts.slice(0, facts.indexOf(' '))} ${toWire(nameOf(path))}`)
  return found === 'itself' ? 'unclear' : entryFrom(found, parentOf(path))
}

async function asked({ client }: FtpConnection, command: string): Promise<FTPResponse> {
  const answer = await client.sendIgnoringError(command)
  if ((answer.code >= 400 && answer.code < 500) || answer.code === 530) throw new FTPError(answer)
  return answer
}

/**
 * Whether the server says that nothing is there. proftpd and pure-ftpd say of a missing file, as of a forbidden one, that they can't tell
 * about it; asked to go there they say why. It costs a round trip, and a listing far more in a large folder.
 */
async function isMissing(connection: FtpConnection, at: string, refusal: FTPResponse): Promise<boolean> {
  const says = (answer: FTPResponse): boolean => answer.code >= 500 && meaningOf(new FTPError(answer), connection) === 'missing'
  return says(refusal) || says(await asked(connection, `CWD ${await guarded(connection, at)}`))
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
