import type { Table } from '../schema.ts'
import { isLargeObjects, largeObjectRows } from './large-objects.ts'
import { quoteTable } from './values.ts'

/**
 * The table in FROM, UPDATE or DELETE: with its partitions' rows, which are its own; without the rows of tables that inherit from it.
 * Large objects stand in FROM alone, and with a name of their own.
 */
export const ownRows = (table: Pick<Table, 'name' | 'partitions' | 'columns'>): string =>
  isLargeObjects(table) ? largeObjectRows(table) : plainRows(table)

/** The same of a table that is one. */
export const plainRows = (table: Pick<Table, 'name' | 'partitions'>): string =>
  `${table.partitions === undefined ? 'ONLY ' : ''}${quoteTable(table.name)}`
