import { systemClock } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import { fullName, type Table } from '../schema.ts'
import { ask, type Ends, endsOf, isChanged, isSameEnds } from './ends.ts'
import { isSince, type Session } from './session.ts'
import { quoteText } from './values.ts'

/** So long, about, a table is kept from being changed once it was read, where nobody settles. */
const HELD_MS = 200

/** Runs `work` on a session outside the snapshot, if one is free. */
export type Aside = <T>(work: (session: Session) => Promise<T>) => Promise<T | undefined>

/** Begins what the snapshot's readings go back to, with the snapshot itself. */
export const SAVEPOINT = 'SAVEPOINT reading'

/** What is known of the tables at the instant of a snapshot, for all its readers. */
export interface AtBegin {
  /** By the name of a table that the snapshot holds, InnoDB's: when it was created, or its file last renamed. */
  readonly created: ReadonlyMap<string, string>
  /** Names of those that are divided into partitions. */
  readonly parted: ReadonlySet<string>
  /** By name, of those of which that was asked. */
  readonly ends: Map<string, Ends>
  /** True once somebody asked for it, and so settles. */
  isSettled: boolean
}

/**
 * What one reader of a snapshot has read and nobody has proven yet to be of the snapshot. InnoDB refuses to read a table that was made or
 * rewritten since (error 1412, "Consistent Nonlocking Reads"), but not another one that has got its name by RENAME, nor what is left of one
 * that lost a partition or gave it away for a table; and MariaDB forgets when a table was made once its definition had to make room for
 * others (table_definition_cache): emptied by TRUNCATE, it is then read as empty. The rows at its ends tell.
 * MySQL since 8.0 keeps its catalog in InnoDB, where a snapshot sees it as it was ("Data Dictionary"): a session beside it is asked, and
 * where none is free the rows at the ends tell alone.
 * A transaction keeps a table that it read from being changed in these ways until it ends ("Metadata Locking"), and so everybody who asks
 * for the table behind whoever wants to change it. Going back to a savepoint ends that.
 */
export class Standing {
  readonly #session: Session
  readonly #begin: AtBegin
  readonly #aside: Aside
  readonly #read = new Map<string, { readonly table: Table; rows: number }>()
  #since: number | undefined

  constructor(session: Session, begin: AtBegin, aside: Aside) {
    this.#session = session
    this.#begin = begin
    this.#aside = aside
  }

  /** Called before a table is read. */
  async reads(table: Table): Promise<void> {
    this.#since ??= systemClock.monotonic()
    if (!this.#read.has(table.name.name)) this.#read.set(table.name.name, { table, rows: 0 })
    const tells = this.#isParted(table) || (this.#seesOldCatalog && this.#begin.created.has(table.name.name))
    if (tells && !this.#begin.ends.has(table.name.name)) await this.#noteEnds([table])
  }

  /** Called with the rows that came of it. */
  came(table: Table, rows: number): void {
    const known = this.#read.get(table.name.name)
    if (known !== undefined) known.rows += rows
  }

  /** What the server said instead of reading a table. */
  refusal(error: unknown, table: Table): unknown {
    return isChanged(error) ? this.#rewritten([table], error) : error
  }

  /** See the port. */
  async note(tables: readonly Table[]): Promise<void> {
    this.#begin.isSettled = true
    await this.#noteEnds(tables)
    await this.#letGo()
  }

  /** Called when a table was read: where nobody settles, does so now and then. */
  async release(): Promise<void> {
    if (this.#begin.isSettled || this.#since === undefined || systemClock.monotonic() - this.#since < HELD_MS) return
    await this.settle()
  }

  /** See the port. */
  async settle(): Promise<void> {
    if (this.#read.size === 0) return
    await this.prove()
    await this.#letGo()
  }

  /** `settle` for whoever ends the transaction. */
  async prove(): Promise<void> {
    const read = [...this.#read.values()].filter(({ table }) => this.#begin.created.has(table.name.name))
    const created = await this.#created(read.map(({ table }) => table))
    const isAnew = ({ name }: Table): boolean => created?.get(name.name) !== this.#begin.created.get(name.name)
    const anew = created === undefined ? [] : read.filter(({ table }) => isAnew(table))
    if (anew.length > 0) throw this.#rewritten(anew.map(({ table }) => table))
    const known = read.flatMap(({ table, rows }) =>
      (rows === 0 || created === undefined || this.#isParted(table)) && this.#begin.ends.has(table.name.name) ? [table] : [],
    )
    const ends = await this.#endsOf(known)
    const others = known.filter(({ name }) => !isSameEnds(ends.get(name.name), this.#begin.ends.get(name.name)))
    if (others.length > 0) throw this.#rewritten(others)
  }

  async #letGo(): Promise<void> {
    this.#read.clear()
    this.#since = undefined
    await this.#session.query(`ROLLBACK TO ${SAVEPOINT}`)
  }

  #isParted({ name }: Table): boolean {
    return this.#begin.parted.has(name.name)
  }

  get #seesOldCatalog(): boolean {
    return isSince(this.#session.kind, 'mysql', 8, 0)
  }

  /** As it is now; `undefined` where nobody can tell. */
  async #created(tables: readonly Table[]): Promise<ReadonlyMap<string, string> | undefined> {
    if (tables.length === 0) return new Map()
    const of = ({ name }: Table): string =>
      `SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${quoteText(name.name)}`
    const asked = (session: Session) => ask(session, tables.map(of))
    const rows = this.#seesOldCatalog ? await this.#aside(asked) : await asked(this.#session)
    return rows && new Map(rows.map(([name, created]) => [name ?? '', created ?? '']))
  }

  async #noteEnds(tables: readonly Table[]): Promise<void> {
    for (const [name, ends] of await this.#endsOf(tables)) this.#begin.ends.set(name, ends)
  }

  #endsOf(tables: readonly Table[]): Promise<ReadonlyMap<string, Ends>> {
    const changed = (table: Table, error: unknown): Error => this.#rewritten([table], error)
    return endsOf(this.#session, tables, (table) => this.#isParted(table), changed)
  }

  #rewritten(tables: readonly Table[], cause?: unknown): MigrateError {
    return new MigrateError(
      'table-rewritten',
      `${tables.map(({ name }) => fullName(name)).join(', ')} of the ${this.#session.label}: emptied, renamed, given other partitions or made anew after this reading began, which sees all as it stood then; the rows of that moment are gone. Nothing was changed.`,
      {
        hint: 'It is read as it stands now when this is tried again. If it happens every time, have whatever does it (TRUNCATE, RENAME, ALTER TABLE) wait; a table whose rows the shop can do without can be left empty (tables: { NAME: skip }).',
        retrySafe: true,
        ...(cause === undefined ? {} : { cause }),
      },
    )
  }
}
