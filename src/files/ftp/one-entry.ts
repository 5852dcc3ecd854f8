import { FTPError } from 'basic-ftp'
import { systemClock } from '../../base/clock.ts'
import { joinPath, nameOf, parentOf } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import type { FtpConnection } from './connection.ts'
import { asked, isSurelyMissing, modified, saysMissing } from './folder.ts'
import { eachLine } from './lines.ts'
import { type ListedEntry, parseListLine } from './listing.ts'
import { sizeOf } from './transfer.ts'
import { fromWire, toWire } from './wire.ts'

/** From so many lines on, to ask for one entry alone is less than to list its folder. */
const LARGE_LINES = 200
/** A server may take other names for a pattern, an option, or what it shows only when asked for all. */
const PLAIN = /^[^-. *?[\]{}~"\\](?:[^*?[\]{}~"\\]*[^ *?[\]{}~"\\])?$/

/**
 * Single entries of a host without MLST whose folders are large: a listing of 100,000 lines for each of 100,000 files would never end. Asked for by
 * `LIST` of the one name, SIZE and MDTM, and believed only where these agree.
 */
export class OneEntry {
  /** Large folders, each with the name of a file that it has. */
  readonly #large = new Map<string, string>()
  /** It was seen to answer `LIST` of a name with that line: of one that it hasn't it then says nothing. */
  #listsOne = false

  /** To be told how many lines the listing of a folder has, and of a file among them. */
  counting(folder: string) {
    return (lines: number, file: string | undefined): void => {
      if (lines < LARGE_LINES || file === undefined) this.#large.delete(folder)
      else this.#large.set(folder, nameOf(file))
    }
  }

  /** `at`: the whole path of its folder. `unclear`: the folder's listing tells. */
  async lookUp(connection: FtpConnection, at: string, path: string): Promise<FileEntry | 'unclear' | undefined> {
    const { client, features } = connection
    const whole = at.endsWith('/') ? `${at}${toWire(nameOf(path))}` : `${at}/${toWire(nameOf(path))}`
    if (await isSurelyMissing(connection, whole)) return undefined
    const known = this.#large.get(parentOf(path))
    if (known === undefined || !features.has('SIZE') || !features.has('MDTM') || !PLAIN.test(nameOf(path))) return 'unclear'
    await client.cd(at)
    const found = await this.#file(connection, path)
    if (found !== 'none') return found
    this.#listsOne ||= PLAIN.test(known) && typeof (await this.#file(connection, joinPath(parentOf(path), known))) === 'object'
    if (!this.#listsOne) return 'unclear'
    // A link that it follows, or a folder.
    const name = toWire(nameOf(path))
    return (await asked(connection, `CWD ${name}`)).code < 500 ? 'unclear' : undefined
  }

  /** A file, in the folder that the connection is in; `none`: no line, and no size. */
  async #file(connection: FtpConnection, path: string): Promise<FileEntry | 'unclear' | 'none'> {
    const name = toWire(nameOf(path))
    const lines = await linesOf(connection, name)
    const size = await sizeOf(connection, name)
    const [line, ...more] = lines
    if (line === undefined) return size === null ? 'none' : 'unclear'
    // The size is that of what stands under the name: of a folder, a file of the same name in it may have been listed.
    if (more.length > 0 || line.kind !== 'file' || line.size !== size) return 'unclear'
    const mtimeSeconds = await modified(connection, name)
    if (mtimeSeconds === null) return 'unclear'
    this.#listsOne = true
    return {
      path: joinPath(parentOf(path), fromWire(line.name)),
      kind: 'file',
      size,
      mode: line.mode,
      mtimeSeconds,
      target: null,
    }
  }
}

/** What `LIST` of one name says of that name: vsftpd gives links that lead to it, too. */
async function linesOf(connection: FtpConnection, name: string): Promise<readonly ListedEntry[]> {
  const now = systemClock.now() / 1000
  const lines: ListedEntry[] = []
  try {
    await eachLine(connection.client, `LIST ${name}`, (line) => {
      const entry = parseListLine(line, now)
      if (entry !== 'itself' && entry.name === name) lines.push(entry)
    })
  } catch (error) {
    if (!(error instanceof FTPError) || !saysMissing(connection, error)) throw error
  }
  return lines
}
