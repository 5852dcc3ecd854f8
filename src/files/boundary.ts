import { escapes, joinPath, parentOf, targetStaysInside } from './paths.ts'
import type { FileEntry } from './port.ts'

const MOST_LINKS = 20
const MOST_REMEMBERED = 20_000

/** What stands under a path, links not followed; `undefined` when nothing does. Its folder was found to be within. */
export type LookUp = (path: string) => Promise<Pick<FileEntry, 'kind' | 'target'> | undefined>

/**
 * Keeps paths within the root: looks at every folder on the way once, and follows links itself, by what is written in them, so it doesn't
 * depend on what a server makes of them.
 */
export class Boundary {
  readonly #label: string
  readonly #root: string | null
  readonly #folders = new Set<string>([''])

  /** `root`: absolute path of the root on the host, below which absolute links stay within; `null` where none does. */
  constructor(label: string, root: string | null) {
    this.#label = label
    this.#root = root
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
  async check(path: string, lookUp: LookUp): Promise<void> {
    await this.#folder(parentOf(path), path, lookUp, MOST_LINKS)
  }

  /** Like `check`, for a path whose last part is followed too when it is a link. */
  async checkFollowed(path: string, lookUp: LookUp): Promise<void> {
    await this.#folder(path, path, lookUp, MOST_LINKS)
  }

  async #folder(folder: string, asked: string, lookUp: LookUp, linksLeft: number): Promise<void> {
    if (this.#folders.has(folder)) return
    await this.#folder(parentOf(folder), asked, lookUp, linksLeft)
    const entry = await lookUp(folder)
    if (entry?.kind === 'folder') this.remember(folder)
    if (entry?.kind === 'other')
      throw escapes(this.#label, asked, `goes through ${folder}, and the host doesn’t say what that is`)
    if (entry?.kind !== 'link') return // what isn't there will be made below folders that are within
    const { target } = entry
    if (target === null)
      throw escapes(this.#label, asked, `goes through the link ${folder}, and the host doesn’t say where it leads`)
    if (linksLeft === 0 || !targetStaysInside(folder, target, this.#root))
      throw escapes(this.#label, asked, `leads outside the folder through the link ${folder}`)
    await this.#folder(this.#resolved(folder, target), asked, lookUp, linksLeft - 1)
  }

  /** Where a link within the root points, relative to the root. */
  #resolved(link: string, target: string): string {
    const relative = target.startsWith('/') ? target.slice(this.#root?.length ?? 0) : joinPath(parentOf(link), target)
    const parts: string[] = []
    for (const part of relative.split('/')) {
      if (part === '..') parts.pop()
      else if (part !== '' && part !== '.') parts.push(part)
    }
    return parts.join('/')
  }
}
