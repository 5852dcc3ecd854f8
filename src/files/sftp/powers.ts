import { CaseProbe } from '../case-folding.ts'
import type { FilePowers } from '../port.ts'
import { type SftpChannel, statusOf } from './channel.ts'
import { checksFiles } from './check-file.ts'
import { SPACE } from './failures.ts'
import type { ShellHashes } from './hashes.ts'
import { seeNames } from './listing.ts'
import { FLUSH } from './on-disk.ts'
import { isMissing, REPLACE } from './placing.ts'

/** OpenSSH's PROTOCOL file, section 4.10 (draft-ietf-secsh-filexfer-extensions-00, section 7). */
const COPY = 'copy-data'

/** What a host can do, asked without writing. `root`: whole path of the folder. */
export async function findPowers(channel: SftpChannel, root: string, hashes: ShellHashes): Promise<FilePowers> {
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
    flushes: program !== null && channel.has(REPLACE) ? 'all' : channel.has(FLUSH) ? 'large' : 'nothing',
    copies: channel.has(COPY),
    sealed: true,
  }
}

/** OpenSSH for Windows gives whole paths a drive: `/C:/Users/site`. */
const isWindows = async (channel: SftpChannel): Promise<boolean> => /^\/[A-Za-z]:/.test(await channel.realPath('.'))

/** By a name in the folder, or else by the folder's own. */
async function foldsCaseAt(channel: SftpChannel, root: string): Promise<boolean | null> {
  const above = root.slice(0, root.lastIndexOf('/')) || '/'
  for (const folder of root === '/' ? [root] : [root, above]) {
    let probe = new CaseProbe()
    await seeNames(channel, folder, (name) => probe.see(name)).catch((error: unknown) => {
      // The folder may not be there yet, and the one above may be shut to this account.
      if (statusOf(error) === undefined) throw error
      probe = new CaseProbe()
    })
    const below = folder === '/' ? '' : folder
    const found = await probe.foldsCase(async (name) => !(await isMissing(channel, `${below}/${name}`)))
    if (found !== null) return found
  }
  return null
}
