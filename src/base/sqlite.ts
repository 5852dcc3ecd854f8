import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'

/**
 * A database that nobody else sees and that is gone when it is closed, or with the process: in memory up to so many KiB, beyond them in the
 * folder for temporary files (SQLITE_TMPDIR, TMPDIR, /var/tmp, /tmp).
 */
export function openPrivate(cacheKib: number): DatabaseSync {
  const database = new DatabaseSync('')
  // One transaction that is never ended: each statement by itself would be written out at once.
  database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -${cacheKib}; BEGIN`)
  return database
}

/** A SQLite database whose statements are prepared once each, and whose changes are made together or not at all. */
export class Sqlite {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  /** Prepared when it is first wanted: of a small table that takes longer than what it answers. */
  prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const made = this.database.prepare(sql)
    this.#statements.set(sql, made)
    return made
  }

  /** All rows as lists of their columns, for those that are read by the thousand: as objects they take twice the time. Prepared once, too. */
  rows(sql: string, ...values: readonly SQLInputValue[]): readonly (readonly SQLOutputValue[])[] {
    const statement = this.prepared(sql)
    statement.setReturnArrays(true)
    const rows: readonly unknown[] = statement.all(...values)
    if (!areLists(rows)) throw new Error('SQLite gave rows in another form than was asked for.')
    return rows
  }

  /** Many questions as one: each by itself takes and leaves the database's locks. `work` changes nothing. */
  reading(work: () => void): void {
    this.database.exec('BEGIN')
    try {
      work()
    } finally {
      this.database.exec('COMMIT')
    }
  }

  /** All that `work` changes, or nothing of it. Throws what `work` throws, or SQLite. */
  transaction(work: () => void): void {
    this.database.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.database.exec('COMMIT')
    } catch (error) {
      // A full disk takes the transaction back by itself.
      if (this.database.isTransaction) this.database.exec('ROLLBACK')
      throw error
    }
  }
}

const areLists = (rows: readonly unknown[]): rows is readonly (readonly SQLOutputValue[])[] => rows.every(Array.isArray)
