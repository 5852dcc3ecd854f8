import { MigrateError } from '../../src/base/errors.ts'
import type { Cell, LedgerEntry, Row } from '../../src/databases/port.ts'
import { type ForeignKey, fullName, keyPositions, type SchemaObject, type Table } from '../../src/databases/schema.ts'

/** Rows of a table. Rows are never changed in place, and a committed map neither. */
export interface MemoryTable {
  readonly table: Table
  /** By key text; by arrival where there is no key. */
  readonly rows: ReadonlyMap<string, Row>
  readonly arrivals: number
}

/** Everything in a database that a transaction can roll back. */
export interface MemoryState {
  readonly tables: ReadonlyMap<string, MemoryTable>
  readonly foreignKeys: readonly ForeignKey[]
  readonly objects: readonly SchemaObject[]
  /** `null`: the table of marks doesn't exist. */
  readonly marks: ReadonlySet<string> | null
  readonly ledger: readonly LedgerEntry[] | null
}

export const emptyState: MemoryState = { tables: new Map(), foreignKeys: [], objects: [], marks: null, ledger: null }

export const failed = (message: string): MigrateError => new MigrateError('database-statement-failed', message)

type Deed = 'insert' | 'update' | 'delete'

/** A transaction's own view: changes a copy, with every constraint enforced, until `state` is taken as the new truth. */
export class MemoryWork {
  readonly #tables: Map<string, MemoryTable>
  readonly #touched = new Map<string, Map<string, Row>>()
  /** Tables whose triggers are off. */
  readonly #quiet: ReadonlySet<string>
  readonly #onAudit: (work: MemoryWork, into: string, what: string) => void
  foreignKeys: readonly ForeignKey[]
  objects: readonly SchemaObject[]
  marks: ReadonlySet<string> | null
  ledger: readonly LedgerEntry[] | null

  constructor(state: MemoryState, quiet: readonly Table[], onAudit: (work: MemoryWork, into: string, what: string) => void) {
    this.#tables = new Map(state.tables)
    this.foreignKeys = state.foreignKeys
    this.objects = state.objects
    this.marks = state.marks
    this.ledger = state.ledger
    this.#quiet = new Set(quiet.map((table) => fullName(table.name)))
    this.#onAudit = onAudit
  }

  get state(): MemoryState {
    const { foreignKeys, objects, marks, ledger } = this
    return { tables: this.#tables, foreignKeys, objects, marks, ledger }
  }

  table(name: string): MemoryTable {
    const table = this.#tables.get(name)
    if (table === undefined) throw failed(`there is no table ${name}`)
    return table
  }

  createTable(table: Table): void {
    const name = fullName(table.name)
    if (this.#tables.has(name)) throw failed(`there is a table ${name} already`)
    this.#tables.set(name, { table, rows: new Map(), arrivals: 0 })
  }

  dropTable(name: string): void {
    this.table(name)
    const referring = this.foreignKeys.find((key) => fullName(key.parent) === name && fullName(key.table) !== name)
    if (referring !== undefined) throw failed(`${referring.name} refers to ${name}`)
    this.#tables.delete(name)
    this.#touched.delete(name)
    this.foreignKeys = this.foreignKeys.filter((key) => fullName(key.table) !== name)
  }

  addForeignKey(key: ForeignKey): void {
    for (const row of this.table(fullName(key.table)).rows.values()) this.#requireParent(key, row)
    this.foreignKeys = [...this.foreignKeys, key]
  }

  truncate(name: string): void {
    const { table } = this.table(name)
    this.#tables.set(name, { table, rows: new Map(), arrivals: 0 })
    this.#touched.delete(name)
  }

  insert(name: string, rows: readonly Row[]): void {
    const { table } = this.table(name)
    const target = this.#rows(name)
    let { arrivals } = this.table(name)
    for (const row of rows) {
      this.#requireValid(table, row)
      arrivals += 1
      const key = table.key.length === 0 ? `#${arrivals}` : keyOf(table, row)
      if (target.has(key)) throw failed(`${name} has a row ${key} already`)
      target.set(key, row)
    }
    this.#tables.set(name, { table, rows: target, arrivals })
    this.#requireUnique(table, target, rows)
    for (const key of this.#keysOf(name)) for (const row of rows) this.#requireParent(key, row)
    for (const row of rows) this.#fire('insert', table, row)
  }

  update(name: string, row: Row, key = keyOf(this.table(name).table, row)): void {
    const { table } = this.table(name)
    if (!this.table(name).rows.has(key)) throw failed(`${name} has no row ${key}`)
    this.#requireValid(table, row)
    const target = this.#rows(name)
    target.set(key, row)
    this.#requireUnique(table, target, [row])
    for (const foreign of this.#keysOf(name)) this.#requireParent(foreign, row)
    this.#fire('update', table, row)
  }

  /** Deletes rows by key text; children go too where the foreign key cascades, and hold it up where not. Returns how many went. */
  delete(name: string, keys: readonly string[]): number {
    const { table } = this.table(name)
    const target = this.#rows(name)
    const gone = keys.flatMap((key) => {
      const row = target.get(key)
      return row === undefined ? [] : [{ key, row }]
    })
    for (const { key } of gone) target.delete(key)
    for (const { row } of gone) this.#letGoOfChildren(table, row)
    for (const { row } of gone) this.#fire('delete', table, row)
    return gone.length
  }

  /** The parents that a foreign key's children name, each as one text. */
  referredTo(key: Pick<ForeignKey, 'table' | 'columns'>): ReadonlySet<string> {
    const { table, rows } = this.table(fullName(key.table))
    return new Set([...rows.values()].map((row) => pick(table, key.columns, row)).filter((text) => text !== null))
  }

  /** Key texts of the rows of a foreign key's child that have no parent. */
  orphans(
    key: Pick<ForeignKey, 'columns' | 'parentColumns'> & { readonly child: string; readonly parent: string },
  ): readonly string[] {
    const { table, rows } = this.table(key.child)
    const parent = this.table(key.parent)
    const known = new Set([...parent.rows.values()].map((row) => pick(parent.table, key.parentColumns, row)))
    return [...rows].flatMap(([text, row]) => {
      const reference = pick(table, key.columns, row)
      return reference === null || known.has(reference) ? [] : [text]
    })
  }

  #rows(name: string): Map<string, Row> {
    const own = this.#touched.get(name)
    if (own !== undefined) return own
    const { table, rows, arrivals } = this.table(name)
    const copy = new Map(rows)
    this.#touched.set(name, copy)
    this.#tables.set(name, { table, rows: copy, arrivals })
    return copy
  }

  #keysOf(child: string): readonly ForeignKey[] {
    return this.foreignKeys.filter((key) => key.enforced && fullName(key.table) === child)
  }

  #letGoOfChildren(table: Table, row: Row): void {
    for (const key of this.foreignKeys.filter((each) => each.enforced && fullName(each.parent) === fullName(table.name))) {
      const gone = pick(table, key.parentColumns, row)
      const child = this.table(fullName(key.table))
      const children = [...child.rows].filter(([, each]) => gone !== null && pick(child.table, key.columns, each) === gone)
      if (children.length === 0) continue
      if (!key.sql.includes('cascade')) throw failed(`${key.name}: ${fullName(key.table)} still refers to the row`)
      this.delete(
        fullName(key.table),
        children.map(([text]) => text),
      )
    }
  }

  #requireParent(key: ForeignKey, row: Row): void {
    const child = this.table(fullName(key.table)).table
    const parent = this.table(fullName(key.parent))
    const reference = pick(child, key.columns, row)
    if (reference === null) return
    const isKey = key.parentColumns.join() === parent.table.key.join()
    const found = isKey
      ? parent.rows.has(reference)
      : [...parent.rows.values()].some((each) => pick(parent.table, key.parentColumns, each) === reference)
    if (!found) throw failed(`${key.name}: ${fullName(key.parent)} has no row ${reference}`)
  }

  #requireValid(table: Table, row: Row): void {
    if (row.length !== table.columns.length)
      throw failed(`${fullName(table.name)} has ${table.columns.length} columns, not ${row.length}`)
    const missing = table.columns.find((column, at) => !column.nullable && row[at] === null)
    if (missing !== undefined) throw failed(`${fullName(table.name)}.${missing.name} must not be NULL`)
    for (const check of this.objects.filter((each) => each.kind === 'check')) {
      const { on, column, least } = argumentOf(check) as { on: string; column: string; least: string }
      const value = on === fullName(table.name) ? row[table.columns.findIndex((each) => each.name === column)] : null
      if (value !== null && value !== undefined && BigInt(value) < BigInt(least))
        throw failed(`${check.name}: ${column} is ${value}`)
    }
  }

  #requireUnique(table: Table, rows: ReadonlyMap<string, Row>, added: readonly Row[]): void {
    for (const key of table.uniqueKeys) {
      const filled = added.map((row) => alike(table, key.columns, row)).filter((text) => text !== null)
      const wanted = new Set(filled)
      let found = 0
      for (const row of rows.values()) if (wanted.has(alike(table, key.columns, row) ?? '')) found += 1
      if (found > wanted.size || wanted.size < filled.length) throw failed(`${key.name}: not unique in ${fullName(table.name)}`)
    }
  }

  #fire(deed: Deed, table: Table, row: Row): void {
    const name = fullName(table.name)
    if (this.#quiet.has(name)) return
    for (const trigger of this.objects.filter((each) => each.kind === 'trigger')) {
      const { on, into } = argumentOf(trigger) as { on: string; into: string }
      if (on === name) this.#onAudit(this, into, `${deed} ${keyOf(table, row)}`)
    }
  }
}

const argumentOf = ({ sql }: SchemaObject): unknown => JSON.parse(sql.slice(sql.indexOf('{')))

/** A row's key as one text; rows of a table without one are told apart by all they hold. */
export const keyOf = (table: Table, row: Row): string =>
  JSON.stringify(table.key.length === 0 ? row : keyPositions(table).map((at) => row[at] ?? null))

/** Some columns of a row as one text; `null` when one of them is NULL. */
function pick(table: Table, columns: readonly string[], row: Row): string | null {
  const cells = columns.map((name): Cell => row[table.columns.findIndex((column) => column.name === name)] ?? null)
  return cells.includes(null) ? null : JSON.stringify(cells)
}

/** The collation of a column in which letters of either case are equal. */
export const NOCASE = 'nocase'

/** `pick`, the same for rows that the columns' collations call equal. `cells`: of `columns` alone. */
export function alikeCells(table: Table, columns: readonly string[], cells: Row): string | null {
  if (cells.includes(null)) return null
  const folds = (name: string): boolean => table.columns.find((column) => column.name === name)?.collation === NOCASE
  return JSON.stringify(cells.map((cell, at) => (folds(columns[at] ?? '') ? cell?.toLowerCase() : cell)))
}

export const alike = (table: Table, columns: readonly string[], row: Row): string | null =>
  alikeCells(
    table,
    columns,
    columns.map((name): Cell => row[table.columns.findIndex((column) => column.name === name)] ?? null),
  )

export type Mark = { readonly run: string; readonly name: string }

export const markText = (mark: Mark): string => `${mark.run} ${mark.name}`

/** False when it was there already. */
export function setMark(work: MemoryWork, mark: Mark): boolean {
  if (work.marks?.has(markText(mark)) === true) return false
  work.marks = new Set([...(work.marks ?? []), markText(mark)])
  return true
}
