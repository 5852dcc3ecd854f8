import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { noTemporaryRoom } from '../base/disk-full.ts'
import { openPrivate } from '../base/sqlite.ts'
import { folded } from '../files/case-folding.ts'
import { nameOf, parentOf } from '../files/paths.ts'
import { shownPath } from '../files/raw-names.ts'

/** So many names of a folder are held; those of a larger one are kept by SQLite. */
const MOST_HELD = 8192
const CACHE_KIB = 4096

/**
 * Finds names of one folder that differ in case alone, or in how an accent is written (Unicode's NFC and NFD), in a listing with folders
 * before what they hold. Memory: some mebibytes for each of the folders on the way down, whatever the size of the tree and of its folders.
 * Close it.
 */
export class SameNames {
  readonly #key: (name: string) => string
  readonly #tell: (both: string) => void
  #levels: { readonly folder: string; readonly names: Names }[] = []

  /**
   * `composes`: a letter with its accent as one character or as two is the same. `folds`: a capital and a small letter are. `tell`: is told of each
   * two, as people read it.
   */
  constructor({ composes, folds }: { readonly composes: boolean; readonly folds: boolean }, tell: (both: string) => void) {
    this.#key = (name) => {
      const composed = composes ? name.normalize('NFC') : name
      return folds ? folded(composed) : composed
    }
    this.#tell = tell
  }

  add(path: string): void {
    const folder = parentOf(path)
    while (this.#levels.length > 0 && !isWithin(folder, this.#levels.at(-1)?.folder ?? '')) this.#levels.pop()?.names.close()
    let level = this.#levels.at(-1)
    if (level?.folder !== folder) {
      level = { folder, names: new Names() }
      this.#levels.push(level)
    }
    const name = nameOf(path)
    const other = level.names.add(this.#key(name), name)
    if (other === undefined) return
    this.#tell(`${shownPath(`${folder === '' ? '' : `${folder}/`}${other} and ${path}`)}${howTheyDiffer(other, name)}`)
  }

  close(): void {
    for (const { names } of this.#levels) names.close()
  }
}

/** Names by what they come to. */
class Names {
  #held = new Map<string, string>()
  #kept: Kept | undefined

  /** Returns the name that came first of those that come to the same; `undefined` when it is this one. */
  add(key: string, name: string): string | undefined {
    if (this.#kept !== undefined) return this.#kept.add(key, name)
    const other = this.#held.get(key)
    if (other !== undefined) return other
    this.#held.set(key, name)
    if (this.#held.size < MOST_HELD) return undefined
    this.#kept = new Kept()
    for (const [each, first] of this.#held) this.#kept.add(each, first)
    this.#held = new Map()
    return undefined
  }

  close(): void {
    this.#kept?.close()
  }
}

class Kept {
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  readonly #find: StatementSync

  constructor() {
    this.#database = openPrivate(CACHE_KIB)
    this.#database.exec('CREATE TABLE names (key TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID')
    this.#insert = this.#database.prepare('INSERT INTO names VALUES (?, ?) ON CONFLICT DO NOTHING')
    this.#find = this.#database.prepare('SELECT name FROM names WHERE key = ?')
  }

  add(key: string, name: string): string | undefined {
    try {
      if (this.#insert.run(key, name).changes !== 0) return undefined
      return String(this.#find.get(key)?.name)
    } catch (error) {
      throw noTemporaryRoom(error, 'the names of a large folder')
    }
  }

  close(): void {
    this.#database.close()
  }
}

/** What isn't to be seen. */
const howTheyDiffer = (a: string, b: string): string =>
  a.normalize('NFC') === b.normalize('NFC') ? ' (an accent is a character of its own in one of them)' : ''

const isWithin = (folder: string, above: string): boolean => above === '' || folder === above || folder.startsWith(`${above}/`)
