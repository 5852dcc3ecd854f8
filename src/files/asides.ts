import { MigrateError } from '../base/errors.ts'
import { asidePath, originalOf, partPath } from './paths.ts'
import type { FileEntry } from './port.ts'
import { shownPath } from './raw-names.ts'

/** What a host can do with names, by paths relative to its root. */
export interface Renaming {
  readonly label: string
  /** Whether an error means that the connection broke: what became of the request isn't known then. */
  isLost(error: unknown): boolean
  /** Refused when something stands under `to`. */
  rename(from: string, to: string): Promise<void>
  /** No error when it isn't there. */
  remove(path: string): Promise<void>
  /** What stands there; `undefined` for nothing. */
  kindAt(path: string): Promise<FileEntry['kind'] | undefined>
}

/**
 * Replaces files on a host whose rename replaces nothing: the old file steps aside, the new one takes its name, the old one goes. For an instant
 * there is none under the name, never half a one; whatever is refused on the way, the old one is put back.
 */
export class Asides {
  /** Paths whose old file may stand aside: because this process was cut off there, or because a listing has shown one that another left. */
  readonly #cutOff = new Set<string>()
  readonly #seen = new Set<string>()

  /** Is to be told of what listings show. */
  see(path: string): void {
    const original = originalOf(path)
    if (original !== undefined) this.#seen.add(original)
  }

  /** Gives a path to its part. `refusal`: why the host didn't do it in one step; thrown when nothing stands there that could be the reason, or a folder. */
  async replace(host: Renaming, path: string, refusal: unknown, part = partPath(path)): Promise<void> {
    const kind = await host.kindAt(path)
    if (kind === undefined || kind === 'folder') throw refusal
    const aside = asidePath(path)
    await host.remove(aside)
    try {
      await host.rename(path, aside).catch((error: unknown) => {
        throw host.isLost(error) ? error : refusal
      })
      await this.#take(host, path, part)
      await host.remove(aside)
    } catch (error) {
      if (host.isLost(error)) this.#cutOff.add(path)
      throw error
    }
  }

  /** What has stepped aside gets its name back when its part can't take it. */
  async #take(host: Renaming, path: string, part: string): Promise<void> {
    try {
      await host.rename(part, path)
    } catch (error) {
      if (host.isLost(error)) throw error
      await host.rename(asidePath(path), path).catch((failed: unknown) => {
        throw host.isLost(failed) ? failed : leftAside(host.label, path, error)
      })
      throw error
    }
  }

  /** Ends what this process was cut off in at a path, if anything: the old file has its name again, unless the new one has it. */
  async mend(host: Renaming, path: string): Promise<void> {
    if (this.#cutOff.has(path)) await this.settle(host, path)
  }

  /** Nothing stands aside for a path any more: it gets its name back where nothing has it, and goes otherwise. */
  async settle(host: Renaming, path: string): Promise<void> {
    const aside = asidePath(path)
    if ((await host.kindAt(path)) !== undefined) await host.remove(aside)
    else if ((await host.kindAt(aside)) !== undefined) await host.rename(aside, path)
    this.#cutOff.delete(path)
    this.#seen.delete(path)
  }

  /** Paths for which something may stand aside. */
  pending(): readonly string[] {
    return [...new Set([...this.#cutOff, ...this.#seen])]
  }
}

const leftAside = (label: string, path: string, cause: unknown): MigrateError => {
  const [shown, aside] = [path, asidePath(path)].map((each) => shownPath(JSON.stringify(each)))
  return new MigrateError(
    'files-failed',
    `${label} let ${shown} step aside, then neither let the new file take its name nor gave the name back: what stood there is ${aside} now.`,
    { hint: `Rename ${aside} back to ${shown} on that host, then run again.`, cause },
  )
}
