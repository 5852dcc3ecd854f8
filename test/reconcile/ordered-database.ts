import type { Cell, KeyCells, Reader, ReadOptions, ServerInfo } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { MemoryDatabase } from '../fakes/memory-database.ts'
import type { MemoryDatabaseOptions } from '../fakes/memory-options.ts'
import { printer, sumOf } from '../fakes/memory-prints.ts'
import type { MemoryServer } from '../fakes/memory-server.ts'

export type CellOrder = (a: Cell, b: Cell) => number

/** A server that sorts keys in an order of its own, and says so. */
export class OrderedDatabase extends MemoryDatabase {
  readonly #order: CellOrder
  readonly #collation: string

  constructor(server: MemoryServer, options: MemoryDatabaseOptions, order: CellOrder, collation: string) {
    super(server, options)
    this.#order = order
    this.#collation = collation
  }

  override async info(): Promise<ServerInfo> {
    return { ...(await super.info()), collation: this.#collation }
  }

  override read<T>(connections: number, work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>): Promise<T> {
    return super.read(connections, ([first, ...others]) =>
      work([this.#sorted(first), ...others.map((each) => this.#sorted(each))]),
    )
  }

  #sorted(reader: Reader): Reader {
    const all = async (table: Table, { after, upTo }: ReadOptions) => {
      const rows = []
      for await (const batch of reader.rows(table)) rows.push(...batch)
      const print = printer(table, { columns: [], apart: [] })
      const keyed = rows.map((row) => ({ row, key: print(row).key }))
      const inRange = keyed.filter(
        ({ key }) =>
          (after === undefined || this.#compare(table, key, after) > 0) &&
          (upTo === undefined || this.#compare(table, key, upTo) <= 0),
      )
      return inRange.sort((a, b) => this.#compare(table, a.key, b.key)).map(({ row }) => row)
    }
    const batches = async function* <T>(rows: readonly T[]) {
      for (let at = 0; at < rows.length; at += 7) yield rows.slice(at, at + 7)
    }
    return {
      consistent: reader.consistent,
      async *rows(table, options = {}) {
        yield* batches(await all(table, options))
      },
      ...(reader.sum === undefined || this.fingerprintMethod === undefined
        ? {}
        : {
            sum: async (table, printing, range = {}) => sumOf(table, printing, await all(table, range)),
            async *prints(table, printing, options = {}) {
              const print = printer(table, printing)
              yield* batches((await all(table, options)).map((row) => print(row)))
            },
          }),
    }
  }

  /** Numbers are sorted alike by every server. */
  #compare(table: Table, a: KeyCells, b: KeyCells): number {
    for (const [at, cell] of a.entries()) {
      const column = table.columns.find(({ name }) => name === table.key[at])
      const other = b[at] ?? null
      const order = column?.codec === 'integer' ? Number(BigInt(cell ?? 0) - BigInt(other ?? 0)) : this.#order(cell, other)
      if (order !== 0) return order
    }
    return 0
  }
}
