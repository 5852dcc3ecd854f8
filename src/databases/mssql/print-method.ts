import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Column, ORDINARY, readableColumns, type Table } from '../schema.ts'
import { hangsOnCollation, isHashedWhole } from './print-values.ts'
import { rowText } from './prints.ts'
import type { Session } from './session.ts'

/** Goes up when a row's text changes (print-values.ts, prints.ts). */
const VERSION = 'mssql-sha256-1'

/** A value of each kind of type whose text the server makes. */
const SAMPLES: readonly (readonly [codec: string, value: string])[] = [
  ['bit', 'CONVERT(bit, 1)'],
  ['bigint', "CONVERT(bigint, N'-9223372036854775808')"],
  ['decimal(38,10)', "CONVERT(decimal(38,10), N'-9999999999999999999999999999.9999999999')"],
  ['money', "CONVERT(money, CONVERT(decimal(19,4), N'-922337203685477.5808'))"],
  ['float', "CONVERT(float, N'-1.7976931348623157e308')"],
  ['real', "CONVERT(real, N'0.1')"],
  ['date', "CONVERT(date, N'0001-02-03', 23)"],
  ['time(7)', "CONVERT(time(7), N'23:59:59.1234567')"],
  ['smalldatetime', "CONVERT(smalldatetime, N'2079-06-06 23:59:00', 120)"],
  ['datetime', "CONVERT(datetime, N'1753-01-01 23:59:59.997', 121)"],
  ['datetime2(7)', "CONVERT(datetime2(7), N'9999-12-31 23:59:59.1234567', 121)"],
  ['datetimeoffset(7)', "CONVERT(datetimeoffset(7), N'2024-02-29 12:34:56.1234567 -03:30', 121)"],
  ['uniqueidentifier', "CONVERT(uniqueidentifier, N'6F9619FF-8B86-D011-B42D-00C04FC964FF')"],
  ['varchar(20)', "CONVERT(varchar(20), N'naïve € ' COLLATE Latin1_General_CI_AS)"],
  ['nvarchar(20)', "CONVERT(nvarchar(20), N'東京 é😀 ')"],
  ['nvarchar(max)', "REPLICATE(CONVERT(nvarchar(max), N'é東'), 3000)"],
  ['varchar(max)', "REPLICATE(CONVERT(varchar(max), 'ab'), 5000)"],
  ['varbinary(max)', "CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), 'ab'), 9000))"],
  ['int', 'CONVERT(int, NULL)'],
]

const sampleColumns: readonly Column[] = SAMPLES.map(([codec], index) => ({
  name: `c${index}`,
  type: codec,
  codec,
  ...ORDINARY,
}))

/** More than HASHBYTES takes before SQL Server 2016. */
const LONG_BYTES = 10_000

/** The hash of a row of samples, and that of a long value, NULL where the server takes none. */
export const probeSql = (): string => `SET NOCOUNT ON;
DECLARE @long varbinary(32);
BEGIN TRY
  SET @long = HASHBYTES('SHA2_256', REPLICATE(CONVERT(varchar(max), 'x'), ${LONG_BYTES}));
END TRY
BEGIN CATCH
  SET @long = NULL;
END CATCH;
SELECT HASHBYTES('SHA2_256', ${rowText(sampleColumns)}) AS [samples], @long AS [long]
FROM (SELECT ${SAMPLES.map(([, value], index) => `${value} AS c${index}`).join(', ')}) AS t`

const probeRow = z.object({ samples: z.instanceof(Buffer), long: z.instanceof(Buffer).nullable() })

/** How a server makes fingerprints. */
export interface Hashing {
  /** Differs between servers that make different text of the same values. */
  readonly samples: string
  /** Whether it hashes more than 8,000 bytes at a time. */
  readonly long: boolean
}

/** Tried out rather than concluded from a version, which Azure, compatible servers and later releases each tell in their own way. */
export async function probeHashing(session: Session): Promise<Hashing> {
  const [row] = await session.ask(probeRow, probeSql())
  if (row === undefined) throw new RangeError('The server gave no row for a query that always has one.')
  const long = createHash('sha256').update('x'.repeat(LONG_BYTES)).digest()
  return { samples: row.samples.toString('hex'), long: row.long?.equals(long) === true }
}

/** See the port's `fingerprintMethod`: the version, what the server makes of samples, and what is told of the table's columns. */
export function methodOf(table: Table, hashing: Hashing): string | undefined {
  const columns = readableColumns(table)
  if (!hashing.long && columns.some(isHashedWhole)) return undefined
  const told = columns
    .map((column) => [column.name.toLowerCase(), column.codec, hangsOnCollation(column) ? column.collation : ''])
    .toSorted(([a], [b]) => ((a ?? '') < (b ?? '') ? -1 : 1))
  const digest = createHash('sha256')
    .update(JSON.stringify([hashing.samples, told]))
    .digest('hex')
  return `${VERSION}-${digest.slice(0, 16)}`
}
