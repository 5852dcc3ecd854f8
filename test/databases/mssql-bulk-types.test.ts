import { createRequire } from 'node:module'
import fc from 'fast-check'
import { Connection } from 'tedious'
import { describe, expect, it } from 'vitest'
import { bulkType } from '../../src/databases/mssql/bulk-types.ts'
import { configuration } from '../../src/databases/mssql/connection.ts'
import { cellsOf } from '../../src/databases/mssql/raw-cells.ts'
import { columnsAt } from '../../src/databases/mssql/tds-columns.ts'
import { type Native, nativeValue } from '../../src/databases/mssql/values.ts'
import type { Cell } from '../../src/databases/port.ts'
import { OPTIONS } from './mssql-backup-server.ts'

/** What the driver writes into, which it gives no name of its own. */
type Written = Parameters<ReturnType<typeof bulkType>['type']['writeValue']>[0]
const TrackingBuffer: new () => Written = createRequire(import.meta.url)(
  'tedious/lib/tracking-buffer/writable-tracking-buffer.js',
)

/** Never connected: it has the settings that the driver's types ask for. */
const { options: settings } = new Connection(configuration(OPTIONS)).config

/** TYPE_INFO and value, as a bulk load sends them for the cell. */
function sent(kind: Native, cell: Cell): { readonly type: Buffer; readonly value: Buffer } {
  const { type, options } = bulkType(kind)
  const [info, row] = [new TrackingBuffer(), new TrackingBuffer()]
  const data = { ...options, value: type.validate(nativeValue(cell, kind), undefined) }
  type.writeTypeInfo(info, data, settings)
  type.writeValue(row, data, settings)
  return { type: info.data, value: row.data }
}

/** The cell that a server's answer with these bytes means. */
function meant({ type, value }: ReturnType<typeof sent>): Cell | undefined {
  const metadata = Buffer.concat([Buffer.from('810100000000000900', 'hex'), type, Buffer.from('00', 'hex')])
  const { columns } = columnsAt(Buffer.concat([metadata, Buffer.alloc(8)]), 0, () => undefined)
  return cellsOf(columns, [undefined], Buffer.concat([Buffer.from([0xd1]), value]))[0]?.[0]
}

describe('what a bulk load sends for a cell', () => {
  // [MS-TDS] 2.2.5.5.1.1, 2.2.5.5.1.4, 2.2.5.5.1.6 and 2.2.5.5.1.8: the lowest byte first, days since 0001 or 1900, 300ths of a second.
  it.each<[Native, Cell, string]>([
    ['int', '-2147483648', '0400000080'],
    ['bigint', '-9223372036854775808', '080000000000000080'],
    ['bigint', '9007199254740993', '080100000000002000'],
    ['float', '-0', '080000000000000080'],
    ['float', '5e-324', '080100000000000000'],
    ['date', '0001-01-01', '03000000'],
    ['date', '9999-12-31', '03dab937'],
    ['datetime', '1753-01-01 00:00:00.003', '08462effff01000000'],
    ['datetime', '9999-12-31 23:59:59.997', '087f242d00ff818b01'],
    ['decimal(38,2)', '-123.45', '110039300000000000000000000000000000'],
    ['decimal(38,0)', '9'.repeat(38), '1101ffffffff3f228a097ac4865aa84c3b4b'],
    ['decimal(38,38)', `0.${'9'.repeat(38)}`, '1101ffffffff3f228a097ac4865aa84c3b4b'],
    ['int', null, '00'],
    ['bigint', null, '00'],
    ['float', null, '00'],
    ['date', null, '00'],
    ['datetime', null, '00'],
    ['decimal(38,4)', null, '00'],
  ])('as %s, of %s, is 0x%s', (kind, cell, hex) => {
    expect(sent(kind, cell).value.toString('hex')).toBe(hex)
    expect(meant(sent(kind, cell))).toBe(cell)
  })

  const day = fc.date({ min: new Date('1753-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true })
  const [twelve, thousandths] = [fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 999 })]
  const two = (number: number): string => String(number).padStart(2, '0')
  const digits = fc.bigInt({ min: 1n - 10n ** 38n, max: 10n ** 38n - 1n })
  const pointed = (value: bigint): string => {
    const text = String(value < 0n ? -value : value).padStart(11, '0')
    return `${value < 0n ? '-' : ''}${text.slice(0, -10)}.${text.slice(-10)}`
  }

  it.each<[Native, fc.Arbitrary<string>]>([
    ['bigint', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)],
    ['float', fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? '-0' : String(value)))],
    ['decimal(38,10)', digits.map(pointed)],
    ['date', day.map((value) => value.toISOString().slice(0, 10))],
    [
      'datetime',
      fc.tuple(day, twelve, thousandths).map(([value, hour, part]) => {
        const ms = Math.round((Math.round((part * 3) / 10) * 10) / 3)
        return `${value.toISOString().slice(0, 10)} ${two(hour)}:59:59.${String(Math.min(ms, 997)).padStart(3, '0')}`
      }),
    ],
  ])('as %s means that very cell where it is read again', (kind, cells) => {
    fc.assert(
      fc.property(cells, (cell) => {
        expect(meant(sent(kind, cell))).toBe(cell)
      }),
      { numRuns: 300 },
    )
  })
})
