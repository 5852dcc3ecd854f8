import { CaseProbe } from '../case-folding.ts'
import type { FileEntry, FilePowers } from '../port.ts'
import { ANY_TIME } from '../times.ts'
import type { FtpConnection } from './connection.ts'
import { toWire } from './wire.ts'

const REPLY_CODE = 3

/** True for a server's answer that says yes. */
const isYes = ({ code }: { readonly code: number }): boolean => code >= 200 && code < 300

/** Commands that hash a file with SHA-256: the older XSHA256, and HASH of draft-bryan-ftpext-hash-02. */
const HASHES = ['XSHA256', 'HASH'] as const

/** What a host can do, asked without writing. `root`: whole path of its folder, which holds `entries`. */
export async function findPowers(
  connection: FtpConnection,
  isEncrypted: boolean,
  root: string,
  entries: Iterable<FileEntry>,
): Promise<FilePowers> {
  const { client, system, features } = connection
  const own = await client.sendIgnoringError('SITE HELP')
  const isWindows = /windows/i.test(system)
  const isThere = async (name: string): Promise<boolean> => {
    const { code } = await client.sendIgnoringError(`SIZE ${root}/${toWire(name)}`)
    return code === 213 || (await client.sendIgnoringError(`CWD ${root}/${toWire(name)}`)).code < 400
  }
  const probe = new CaseProbe()
  for (const { path } of entries) probe.see(path)
  return {
    atomicReplace: !isWindows,
    links: false,
    modes: own.code < 400 && /\bCHMOD\b/i.test(own.message),
    freeSpace: features.has('AVBL'),
    times: setsTimes(connection),
    hash: HASHES.find((command) => features.has(command)) ?? null,
    foldsCase: (await probe.foldsCase(isThere)) ?? (isWindows ? true : null),
    names: isWindows ? 'windows' : 'bytes',
    lineBreaks: false,
    offsets: features.has('REST') || !features.has('SIZE'),
    // A listing alone tells minutes, and of older files days.
    timeSeconds: features.has('MLST') || features.has('MDTM') ? 1 : 60,
    timeRange: ANY_TIME,
    flushes: 'nothing',
    copies: false,
    sealed: isEncrypted,
  }
}

/**
 * Whether a file's time can be set: by MFMT, or by MDTM with a time in front, which is older and stands for no more than asking where
 * IIS has it.
 */
export const setsTimes = ({ features, system }: FtpConnection): boolean =>
  features.has('MFMT') || (features.has('MDTM') && !/windows/i.test(system))

/**
 * A name as XSHA256 and its kind take it: further words, unless they are quoted, say which part of the file is meant (ProFTPD's mod_digest;
 * no standard describes them). `undefined` for one that can't be told so.
 */
function quoted(path: string): string | undefined {
  if (!path.includes(' ')) return path
  return path.includes('"') ? undefined : `"${path}"`
}

/** SHA-256 by the server, hexadecimal; `undefined` where it can't. */
export async function serverHash({ client, features }: FtpConnection, path: string): Promise<string | undefined> {
  for (const command of HASHES) {
    if (!features.has(command)) continue
    if (command === 'HASH' && !isYes(await client.sendIgnoringError('OPTS HASH SHA-256'))) continue
    const name = command === 'XSHA256' ? quoted(path) : path
    if (name === undefined) continue
    const answer = await client.sendIgnoringError(`${command} ${name}`)
    const found = isYes(answer) ? /\b[0-9a-f]{64}\b/i.exec(answer.message.slice(REPLY_CODE)) : null
    if (found !== null) return found[0].toLowerCase()
  }
  return undefined
}

/** Free bytes by AVBL (draft-peterson-streamlined-ftp-command-extensions-10, section 4); `null` where the server has no such command. */
export async function freeBytes({ client, features }: FtpConnection, path: string): Promise<number | null> {
  if (!features.has('AVBL')) return null
  const answer = await client.sendIgnoringError(`AVBL ${path}`)
  const found = answer.code === 213 ? /^213 (\d+)\s*$/.exec(answer.message) : null
  return found === null ? null : Number(found[1])
}
