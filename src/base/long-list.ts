import type { DatabaseSync } from 'node:sqlite'
import { noTemporaryRoom } from './disk-full.ts'
import { openPrivate } from './sqlite.ts'

/** So many are held as they are; most lists have fewer. */
const MOST_HELD = 2000
const CACHE_KIB = 2048

/**
 * A list that may have a million items, in pages. Memory: some pages, however many there are; the others are kept by SQLite, among the temporary
 * files where they are too many for its cache, and are gone with the process. Items are plain data. Throws MigrateError `disk-full` when
 * there is no room for them.
 */
export class LongList<T> {
  readonly #pageSize: number
  readonly #held: (readonly T[])[] = []
  #open: T[] = []
  #database: DatabaseSync | undefined
  #recent: { readonly page: number; readonly items: readonly T[] } | undefined
  /** How many items it has, and how many pages: the last one is still open until it is full or ended. */
  length = 0
  pageCount = 0

  /** `pageSize`: items of a page at most. */
  constructor(pageSize: number) {
    this.#pageSize = pageSize
  }

  add(item: T): void {
    if (this.#open.length === 0) this.pageCount += 1
    this.#open.push(item)
    this.length += 1
    if (this.#open.length >= this.#pageSize) this.endPage()
  }

  /** The next item begins a page. */
  endPage(): void {
    const page = this.#open
    if (page.length === 0) return
    this.#open = []
    if (this.length <= MOST_HELD) this.#held.push(page)
    else this.#keep(page)
  }

  /** A page, from 0; the one that was asked for last costs nothing. */
  page(page: number): readonly T[] {
    const held = this.#held[page] ?? (page === this.pageCount - 1 && this.#open.length > 0 ? this.#open : undefined)
    if (held !== undefined) return held
    if (this.#recent?.page !== page) this.#recent = { page, items: this.#read(page) }
    return this.#recent.items
  }

  *pages(): Generator<readonly T[]> {
    for (let page = 0; page < this.pageCount; page += 1) yield this.page(page)
  }

  /** What is made of each page, which is read only when it is asked for its items. */
  ofPages<M>(make: (items: () => readonly T[]) => M): readonly M[] {
    return Array.from({ length: this.pageCount }, (_, page) => make(() => this.page(page)))
  }

  #keep(items: readonly T[]): void {
    this.#database ??= made()
    try {
      this.#database.prepare('INSERT INTO pages VALUES (?, ?)').run(this.pageCount - 1, JSON.stringify(items))
    } catch (error) {
      throw noTemporaryRoom(error, 'a long list')
    }
  }

  #read(page: number): readonly T[] {
    const row = this.#database?.prepare('SELECT items FROM pages WHERE page = ?').get(page)
    return row === undefined ? [] : JSON.parse(String(row.items))
  }
}

function made(): DatabaseSync {
  const database = openPrivate(CACHE_KIB)
  database.exec('CREATE TABLE pages (page INTEGER PRIMARY KEY, items TEXT)')
  return database
}
