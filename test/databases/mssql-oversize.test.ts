import { describe, expect, it } from 'vitest'
import { oversizeFinding, oversizeSql, refuseKeyless, refuseOversize } from '../../src/databases/mssql/oversize.ts'
import { column, orders } from './mssql-tables.ts'

describe('rows too large', () => {
  const keyless = { ...orders, key: [] }

  it('are asked for by their length alone, with key and column', () => {
    expect(oversizeSql(orders)).toBe(
      "SELECT TOP (5) ISNULL(CONVERT(nvarchar(100), t.[OrderID]), N'NULL') AS [key],\n  CASE WHEN 1 = 1 THEN N'Photo' END AS [column], CONVERT(nvarchar(20), ISNULL(2 * CONVERT(bigint, DATALENGTH(t.[Photo])), 0)) AS [size], 0 AS [unreadable]\nFROM [dbo].[Orders] AS t WHERE ISNULL(2 * CONVERT(bigint, DATALENGTH(t.[Photo])), 0) > 536870888",
    )
  })

  it('are smaller where no key tells them apart, and no longer than Unicode can be', () => {
    expect(oversizeSql(keyless)).toContain('WHERE ISNULL(CONVERT(bigint, DATALENGTH(t.[Photo])), 0) > 67108864')
    const text = { ...orders, columns: [column('OrderID', 'int'), column('Words', 'varchar(max)')] }
    expect(oversizeSql(text)).toContain('CASE WHEN DATALENGTH(t.[Words]) > 1073741823 THEN 1 ELSE 0 END AS [unreadable]')
  })

  it('are refused by name as they are read', () => {
    const photo = Buffer.alloc(2 ** 28)
    expect(() => refuseOversize(orders, ['17', 'ada', '1.0000', photo])).toThrow(
      'The row 17 of dbo.Orders is too large to be read: its values, of which Photo is the largest',
    )
    expect(() => refuseOversize(orders, ['17', 'ada', '1.0000', photo.subarray(0, 1000)])).not.toThrow()
    expect(refuseKeyless(keyless, 2 ** 31).message).toBe(
      'A row of dbo.Orders, which has no key, is too large to be read at once: its values take 2.00 GiB; 64.0 MiB is the most, since nothing tells it apart to be read in pieces.',
    )
  })

  it.each([
    [
      'a warning where it is copied in pieces',
      orders,
      0,
      'warning',
      'row-too-large-to-carry',
      'The row 17 of dbo.Orders is copied in pieces',
    ],
    [
      'an error where Unicode can’t hold it',
      orders,
      1,
      'error',
      'row-too-large',
      'The row 17 of dbo.Orders is too large to be read',
    ],
    ['an error without a key', keyless, 0, 'error', 'row-too-large', 'A row of dbo.Orders, which has no key'],
  ])('are in check %s', (_what, table, unreadable, severity, code, message) => {
    expect(oversizeFinding(table, { key: '17', column: 'Photo', size: String(2 ** 30), unreadable })).toMatchObject({
      severity,
      code,
      message: expect.stringContaining(message),
    })
  })
})
