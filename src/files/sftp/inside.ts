import { escapes, joinPath, parentOf, targetStaysInside } from '../paths.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

const MOST_LINKS = 20
const MOST_REMEMBERED = 20_000

/**
 * Keeps paths within the root: finds links on the way by asking for every folder once (lstat), and follows them itself, so it
 * doesn't depend on what a server's realpath does.
 */
export class Boundary {
  readonly #label: string
  readonly #root: string
  readonly #folders = new Set<string>([''])

  /** `root`: absolute path of the root on the host. */
  constructor(label: string, root: string) {
    this.#label = label
    this.#root = root
  }

  /** The path on the host of something whose folder was found to be within. */
  full(path: string): string {
    if (path === '') return this.#root
    return this.#root === '/' ? `/${path}` : `${this.#root}/${path}`
  }

  /** This folder was seen to be a real folder, no link. */
  remember(folder: string): void {
    if (this.#folders.size >= MOST_REMEMBERED) this.forget()
    this.#folders.add(folder)
  }

  /** A path was removed or replaced: what was known of folders may be wrong now. */
  forget(): void {
    this.#folders.clear()
    this.#folders.add('')
  }

  knows(folder: string): boolean {
    return this.#folders.has(folder)
  }

  /** Throws `path-escapes-root` when a link on the way to `path` (its own last part not included) leads out of the root. */
  async check(channel: SftpChannel, path: string): Promise<void> {
    const folder = parentOf(path)
    if (!this.#folders.has(folder)) await this.#folder(channel, folder, path, MOST_LINKS)
  }

  /** Like `check`, for a path whose last part is followed too when it is a link. */
  async checkFollowed(channel: SftpChannel, path: string): Promise<void> {
    if (!this.#folders.has(path)) await this.#folder(channel, path, path, MOST_LINKS)
  }

  async #folder(channel: SftpChannel, folder: string, asked: string, linksLeft: number): Promise<void> {
    if (folder === '' || this.#folders.has(folder)) return
    await this.#folder(channel, parentOf(folder), asked, linksLeft)
    const stats = await channel.lstat(this.full(folder)).catch((error: unknown) => {
      if (statusOf(error) === STATUS.missing) return undefined
      throw error
    })
    if (stats === undefined) return // it will be made below folders that are within
    if (!stats.isSymbolicLink()) {
      if (stats.isDirectory()) this.remember(folder)
      return
    }
    const target = await channel.readLink(this.full(folder))
    if (linksLeft === 0 || !targetStaysInside(folder, target, this.#root)) {
      throw escapes(this.#label, asked, `leads outside the folder through the link ${folder}`)
    }
    await this.#folder(channel, this.#resolved(folder, target), asked, linksLeft - 1)
  }

  /** Where a link within the root points, relative to the root. */
  #resolved(link: string, target: string): string {
    const relative = target.startsWith('/') ? target.slice(this.#root.length) : joinPath(parentOf(link), target)
    const parts: string[] = []
    for (const part of relative.split('/')) {
      if (part === '..') parts.pop()
      else if (part !== '' && part !== '.') parts.push(part)
    }
    return parts.join('/')
  }
}
