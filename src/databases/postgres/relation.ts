import type { Table } from '../schema.ts'
import { quoteTable } from './values.ts'

/** The table in FROM, UPDATE or DELETE: with its partitions' rows, which are its own; without the rows of tables that inherit from it. */
export const ownRows = (table: Pick<Table, 'name' | 'partitions'>): string =>
  `${table.partitions === undefined ? 'ONLY ' : ''}${quoteTable(table.name)}`
