import { MigrateError } from '../../../src/base/errors.ts'
import type { Column, ForeignKey, Identity, Table } from '../../../src/databases/schema.ts'
import { MemoryDatabase } from '../../fakes/memory-database.ts'
import { MemoryServer } from '../../fakes/memory-server.ts'
import type { MemoryWork } from '../../fakes/memory-state.ts'
import { type ModelHost, type ModelShop, Refused, type Values } from './hosts.ts'
import type { ModelColumn, ModelSchema, ModelTable } from './schema.ts'

const main = (name: string) => ({ schema: '', name })

const TYPES = { id: 'bigint', number: 'bigint', text: 'text', guid: 'text', stamp: 'timestamp' } as const

const columnOf = ({ name, kind, nullable }: ModelColumn): Column => ({
  name,
  type: TYPES[kind],
  codec: kind === 'id' || kind === 'number' ? 'integer' : 'text',
  nullable,
  collation: null,
  default: null,
  computed: null,
  identity: kind === 'id' ? 'by-default' : null,
  rowversion: false,
})

const tableOf = (table: ModelTable): Table => ({
  name: main(table.name),
  columns: table.columns.map(columnOf),
  primaryKey: table.key.length === 0 ? null : { name: `${table.name}_pkey`, columns: table.key, sql: '' },
  uniqueKeys: table.unique ? [{ name: `${table.name}_mail_key`, columns: ['mail'], sql: '' }] : [],
  key: table.key,
  triggers: [],
})

const identityOf = (table: ModelTable): readonly Identity[] =>
  table.kind !== 'identity'
    ? []
    : [
        {
          kind: 'column',
          table: main(table.name),
          column: 'id',
          sequence: null,
          seed: '1',
          increment: '1',
          minimum: '-9223372036854775808',
          maximum: '9223372036854775807',
        },
      ]

const foreignKeysOf = (schema: ModelSchema): readonly ForeignKey[] =>
  schema.tables.flatMap((table) =>
    table.references
      .filter((reference) => reference.declared)
      .map((reference) => ({
        name: `${table.name}_${reference.name}_fkey`,
        table: main(table.name),
        columns: reference.columns,
        parent: main(reference.parent),
        parentColumns: schema.tables.find((each) => each.name === reference.parent)?.key ?? [],
        enforced: true,
        sql: '',
      })),
  )

class MemoryModelShop implements ModelShop {
  readonly #server = new MemoryServer()

  open(): MemoryDatabase {
    return new MemoryDatabase(this.#server)
  }

  create(schema: ModelSchema): Promise<void> {
    return this.#server.transaction([], (work) => {
      for (const table of schema.tables) {
        const made = { table: tableOf(table), identities: identityOf(table) }
        this.#server.run(work, `create-table ${JSON.stringify(made)}`)
      }
    })
  }

  constrain(schema: ModelSchema): Promise<void> {
    return this.#server.transaction([], (work) => {
      for (const key of foreignKeysOf(schema)) this.#server.run(work, `create-foreign-key ${JSON.stringify(key)}`)
    })
  }

  restore(table: ModelTable, rows: readonly Values[]): Promise<void> {
    const cells = rows.map((row) => table.columns.map((column) => row[column.name] ?? null))
    return this.#server.transaction([], (work) => work.insert(table.name, cells))
  }

  insert(table: ModelTable, values: Values): Promise<void> {
    return this.#write((work) => {
      const row = table.columns.map((column) =>
        column.kind === 'id' ? String(this.#server.take(`${table.name}.id`)) : (values[column.name] ?? null),
      )
      work.insert(table.name, [row])
    })
  }

  update(table: ModelTable, where: Values, values: Values): Promise<void> {
    return this.#write((work) => {
      for (const [key, row] of matching(work, table, where)) {
        const changed = table.columns.map((column, at) => {
          const value = values[column.name]
          return value === undefined ? (row[at] ?? null) : value
        })
        work.update(table.name, changed, key)
      }
    })
  }

  remove(table: ModelTable, where: Values): Promise<void> {
    return this.#write((work) => {
      work.delete(
        table.name,
        matching(work, table, where).map(([key]) => key),
      )
    })
  }

  async rows(table: ModelTable): Promise<readonly Values[]> {
    const held = this.#server.state.tables.get(table.name)
    return [...(held?.rows.values() ?? [])].map((row) =>
      Object.fromEntries(table.columns.map((column, at) => [column.name, row[at] ?? null])),
    )
  }

  version(): unknown {
    return this.#server.state
  }

  async #write(change: (work: MemoryWork) => void): Promise<void> {
    try {
      await this.#server.transaction([], change)
    } catch (error) {
      if (error instanceof MigrateError && error.code === 'database-statement-failed') throw new Refused(error.message)
      throw error
    }
  }
}

function matching(work: MemoryWork, table: ModelTable, where: Values) {
  const wanted = Object.entries(where).map(([name, value]) => ({
    at: table.columns.findIndex((column) => column.name === name),
    value,
  }))
  return [...work.table(table.name).rows].filter(([, row]) => wanted.every(({ at, value }) => row[at] === value))
}

export const memoryModelHost: ModelHost = {
  pair: async () => ({ old: new MemoryModelShop(), new: new MemoryModelShop(), close: async () => undefined }),
  close: async () => undefined,
}
