import type { Row, Transaction } from '../../src/databases/port.ts'
import { fullName, readableColumns, type Table } from '../../src/databases/schema.ts'
import { found, project } from './memory-language.ts'
import type { CallHook } from './memory-options.ts'
import { copiesOf, printer } from './memory-prints.ts'
import type { MemoryServer } from './memory-server.ts'
import { alike, alikeCells, type MemoryWork } from './memory-state.ts'

const MOST_VALUES = 1000

export interface TransactionContext {
  readonly work: MemoryWork
  readonly server: MemoryServer
  readonly fingerprints: boolean
  readonly onCall: CallHook
}

/** The changes of one transaction. */
export function transactionOn({ work, server, fingerprints, onCall }: TransactionContext): Transaction {
  const step = async <T>(operation: string, effect: () => T): Promise<T> => {
    await onCall(`transaction ${operation}`, 'before')
    return effect()
  }
  const locked = (table: Table, keys: readonly Row[]): readonly Row[] => {
    const held = work.table(fullName(table.name))
    return project(held.table, table, found(held.rows, keys))
  }
  const all = (table: Table): readonly Row[] => {
    const held = work.table(fullName(table.name))
    return project(held.table, table, [...held.rows.values()])
  }
  const printed: Pick<Transaction, 'lockPrinted' | 'countPrints' | 'printOf'> = {
    countPrints: (table, printing, prints) =>
      step('countPrints', () => {
        const counts = new Map<string, number>()
        for (const { print } of all(table).map(printer(table, printing)))
          if (prints.includes(print)) counts.set(print, (counts.get(print) ?? 0) + 1)
        return counts
      }),
    printOf: (table, printing, row) =>
      step('printOf', () => {
        const same = all(table).find((each) => JSON.stringify(each) === JSON.stringify(row))
        return same === undefined ? undefined : printer(table, printing)(same).print
      }),
    lockPrinted: (table, printing, keys) => step('lockPrinted', () => locked(table, keys).map(printer(table, printing))),
  }
  return {
    lock: (table, keys) => step('lock', () => locked(table, keys)),
    ...(fingerprints ? printed : {}),
    insert: (table, rows) => step('insert', () => work.insert(fullName(table.name), rows)),
    update: (table, row) => step('update', () => work.update(fullName(table.name), row)),
    delete: (table, keys) =>
      step('delete', () => {
        work.delete(
          fullName(table.name),
          keys.map((key) => JSON.stringify(key)),
        )
      }),
    referenced: (foreignKey, parents) =>
      step('referenced', () => {
        const held = work.referredTo(foreignKey)
        return parents.filter((parent) => held.has(JSON.stringify(parent)))
      }),
    find: (table, columns, values) => step('find', () => find(work, table, columns, values)),
    insertNumbered: (table, row, column) =>
      step('insertNumbered', () => {
        const number = String(server.take(`${fullName(table.name)}.${column}`))
        const at = readableColumns(table).findIndex((each) => each.name === column)
        work.insert(fullName(table.name), [row.with(at, number)])
        return number
      }),
    removeCopies: (table, row, count) =>
      step('removeCopies', () => {
        const held = work.table(fullName(table.name))
        const cells = [...held.rows].map(([key, each]) => [key, project(held.table, table, [each])[0] ?? []] as const)
        return work.delete(fullName(table.name), copiesOf(cells, row, count))
      }),
    carried: (run, name, keys) =>
      step('carried', () =>
        (work.ledger ?? []).filter((entry) => entry.run === run && entry.table === name && keys.includes(entry.sourceKey)),
      ),
    ledger: (entries) =>
      step('ledger', () => {
        work.ledger = [...(work.ledger ?? []), ...entries]
      }),
  }
}

function find(work: MemoryWork, table: Table, columns: readonly string[], values: readonly Row[]): readonly Row[] {
  if (values.length > MOST_VALUES) throw new Error(`${values.length} values were looked for at once`)
  const held = work.table(fullName(table.name))
  const wanted = new Set(values.map((cells) => alikeCells(held.table, columns, cells)).filter((text) => text !== null))
  const rows = [...held.rows.values()].filter((row) => wanted.has(alike(held.table, columns, row) ?? ''))
  return project(held.table, table, rows)
}
