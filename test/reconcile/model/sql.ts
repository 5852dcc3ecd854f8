import type { Database } from '../../../src/databases/port.ts'
import { type ModelPair, type ModelShop, Refused, type Values } from './hosts.ts'
import type { ColumnKind, ModelSchema, ModelTable } from './schema.ts'

/** What a server of some kind needs for the model's shops; the rest is plain SQL. */
export interface Dialect {
  readonly types: Readonly<Record<ColumnKind, string>>
  /** The place of the n-th value, from 0. */
  place(index: number): string
  /** A column as the text that the adapter has for it. */
  text?(name: string, kind: ColumnKind): string
  /** Allows and forbids numbers of one's own. */
  numbering?(table: string): readonly [string, string]
  /** Whether a statement failed since its content isn't allowed. */
  isRefusal(error: unknown): boolean
}

/** One database and a connection to it that isn't the adapter's. */
export interface Connection {
  run(sql: string, values?: readonly (string | null)[]): Promise<readonly Values[]>
  /** Drops every table. */
  empty(): Promise<void>
  open(): Database
}

class SqlShop implements ModelShop {
  readonly #dialect: Dialect
  readonly #connection: Connection

  constructor(dialect: Dialect, connection: Connection) {
    this.#dialect = dialect
    this.#connection = connection
  }

  open(): Database {
    return this.#connection.open()
  }

  async create(schema: ModelSchema): Promise<void> {
    for (const table of schema.tables) await this.#connection.run(this.#creation(table))
  }

  #creation(table: ModelTable): string {
    const columns = table.columns.map(
      ({ name, kind, nullable }) => `${name} ${this.#dialect.types[kind]}${nullable ? ' NULL' : ' NOT NULL'}`,
    )
    const keys = table.key.length === 0 ? [] : [`CONSTRAINT ${table.name}_key PRIMARY KEY (${table.key.join(', ')})`]
    // A filled mail is unique; some engines count NULL as a value.
    return `CREATE TABLE ${table.name} (${[...columns, ...keys].join(', ')})`
  }

  async constrain(schema: ModelSchema): Promise<void> {
    for (const table of schema.tables) {
      if (table.unique) await this.#connection.run(uniqueMail(table))
      for (const reference of table.references.filter((each) => each.declared)) {
        const parent = schema.tables.find((each) => each.name === reference.parent)
        await this.#connection.run(
          `ALTER TABLE ${table.name} ADD CONSTRAINT ${table.name}_${reference.name} FOREIGN KEY (${reference.columns.join(', ')})
           REFERENCES ${reference.parent} (${parent?.key.join(', ')})`,
        )
      }
    }
  }

  async restore(table: ModelTable, rows: readonly Values[]): Promise<void> {
    const [allow, forbid] = table.kind === 'identity' ? (this.#dialect.numbering?.(table.name) ?? []) : []
    for (const row of rows) {
      const { sql, values } = this.#insertion(table, row)
      await this.#connection.run([allow, sql, forbid].filter((each) => each !== undefined).join('; '), values)
    }
  }

  async insert(table: ModelTable, values: Values): Promise<void> {
    const { id: _given, ...rest } = values
    const insertion = this.#insertion(table, rest)
    await this.#change(insertion.sql, insertion.values)
  }

  #insertion(table: ModelTable, row: Values): { readonly sql: string; readonly values: readonly (string | null)[] } {
    const names = Object.keys(row)
    const places = names.map((_, at) => this.#dialect.place(at)).join(', ')
    return {
      sql: `INSERT INTO ${table.name} (${names.join(', ')}) VALUES (${places})`,
      values: names.map((name) => row[name] ?? null),
    }
  }

  update(table: ModelTable, where: Values, values: Values): Promise<void> {
    const names = Object.keys(values)
    const sets = names.map((name, at) => `${name} = ${this.#dialect.place(at)}`).join(', ')
    const condition = this.#condition(where, names.length)
    return this.#change(`UPDATE ${table.name} SET ${sets} WHERE ${condition.sql}`, [
      ...names.map((name) => values[name] ?? null),
      ...condition.values,
    ])
  }

  remove(table: ModelTable, where: Values): Promise<void> {
    const { sql, values } = this.#condition(where, 0)
    return this.#change(`DELETE FROM ${table.name} WHERE ${sql}`, values)
  }

  rows(table: ModelTable): Promise<readonly Values[]> {
    const columns = table.columns.map(({ name, kind }) => {
      const text = this.#dialect.text?.(name, kind)
      return text === undefined ? name : `${text} AS ${name}`
    })
    return this.#connection.run(`SELECT ${columns.join(', ')} FROM ${table.name}`)
  }

  #condition(where: Values, from: number): { readonly sql: string; readonly values: readonly (string | null)[] } {
    const names = Object.keys(where)
    return {
      sql: names.map((name, at) => `${name} = ${this.#dialect.place(from + at)}`).join(' AND '),
      values: names.map((name) => where[name] ?? null),
    }
  }

  async #change(sql: string, values: readonly (string | null)[]): Promise<void> {
    try {
      await this.#connection.run(sql, values)
    } catch (error) {
      if (this.#dialect.isRefusal(error)) throw new Refused(String(error))
      throw error
    }
  }
}

const uniqueMail = (table: ModelTable): string => `ALTER TABLE ${table.name} ADD CONSTRAINT ${table.name}_mail UNIQUE (mail)`

/** Two shops on two connections, emptied first: one pair of databases serves all histories. */
export async function sqlPair(
  dialect: Dialect,
  connections: { readonly old: Connection; readonly new: Connection },
): Promise<ModelPair> {
  await connections.old.empty()
  await connections.new.empty()
  return {
    old: new SqlShop(dialect, connections.old),
    new: new SqlShop(dialect, connections.new),
    close: async () => undefined,
  }
}
