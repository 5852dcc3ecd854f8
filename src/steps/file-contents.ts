import { hash } from 'node:crypto'
import type { SQLOutputValue } from 'node:sqlite'
import type { Sqlite } from '../base/sqlite.ts'
import { Packs, type Place } from './file-packs.ts'

/** Contents copied from a pack that is to go in one transaction: others may want to write in between. */
const AT_ONCE = 1000

/** Places that are held, of those that were told first. */
const MOST_EXPECTED = 4000

/** Small contents by their SHA-256: the bytes in packs, and in the index (SQLite) where each of them lies. */
export class SmallContents {
  readonly #packs: Packs
  readonly #index: Sqlite
  #marked = ''
  #expected: readonly ReadonlyMap<string, Place>[] = []

  constructor(directory: string, index: Sqlite) {
    this.#packs = new Packs(directory)
    this.#index = index
  }

  /** For an index that is being made. `written`: bytes that the index knows of; `synced`: of them on disk, whatever happens to the power. */
  static readonly tables = `
    CREATE TABLE IF NOT EXISTS contents (
      sha256 BLOB PRIMARY KEY, pack INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS packs (number INTEGER PRIMARY KEY, written INTEGER NOT NULL, synced INTEGER NOT NULL)`

  /** Belongs into a `transaction`. */
  keep(sha256: string, bytes: Buffer): void {
    const { pack, start, length } = this.#packs.next(bytes.length)
    const insert = this.#index.prepared('INSERT INTO contents VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
    if (insert.run(keyOf(sha256), pack, start, length).changes !== 0) this.#packs.add(bytes)
  }

  /** Tells where contents lie that are about to be asked for: sooner than each of them by itself. `at`: of the hash, then the pack, the start, the length. */
  expect(rows: readonly (readonly SQLOutputValue[])[], at: number): void {
    const places = new Map<string, Place>()
    for (const row of rows) {
      const [sha256, pack] = [row[at], row[at + 1]]
      if (typeof sha256 !== 'string' || pack === null) continue
      places.set(sha256, { pack: Number(pack), start: Number(row[at + 2]), length: Number(row[at + 3]) })
    }
    let held = places.size
    const recent = this.#expected.filter((earlier) => {
      held += earlier.size
      return held <= MOST_EXPECTED
    })
    this.#expected = places.size === 0 ? recent : [places, ...recent]
  }

  /**
   * All that `work` changes in the index and keeps, or nothing of it: the bytes are written before the index says so. `toDisk`: and can't be
   * lost by a power cut either; otherwise they are brought to the disk beside the work, when much has gathered.
   */
  transaction(toDisk: boolean, work: () => void): void {
    try {
      this.#index.transaction(() => {
        work()
        this.#settle(toDisk)
      })
    } catch (error) {
      this.#packs.drop()
      this.#marked = ''
      throw error
    }
    this.#packs.syncWhenDue()
  }

  has(sha256: string, size: number): boolean {
    const place = this.#place(sha256)
    return place?.length === size && this.#packs.holds(place)
  }

  /** `undefined` when it is missing or damaged. */
  read(sha256: string): Buffer | undefined {
    const expected = this.#expectedAt(sha256)
    const bytes = expected === undefined ? undefined : this.#readProven(expected, sha256)
    if (bytes !== undefined) return bytes
    // One that was told may have been moved to another pack since.
    const place = this.#indexed(sha256)
    return place === undefined ? undefined : this.#readProven(place, sha256)
  }

  /**
   * Looks through what may not have reached the disk before a kill or a power cut, or what a pack no longer has, and forgets what comes from
   * the first on that isn't there: it is fetched again. What is being written by others at this moment is found to be right.
   */
  proveUnsynced(): void {
    for (const { number, written, synced } of this.#known()) {
      const sound = Math.min(synced, this.#packs.sizeOf(number))
      if (sound >= written) continue
      const unsynced = this.#index.prepared('SELECT * FROM contents WHERE pack = ? AND start + length > ?')
      let [isThere, lost] = [false, written]
      for (const row of unsynced.iterate(number, sound)) {
        if (this.#readProven(placeOf(row), hexOf(row.sha256)) === undefined) lost = Math.min(lost, Number(row.start))
        else isThere = true
      }
      if (isThere) this.#packs.syncOther(number)
      this.transaction(false, () => {
        if (lost < written) this.#index.prepared('DELETE FROM contents WHERE pack = ? AND start >= ?').run(number, lost)
        const proven = this.#index.prepared('UPDATE packs SET written = ?, synced = ? WHERE number = ? AND written = ?')
        proven.run(lost, lost, number, written)
      })
    }
  }

  /** Gives the room back that contents have which `isUsed` doesn't want (a condition on `contents`): from packs of which most is unused. */
  async dropUnused(isUsed: string): Promise<void> {
    const unused = this.#index.prepared(
      `DELETE FROM contents WHERE sha256 IN (SELECT sha256 FROM contents WHERE NOT (${isUsed}) LIMIT ${AT_ONCE})`,
    )
    this.#expected = []
    while (unused.run().changes !== 0) await new Promise((resolve) => setImmediate(resolve))
    const used = new Map(
      this.#index
        .prepared('SELECT pack, sum(length) AS used FROM contents GROUP BY pack')
        .all()
        .map((row) => [Number(row.pack), Number(row.used)]),
    )
    for (const { number, written } of this.#known()) {
      if (number === this.#packs.own?.number || (used.get(number) ?? 0) > written / 2) continue
      await this.#moveOut(number)
      this.transaction(false, () => void this.#index.prepared('DELETE FROM packs WHERE number = ?').run(number))
      this.#packs.remove(number)
    }
  }

  close(): void {
    this.#packs.close()
  }

  /** Copies what a pack has into this process's own. */
  async #moveOut(pack: number): Promise<void> {
    const some = this.#index.prepared(`SELECT * FROM contents WHERE pack = ? ORDER BY start LIMIT ${AT_ONCE}`)
    const move = this.#index.prepared('UPDATE contents SET pack = ?, start = ? WHERE sha256 = ?')
    for (let rows = some.all(pack); rows.length > 0; rows = some.all(pack)) {
      this.transaction(true, () => {
        for (const row of rows) {
          const bytes = this.#packs.read(placeOf(row))
          const to = this.#packs.next(bytes.length)
          this.#packs.add(bytes)
          move.run(to.pack, to.start, row.sha256 ?? null)
        }
      })
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #settle(toDisk: boolean): void {
    this.#packs.flush()
    const { isFull } = this.#packs
    if (toDisk || isFull) this.#packs.syncNow()
    const { own } = this.#packs
    const mark = own === undefined ? '' : `${own.number} ${own.written} ${own.synced}`
    if (own === undefined || mark === this.#marked) return
    this.#index.prepared('INSERT OR REPLACE INTO packs VALUES (?, ?, ?)').run(own.number, own.written, own.synced)
    this.#marked = mark
    if (isFull) this.#packs.leave()
  }

  #known(): readonly { readonly number: number; readonly written: number; readonly synced: number }[] {
    const rows = this.#index.prepared('SELECT * FROM packs').all()
    return rows.map((row) => ({ number: Number(row.number), written: Number(row.written), synced: Number(row.synced) }))
  }

  #place(sha256: string): Place | undefined {
    return this.#expectedAt(sha256) ?? this.#indexed(sha256)
  }

  #expectedAt(sha256: string): Place | undefined {
    for (const places of this.#expected) {
      const place = places.get(sha256)
      if (place !== undefined) return place
    }
    return undefined
  }

  #indexed(sha256: string): Place | undefined {
    const row = this.#index.prepared('SELECT pack, start, length FROM contents WHERE sha256 = ?').get(keyOf(sha256))
    return row === undefined ? undefined : placeOf(row)
  }

  #readProven(place: Place, sha256: string): Buffer | undefined {
    const bytes = this.#packs.read(place)
    return hash('sha256', bytes, 'hex') === sha256 ? bytes : undefined
  }
}

const keyOf = (sha256: string): Buffer => Buffer.from(sha256, 'hex')

const hexOf = (key: SQLOutputValue | undefined): string => (key instanceof Uint8Array ? Buffer.from(key).toString('hex') : '')

const placeOf = (row: Readonly<Record<string, SQLOutputValue>>): Place => ({
  pack: Number(row.pack),
  start: Number(row.start),
  length: Number(row.length),
})
