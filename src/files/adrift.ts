import { randomBytes } from 'node:crypto'
import { codeOf } from '../base/errors.ts'
import { joinPath, laneFolder, laneOf, lanePart } from './paths.ts'

/** On the host, paths below the root; no error for what isn't there. */
interface Tidying {
  makeFolder(path: string, mode: number | null): Promise<void>
  remove(path: string): Promise<void>
  removeFolder(path: string): Promise<void>
}

/** The part of one try, below the root. */
export interface LanePart {
  readonly path: string
  /** To be said at the end of the try. `isLeft`: the part may stand there still, or be renamed late. */
  over(isLeft: boolean): void
}

/** Whether a host can't be asked now, which says nothing of what stands there. */
export const isAway = (error: unknown): boolean => ['files-connection-lost', 'files-unreachable'].includes(codeOf(error) ?? '')

/**
 * Programs on the host that put files there (receiver.ts) and that nobody hears of any more: they hung, the connection to them broke, or the process
 * that had begun them was killed. Each may be at work still, or again after an hour, and must not give a file of its own a name under which
 * another one was written since. Each finds its way through an empty folder of its own, for every name that it uses: when that is gone, it can
 * open and rename nothing more; and when the part that it may have had in hand is gone after that, it has nothing that could get a name.
 */
export class Adrift {
  readonly #host: Tidying
  /** Folders of this process's own, which it needs: of programs that it hears of, and those that files are unpacked into. */
  readonly own = new Set<string>()
  readonly #folders = new Set<string>()
  readonly #parts = new Set<string>()
  #settling: Promise<void> | undefined

  constructor(host: Tidying) {
    this.#host = host
  }

  /** A name for the parts of one program, or of one try, that no other one has. */
  newLane(): string {
    const lane = randomBytes(6).toString('hex')
    this.own.add(laneFolder(lane))
    return lane
  }

  /** Makes the folder of a lane. */
  make(lane: string): Promise<void> {
    return this.#host.makeFolder(laneFolder(lane), null)
  }

  /** Is to be told of what listings show. */
  see(path: string): void {
    const lane = laneOf(path)
    if (lane === undefined || this.own.has(laneFolder(lane))) return
    if (path === laneFolder(lane)) this.#folders.add(path)
    else this.#parts.add(path)
  }

  /** A program is heard of no more, which had files for these folders in hand. */
  lost(lane: string, folders: ReadonlySet<string>): void {
    this.#folders.add(laneFolder(lane))
    for (const folder of folders) this.#parts.add(joinPath(folder, lanePart(lane)))
  }

  /** A program has ended by itself, or a try that had a name for its part is over. */
  ended(lane: string): void {
    this.own.delete(laneFolder(lane))
  }

  /** A name for the part of one try in a folder, that no other one has; until that is over. */
  newPart(folder: string): LanePart {
    const lane = this.newLane()
    return {
      path: joinPath(folder, lanePart(lane)),
      over: (isLeft) => (isLeft ? this.lost(lane, new Set([folder])) : this.ended(lane)),
    }
  }

  get isSettled(): boolean {
    return this.#folders.size === 0 && this.#parts.size === 0
  }

  /** To be awaited before anything is written: none of them can give a name any more when it returns. */
  async settle(): Promise<void> {
    while (!this.isSettled) {
      this.#settling ??= this.#settle().finally(() => {
        this.#settling = undefined
      })
      await this.#settling
    }
  }

  /** The folders first: only then nothing comes after the parts. */
  async #settle(): Promise<void> {
    await Promise.all(
      [...this.#folders].map((folder) => this.#removed(folder, this.#folders, () => this.#host.removeFolder(folder))),
    )
    await Promise.all([...this.#parts].map((part) => this.#removed(part, this.#parts, () => this.#host.remove(part))))
  }

  /** What another account has left, this one may perhaps not remove: it is not held up by that. */
  async #removed(path: string, from: Set<string>, remove: () => Promise<void>): Promise<void> {
    try {
      await remove()
    } catch (error) {
      if (this.own.has(path) || isAway(error)) throw error
    }
    from.delete(path)
    this.own.delete(path)
  }
}
