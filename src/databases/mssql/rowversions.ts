import type { Finding } from '../../base/errors.ts'
import type { Table } from '../schema.ts'

/** "rowversion (Transact-SQL)": each database counts for itself (@@DBTS), a new one from small values on; they can't be written. */
export function rowversionFindings(tables: readonly Pick<Table, 'columns'>[]): readonly Finding[] {
  const count = tables.flatMap(({ columns }) => columns.filter(({ rowversion }) => rowversion)).length
  if (count === 0) return []
  const [are, them] = count === 1 ? ['1 column is a rowversion', 'it'] : [`${count} columns are rowversions`, 'them']
  return [
    {
      severity: 'warning',
      code: 'rowversion-anew',
      message: `${are}: the new host numbers ${them} anew, from small values on. Whoever remembers the last one that it saw, to ask for what has changed since (a synchronisation, a search index, a cache), sees nothing change there.`,
      hint: 'Have these begin anew after the cutover; nothing to do where the shop only compares a row’s own with the one that it read.',
    },
  ]
}
