import { CaseProbe, otherCase } from '../case-folding.ts'
import type { FilePowers } from '../port.ts'
import { type SftpChannel, statusOf } from './channel.ts'
import { checksFiles } from './check-file.ts'
import { SPACE } from './failures.ts'
import type { ShellHashes } from './hashes.ts'
import { seeNames } from './listing.ts'
import { FLUSH } from './on-disk.ts'
import { isMissing, REPLACE } from './placing.ts'
import { TIMES } from './transfer.ts'

/** OpenSSH's PROTOCOL file, section 4.10 (draft-ietf-secsh-filexfer-extensions-00, section 7). */
const COPY = 'copy-data'

type Find = (channel: SftpChannel, root: string) => Promise<FilePowers>

/** What a host can do, found when it is first wanted: once for all who want it at that moment. */
export class KnownPowers {
  readonly #hashes: ShellHashes
  readonly #find: (find: Find) => Promise<FilePowers>
  #known: FilePowers | undefined
  #finding: Promise<FilePowers> | undefined

  /** `find`: lends a session, and tells the folder's whole path. */
  constructor(hashes: ShellHashes, find: (find: Find) => Promise<FilePowers>) {
    this.#hashes = hashes
    this.#find = find
  }

  async get(): Promise<FilePowers> {
    if (this.#known !== undefined) return this.#known
    this.#finding ??= this.#find((channel, root) => findPowers(channel, root, this.#hashes)).finally(() => {
      this.#finding = undefined
    })
    const found = await this.#finding
    // Where something was not to be told yet, as of a folder that isn't there, it is asked again.
    if (this.#hashes.isKnown && found.foldsCase !== null) this.#known = found
    return found
  }
}

/** What a host can do, asked without writing. `root`: whole path of the folder. */
async function findPowers(channel: SftpChannel, root: string, hashes: ShellHashes): Promise<FilePowers> {
  const [program, checks, folds, windows] = await Promise.all([
    hashes.program(channel, root),
    checksFiles(channel, root),
    foldsCaseAt(channel, root),
    isWindows(channel),
  ])
  return {
    atomicReplace: channel.has(REPLACE),
    links: true,
    modes: true,
    freeSpace: channel.has(SPACE),
    times: true,
    hash: program !== null ? `${program} over SSH` : checks ? 'check-file over SFTP' : null,
    foldsCase: folds,
    names: windows ? 'windows' : 'bytes',
    lineBreaks: true,
    offsets: true,
    // Protocol version 3 has whole seconds (draft-ietf-secsh-filexfer-02, section 5).
    timeSeconds: 1,
    timeRange: TIMES,
    flushes: program !== null && channel.has(REPLACE) ? 'all' : channel.has(FLUSH) ? 'large' : 'nothing',
    copies: channel.has(COPY),
    sealed: true,
  }
}

/** OpenSSH for Windows gives whole paths a drive: `/C:/Users/site`. */
const isWindows = async (channel: SftpChannel): Promise<boolean> => /^\/[A-Za-z]:/.test(await channel.realPath('.'))

/** By a name in the folder, or else by the folder's own, or by those beside it. */
async function foldsCaseAt(channel: SftpChannel, root: string): Promise<boolean | null> {
  // Asked beside the others: on a long way it would be waited for.
  const own = foldsOwnName(channel, root)
  own.catch(() => undefined) // thrown when it comes to it
  const above = root.slice(0, root.lastIndexOf('/')) || '/'
  for (const folder of root === '/' ? [root] : [root, above]) {
    const probe = await probeOf(channel, folder)
    const below = folder === '/' ? '' : folder
    const found = await probe.foldsCase(async (name) => !(await isMissing(channel, `${below}/${name}`)))
    if (found !== null) return found
    if ((await own) === false) return false
  }
  return null
}

async function probeOf(channel: SftpChannel, folder: string): Promise<CaseProbe> {
  const probe = new CaseProbe()
  try {
    await seeNames(channel, folder, (name) => probe.see(name))
  } catch (error) {
    if (statusOf(error) === undefined) throw error
    // The folder may not be there yet, and the one above may be shut to this account.
    return new CaseProbe()
  }
  return probe
}

/** False when the folder is there and not to be found by the other case of its name; `null` when that doesn't tell. */
async function foldsOwnName(channel: SftpChannel, root: string): Promise<false | null> {
  const at = root.lastIndexOf('/') + 1
  const other = root.slice(0, at) + otherCase(root.slice(at))
  if (other === root) return null
  const [isRootMissing, isOtherMissing] = await Promise.all([isMissing(channel, root), isMissing(channel, other)])
  return !isRootMissing && isOtherMissing ? false : null
}
