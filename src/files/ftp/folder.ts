import { systemClock } from '../../base/clock.ts'
import { connectionLost, permissionDenied } from '../failures.ts'
import { joinPath, nameOf, parentOf } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import type { FtpConnection } from './connection.ts'
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

/** One entry by MLST, links not followed where the server says so; `undefined` when it isn't there. `at`: its whole path. */
export async function lookUp(connection: FtpConnection, at: string, path: string): Promise<FileEntry | undefined> {
  const { code, message } = await connection.client.sendIgnoringError(`MLST ${await guarded(connection, at)}`)
  if (code !== 250) return undefined
  const [line] = message.split(/\r?\n/).filter((each) => each.startsWith(' '))
  if (line === undefined) return undefined
  const facts = line.slice(1)
  const found = parseFacts(`${facts.slice(0, facts.indexOf(' '))} ${toWire(nameOf(path))}`)
  return found === 'itself' ? undefined : entryFrom(found, parentOf(path))
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
