import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { keepingError } from '../base/disk-full.ts'
import { LongList } from '../base/long-list.ts'
import { andMore } from '../base/units.ts'
import { shownPath } from '../files/raw-names.ts'
import type { Effects, StepRun } from '../run/step.ts'

/** So many are named where people read of them; a file in the run's folder has all. */
const NAMED = 5
const PAGE = 1000

/** Names of files that people are told of, however many they are. */
export class LongNames {
  readonly #all = new LongList<string>(PAGE)
  /** The first of them in alphabetical order. */
  #first: string[] = []

  get count(): number {
    return this.#all.length
  }

  add(path: string): void {
    const name = shownPath(path)
    this.#all.add(name)
    if (this.#first.length === NAMED && name >= (this.#first.at(-1) ?? '')) return
    this.#first = [...this.#first, name].sort().slice(0, NAMED)
  }

  /** The first few, and how many there are beyond. */
  first(): string {
    return andMore(this.#first, this.count)
  }

  /** The same, and where all are: in a file of the run's folder, `called` so, which is written now. */
  async told(run: Pick<StepRun, 'directory'>, effects: Effects, called: string): Promise<string> {
    const path = join(run.directory, 'lists', `${called}.txt`)
    const isLong = this.count > this.#first.length
    if (isLong || existsSync(path))
      await effects('files: list names', () => (isLong ? this.#write(path, run.directory) : rm(path)))
    return isLong ? `${this.first()} (all of them in ${path})` : this.first()
  }

  async #write(path: string, directory: string): Promise<void> {
    const lines = function* (pages: Iterable<readonly string[]>): Generator<string> {
      for (const names of pages) yield `${names.join('\n')}\n`
    }
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await pipeline(lines(this.#all.pages()), createWriteStream(`${path}.new`, { mode: 0o600 }))
      await rename(`${path}.new`, path)
    } catch (error) {
      throw keepingError(error, directory)
    }
  }
}
