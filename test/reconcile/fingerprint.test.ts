import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Row } from '../../src/databases/port.ts'
import { type Column, ORDINARY, type Table } from '../../src/databases/schema.ts'
import { keyCells, keyText, RowReader } from '../../src/reconcile/fingerprint.ts'
import { printingFor } from '../../src/reconcile/printing.ts'

const column = (name: string, more: Partial<Column> = {}): Column => ({
  name,
  type: 'text',
  codec: 'text',
  ...ORDINARY,
  ...more,
})
const orders: Table = {
  name: { schema: '', name: 'orders' },
  columns: [
    column('note'),
    column('version', { rowversion: true }),
    column('id'),
    column('total', { computed: { sql: 'a', stored: true } }),
    column('seen'),
  ],
  primaryKey: { name: 'pk', columns: ['id'], sql: '' },
  uniqueKeys: [],
  key: ['id'],
  triggers: [],
}
const cell = fc.option(fc.string({ unit: 'binary', maxLength: 6 }), { nil: null })

describe('fingerprints of rows', () => {
  it('take the key from the readable columns, wherever it stands among them', () => {
    expect(new RowReader(orders).key(['hello', '10248', null])).toBe('["10248"]')
  })

  it('leave out the columns that the playbook ignores', () => {
    const reader = new RowReader(orders, printingFor(orders, { ignore: ['SEEN'] }))
    expect(reader.print(['a', '1', 'yesterday']).print).toBe(reader.print(['a', '1', 'today']).print)
    expect(reader.print(['a', '1', null]).print).not.toBe(reader.print(['b', '1', null]).print)
  })

  it('tell NULL from an empty text, and a value from its neighbour', () => {
    const reader = new RowReader(orders)
    const all: Row[] = [
      ['', '1', null],
      [null, '1', ''],
      ['', '1', ''],
      [null, '1', null],
      ['1', '', ''],
      ['a|', '1', 'b'],
      ['a', '1', '|b'],
    ]
    expect(new Set(all.map((row) => reader.print(row).print)).size).toBe(all.length)
  })

  it('are equal exactly when the cells are', () => {
    const reader = new RowReader(orders)
    fc.assert(
      fc.property(fc.tuple(cell, cell, cell), fc.tuple(cell, cell, cell), (one, other) => {
        expect(reader.print(one).print === reader.print(other).print).toBe(JSON.stringify(one) === JSON.stringify(other))
      }),
    )
  })

  it('keys survive being written down', () => {
    fc.assert(
      fc.property(fc.array(cell), (cells) => {
        expect(keyCells(keyText(cells))).toEqual(cells)
      }),
    )
  })
})
