import { escapes, joinPath, parentOf, targetStaysInside } from '../paths.ts'
import type { FileEntry } from '../port.ts'

const MOST_LINKS = 20
const MOST_REMEMBERED = 20_000

/** What stands under a path, links not followed; `undefined` when nothing does. Its folder was found to be within. */
export type LookUp = (path: string) => Promise<FileEntry | undefined>

/** Keeps paths within the root: looks at every folder on the way once, and follows links itself, by what is written in them. */
export class Boundary {
  readonly #label: string
  readonly #folders = new Set<string>([''])

  constructor(label: string) {
    this.#label = label
  }

  /** This folder was seen to be a real one, no link, or a link that stays within. */
  remember(folder: string): void {
    if (this.#folders.size >= MOST_REMEMBERED) this.forget()
    this.#folders.add(folder)
  }

  /** Something was removed or replaced: what was known of folders may be wrong now. */
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
    if (folder === '' || this.#folders.has(folder)) return
    await this.#folder(parentOf(folder), asked, lookUp, linksLeft)
    const entry = await lookUp(folder)
    if (entry?.kind === 'folder') this.remember(folder)
    if (entry?.kind !== 'link') return
    const { target } = entry
    if (linksLeft === 0) throw escapes(this.#label, asked, 'goes through too many links')
    if (target === null)
      throw escapes(this.#label, asked, `goes through the link ${folder}, and the host doesn’t say where it leads`)
    if (!targetStaysInside(folder, target, null))
      throw escapes(this.#label, asked, `goes through the link ${folder}, which leads outside`)
    await this.#folder(resolved(folder, target), asked, lookUp, linksLeft - 1)
  }
}

/** Where a relative link leads, from the root. */
function resolved(link: string, target: string): string {
  const parts = parentOf(link)
    .split('/')
    .filter((part) => part !== '')
  for (const part of target.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.reduce(joinPath, '')
}
