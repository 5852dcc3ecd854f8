import { systemClock } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import { fullName, type Table } from '../schema.ts'
import { chunks } from './keys.ts'
import type { Session } from './session.ts'
import { quoteTable, quoteText } from './values.ts'

/** Tables whose questions go together into one. */
const AT_ONCE = 50

/** So long, about, a table is kept from being changed once it was read, where nobody settles. */
const HELD_MS = 200

/** Begins what the snapshot's readings go back to, with the snapshot itself. */
export const SAVEPOINT = 'SAVEPOINT reading'

/** What is known of the tables at the instant of a snapshot, for all its readers. */
export interface AtBegin {
  /** By the name of a table that the snapshot holds, InnoDB's: when it was created, or its file last renamed. */
  readonly created: ReadonlyMap<string, string>
  /** Names of those in which there were rows, as far as that was asked. */
  readonly filled: Set<string>
  /** True once somebody asked for it, and so settles. */
  isSettled: boolean
}

/**
 * What one reader of a snapshot has read and nobody has proven yet to be of the snapshot. InnoDB refuses to read a table that was made or
 * rewritten since (error 1412, "Consistent Nonlocking Reads"), but not another one that has got its name by RENAME, nor what is left of one
 * that lost a partition; and MariaDB forgets when a table was made once its definition had to make room for others
 * (table_definition_cache): emptied by TRUNCATE, it is then read as empty.
 * A transaction keeps a table that it read from being changed in these ways until it ends ("Metadata Locking"), and so everybody who asks
 * for the table behind whoever wants to change it. Going back to a savepoint ends that.
 */
export class Standing {
  readonly #session: Session
  readonly #begin: AtBegin
  readonly #read = new Map<string, { readonly table: Table; rows: number }>()
  #since: number | undefined

  constructor(session: Session, begin: AtBegin) {
    this.#session = session
    this.#begin = begin
  }

  /** Called before a table is read, and with the rows that came. */
  reads(table: Table, rows = 0): void {
    this.#since ??= systemClock.monotonic()
    const known = this.#read.get(table.name.name)
    if (known === undefined) this.#read.set(table.name.name, { table, rows })
    else known.rows += rows
  }

  /** See the port. */
  async note(tables: readonly Table[]): Promise<void> {
    this.#begin.isSettled = true
    for (const name of await this.#filled(tables)) this.#begin.filled.add(name)
    await this.#letGo()
  }

  /** Called when a table was read: where nobody settles, lets go by itself of what was read, now and then. */
  async release(): Promise<void> {
    if (this.#begin.isSettled || this.#since === undefined || systemClock.monotonic() - this.#since < HELD_MS) return
    await this.#letGo()
  }

  /** See the port. */
  async settle(): Promise<void> {
    if (this.#read.size === 0) return
    const read = [...this.#read.values()].filter(({ table }) => this.#begin.created.has(table.name.name))
    const created = await this.#created(read.map(({ table }) => table))
    const bare = read.filter(({ table, rows }) => rows === 0 && this.#begin.filled.has(table.name.name)).map(({ table }) => table)
    const filled = await this.#filled(bare)
    const gone = read
      .map(({ table }) => table)
      .filter(
        (table) =>
          created.get(table.name.name) !== this.#begin.created.get(table.name.name) ||
          (bare.includes(table) && !filled.has(table.name.name)),
      )
    if (gone.length > 0) throw rewritten(this.#session, gone)
    await this.#letGo()
  }

  async #letGo(): Promise<void> {
    this.#read.clear()
    this.#since = undefined
    await this.#session.query(`ROLLBACK TO ${SAVEPOINT}`)
  }

  async #created(tables: readonly Table[]): Promise<ReadonlyMap<string, string>> {
    const of = ({ name }: Table): string =>
      `SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${quoteText(name.name)}`
    return new Map((await this.#ask(tables, of)).map(([name, created]) => [name ?? '', created ?? '']))
  }

  async #filled(tables: readonly Table[]): Promise<ReadonlySet<string>> {
    const of = ({ name }: Table): string => `(SELECT ${quoteText(name.name)} FROM ${quoteTable(name)} LIMIT 1)`
    return new Set((await this.#ask(tables, of)).map(([name]) => name ?? ''))
  }

  async #ask(tables: readonly Table[], of: (table: Table) => string): Promise<readonly (readonly (string | null)[])[]> {
    const rows: (readonly (string | null)[])[] = []
    await this.#session.resultsAs('text')
    for (const some of chunks(tables, AT_ONCE)) rows.push(...(await this.#session.query(some.map(of).join(' UNION ALL '))).rows)
    return rows
  }
}

const rewritten = ({ label }: Session, tables: readonly Table[]): MigrateError =>
  new MigrateError(
    'table-rewritten',
    `${tables.map(({ name }) => fullName(name)).join(', ')} of the ${label}: emptied, renamed or made anew after this reading began, which sees all as it stood then; the rows of that moment are gone. Nothing was changed.`,
    {
      hint: 'It is read as it stands now when this is tried again. If it happens every time, have whatever does it (TRUNCATE, RENAME, ALTER TABLE) wait; a table whose rows the shop can do without can be left empty (tables: { NAME: skip }).',
      retrySafe: true,
    },
  )
