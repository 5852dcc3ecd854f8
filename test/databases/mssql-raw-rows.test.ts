import { describe, expect, it, vi } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { giveBack, lendBuffer } from '../../src/databases/buffers.ts'
import { pieceBlock, rawBlock, rowsOfBlock } from '../../src/databases/mssql/blocks.ts'
import { refusesBulk } from '../../src/databases/mssql/errors.ts'
import { cellsOf } from '../../src/databases/mssql/raw-cells.ts'
import { rawTargets, travelsRaw } from '../../src/databases/mssql/raw-tables.ts'
import { type RawBatch, RowSplitter } from '../../src/databases/mssql/tds-rows.ts'
import type { Table } from '../../src/databases/schema.ts'
import { failureOf } from '../contract/database-kit.ts'
import { column, lines, orders } from './mssql-tables.ts'

const bytes = (...parts: readonly (number | string | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'number' ? Buffer.from([part]) : Buffer.isBuffer(part) ? part : Buffer.from(part, 'hex'),
    ),
  )
const name = (text: string): Buffer => bytes(text.length, Buffer.from(text, 'utf16le'))
const short = (value: Buffer): Buffer => bytes(value.length & 255, value.length >> 8, value)
const pieces = (...some: readonly Buffer[]): Buffer =>
  bytes('feffffffffffffff', ...some.flatMap((each) => [each.length, '000000', each]), '00000000')

const COLLATION = '0904d00034'
/** int NOT NULL, int, decimal(12,2), varchar(10), nvarchar(max), bigint: [MS-TDS] 2.2.7.4. */
const TYPES = ['38', '2604', '6a090c02', `a70a00${COLLATION}`, `e7ffff${COLLATION}`, '2608']
const METADATA = bytes(0x81, TYPES.length, 0, ...TYPES.flatMap((type, at) => ['000000000900', type, name(`c${at}`)]))
const INFO = bytes(0xab, '0400', '01020304')
const DONE = bytes(0xfd, '1000c1000200000000000000')

const FULL = bytes(
  0xd1,
  '07000000',
  '0408000000',
  '09012a00000000000000',
  short(Buffer.from('caf\xe9', 'latin1')),
  pieces(Buffer.from('aé', 'utf16le'), Buffer.from('b', 'utf16le')),
  '00',
)
/** The second, fourth, fifth and sixth are NULL. */
const NULLS = bytes(0xd2, 0b111010, '08000000', '050007000000')
const CLIPPED = bytes(0xd1, '09000000', '00', '00', 'ffff', 'ffffffffffffffff', '080000000001000000')
const ANSWER = bytes(METADATA, INFO, FULL, NULLS, INFO, CLIPPED, FULL, DONE)

interface Split {
  readonly batch: RawBatch | undefined
  readonly rest: Buffer
}

function split(answer: Buffer, chunk: number, flagged = true): Split {
  const splitter = new RowSplitter(flagged)
  const rest: Buffer[] = []
  for (let at = 0; at < answer.length; at += chunk) {
    splitter.add(answer.subarray(at, at + chunk))
    for (let next = splitter.next(); next !== undefined; next = splitter.next()) {
      if (next === 'full') throw new Error('so few rows fill nothing')
      rest.push(Buffer.from(next))
    }
  }
  return { batch: splitter.take(), rest: Buffer.concat(rest) }
}

const PAGES = [undefined, undefined, undefined, 'CP1252', undefined]
const CELLS = ['7', '8', '0.42', 'café', 'aéb']

describe('the rows of an answer', () => {
  it('are taken out of it wherever it is cut, and the rest stays as it was', () => {
    for (let chunk = 1; chunk <= ANSWER.length; chunk += 1) {
      const { batch, rest } = split(ANSWER, chunk)
      expect(rest.equals(bytes(METADATA, INFO, INFO, DONE)), `chunks of ${chunk}`).toBe(true)
      if (batch === undefined) throw new Error('no rows came')
      expect([batch.rows, batch.clipped.length, batch.endsClipped]).toEqual([3, 1, false])
      expect(cellsOf(batch.columns, PAGES, batch.bytes)).toEqual([CELLS, ['8', null, '-0.07', null, null], CELLS])
      expect(cellsOf(batch.columns, PAGES, batch.bytes.subarray(batch.last))).toEqual([CELLS])
      expect(batch.clipped.flatMap((row) => cellsOf(batch.columns, PAGES, row))).toEqual([['9', null, null, null, null]])
    }
  })

  it('have every NULL in its place and decimals of one length, as a bulk load takes them', () => {
    const { batch } = split(bytes(METADATA, NULLS, DONE), 1000)
    expect(batch?.bytes.toString('hex')).toBe(`d1${'08000000'}${'00'}11${'00'}07${'00'.repeat(15)}${'ffff'}${'ffffffffffffffff'}`)
    expect(batch?.columns[2]?.type.toString('hex')).toBe('6a112602')
  })

  it('all have their last column where nothing is left out', () => {
    const { batch } = split(bytes(METADATA, CLIPPED, DONE), 1000, false)
    expect(cellsOf(batch?.columns ?? [], [...PAGES, undefined], batch?.bytes ?? Buffer.alloc(0))).toEqual([
      ['9', null, null, null, null, '4294967296'],
    ])
  })

  it('wait to be taken when they are many', () => {
    const splitter = new RowSplitter(true)
    splitter.add(bytes(METADATA, ...Array.from({ length: 20_000 }, () => FULL), DONE))
    const seen: unknown[] = []
    let rows = 0
    for (let next = splitter.next(); next !== undefined; next = splitter.next()) {
      seen.push(next === 'full' ? 'full' : next.length)
      if (next === 'full') rows += splitter.take()?.rows ?? 0
    }
    rows += splitter.take()?.rows ?? 0
    expect(rows).toBe(20_000)
    expect(seen.filter((each) => each === 'full').length).toBeGreaterThan(2)
    expect(seen.at(-1)).toBe(DONE.length)
  })

  it('may be longer than what is lent for them, which is given back then', () => {
    const lent = lendBuffer()
    giveBack(lent)
    const text = Buffer.alloc(700_000, 'é', 'utf16le')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(text.length)
    const long = bytes(0xd1, '07000000', '00', '00', 'ffff', bytes('feffffffffffffff', length, text, '00000000'), '00')
    // Behind it there is no room for more.
    const { batch } = split(bytes(METADATA, FULL, NULLS, long, DONE), 16_360)
    expect(cellsOf(batch?.columns ?? [], PAGES, batch?.bytes ?? Buffer.alloc(0))).toEqual([
      CELLS,
      ['8', null, '-0.07', null, null],
      ['7', null, null, null, text.toString('utf16le')],
    ])
    expect(lendBuffer().buffer).toBe(lent.buffer)
  })

  it('are gathered in memory that is used again, and nothing that was given out of it changes', () => {
    giveBack(lendBuffer())
    const made = [vi.spyOn(Buffer, 'allocUnsafeSlow'), vi.spyOn(Buffer, 'allocUnsafe')]
    const splitter = new RowSplitter(true)
    const notes = Array.from({ length: 9000 }, (_, at) => bytes(0xab, '0400', at & 255, at >> 8, '0304'))
    const answer = bytes(METADATA, ...notes.flatMap((note) => [FULL, NULLS, note]), DONE)
    const given: Buffer[] = []
    for (let at = 0; at < answer.length; at += 16_361) {
      splitter.add(answer.subarray(at, at + 16_361))
      for (let next = splitter.next(); next !== undefined; next = splitter.next()) {
        if (next !== 'full') given.push(next)
        else giveBack(splitter.take()?.bytes ?? Buffer.alloc(0))
      }
    }
    expect(made.flatMap(({ mock }) => mock.calls).length).toBeLessThan(4)
    expect(Buffer.concat(given).equals(bytes(METADATA, ...notes, DONE))).toBe(true)
  })

  it('stay where they are behind a token that isn’t known', () => {
    const unknown = bytes(0xae, '00')
    const { batch, rest } = split(bytes(METADATA, FULL, unknown, FULL, DONE), 7)
    expect(batch?.rows).toBe(1)
    expect(rest.equals(bytes(METADATA, unknown, FULL, DONE))).toBe(true)
  })

  it('travel in blocks that say what they are', () => {
    const { batch } = split(ANSWER, 1000)
    if (batch === undefined) throw new Error('no rows came')
    const { rows, bytes: block } = rawBlock(batch.columns, PAGES, batch.rows, batch.bytes)
    expect(rows).toBe(3)
    expect(rowsOfBlock(block)).toEqual([CELLS, ['8', null, '-0.07', null, null], CELLS])
    expect(rowsOfBlock(pieceBlock(0, 'a').bytes)).toEqual([])
  })

  it.each([
    ['2410', '10ff19966f868b11d0b42d00c04fc964ff', '6F9619FF-8B86-D011-B42D-00C04FC964FF'],
    ['6801', '0101', '1'],
    ['30', 'ff', '255'],
    ['34', '0080', '-32768'],
    ['7f', '0000000000000080', '-9223372036854775808'],
    ['3b', 'cdcccc3d', '0.10000000149011612'],
    ['6d08', '080000000000000080', '-0'],
    ['6e08', '080000008000000000', '-922337203685477.5808'],
    ['7a', 'ffffffff', '-0.0001'],
    ['28', '03000000', '0001-01-01'],
    ['28', '03dab937', '9999-12-31'],
    ['2907', '05ffbf692ac9', '23:59:59.9999999'],
    ['2900', '037f5101', '23:59:59'],
    ['2a03', '0700000000000000', '0001-01-01 00:00:00.000'],
    ['2b00', '08582b0081460b2eff', '2024-02-29 23:34:56 -03:30'],
    ['3d', '0000000000000000', '1900-01-01 00:00:00.000'],
    ['6f08', '0800000000ff818b01', '1900-01-01 23:59:59.997'],
    ['3a', 'ffff9f05', '2079-06-06 23:59:00'],
    ['a50400', 'ffff', null],
    ['a50400', '0000', ''],
    ['ad0400', '0400deadbeef', 'deadbeef'],
    // 2.2.5.5.1.5: the upper half of money comes first; 2.2.5.5.1.6: the sign of a decimal is 1 where it is positive.
    ['32', '01', '1'],
    ['3c', '0000000039300000', '1.2345'],
    ['6e08', '08ffffffffffffffff', '-0.0001'],
    ['6e04', '0439300000', '1.2345'],
    ['6d04', '04000080bf', '-1'],
    ['6d08', '00', null],
    ['6c050902', '050139300000', '123.45'],
    ['6a112626', '1101ffffffff3f228a097ac4865aa84c3b4b', `0.${'9'.repeat(38)}`],
    ['6a112600', '1100ffffffff3f228a097ac4865aa84c3b4b', `-${'9'.repeat(38)}`],
    ['2410', '00', null],
    // 2.2.5.5.1.8: three bytes up to a scale of 2, four up to 4, five above; the time of a datetimeoffset is UTC.
    ['2901', '03ff2e0d', '23:59:59.9'],
    ['2904', '04ff977f33', '23:59:59.9999'],
    ['2a07', '08ffbf692ac9dab937', '9999-12-31 23:59:59.9999999'],
    ['2b07', '0a0010acd15306240b4803', '2000-01-01 00:00:00.0000000 +14:00'],
    ['6f04', '04ffff9f05', '2079-06-06 23:59:00'],
    // A rowversion comes as the eight bytes that it is.
    ['ad0800', '080000000000000007d1', '00000000000007d1'],
    // 2.2.5.2.3: a length that is known or not, no piece at all, and NULL.
    ['a5ffff', '030000000000000002000000aabb01000000cc00000000', 'aabbcc'],
    ['a5ffff', 'feffffffffffffff01000000aa00000000', 'aa'],
    ['a5ffff', '000000000000000000000000', ''],
    ['a5ffff', 'ffffffffffffffff', null],
    [`e7ffff${COLLATION}`, 'feffffffffffffff020000003dd80200000000de00000000', '😀'],
    [`ef0400${COLLATION}`, '0400e9002000', 'é '],
  ])('of type 0x%s as 0x%s mean %s', (type, value, cell) => {
    const { batch } = split(bytes(0x81, 1, 0, '000000000900', type, name('c'), 0xd1, value, DONE), 1000, false)
    expect(cellsOf(batch?.columns ?? [], [undefined], batch?.bytes ?? Buffer.alloc(0))).toEqual([[cell]])
  })

  // [MS-TDS] 2.2.7.23: a bit for each column, the lowest of the first byte first.
  it('with NULLs in more than eight columns have each in its place', () => {
    const described = Array.from({ length: 10 }, () => bytes('000000000900', '2604', name('c')))
    const row = bytes(0xd2, 0b00000001, 0b00000010, ...Array.from({ length: 8 }, (_, at) => bytes('04', at, '000000')))
    const { batch } = split(bytes(0x81, 10, 0, ...described, row, DONE), 1000, false)
    expect(cellsOf(batch?.columns ?? [], [], batch?.bytes ?? Buffer.alloc(0))).toEqual([
      [null, '0', '1', '2', '3', '4', '5', '6', '7', null],
    ])
  })

  // [MS-TDS] 2.2.5.4.2, 2.2.5.4.3, 2.2.5.5.2, 2.2.5.5.3: what is never asked for as it is, since no bulk load takes it so.
  it.each([
    ['xml', 'f100'],
    ['a CLR type', `f0ffff${'00'.repeat(5)}`],
    ['sql_variant', '62491f0000'],
    ['text', `23ffffff7f${COLLATION}`],
    ['ntext', `63feffff7f${COLLATION}`],
    ['image', '22ffffff7f'],
  ])('of %s are refused, not misread', (_what, type) => {
    const answer = bytes(0x81, 1, 0, '000000000900', type, name('c'), DONE, DONE)
    expect(() => split(answer, 1000, false)).toThrow('This is a fault in migrate')
  })

  it('in a code page that nobody here reads are copied, and not shown', async () => {
    const { batch } = split(bytes(METADATA, FULL, DONE), 1000)
    if (batch === undefined) throw new Error('no rows came')
    const shown = async () => cellsOf(batch.columns, [undefined, undefined, undefined, 'CP437', undefined], batch.bytes)
    expect((await failureOf(shown())).code).toBe('snapshot-format-unknown')
  })
})

describe('tables whose rows travel as they are', () => {
  const plain: Table = { ...orders, columns: orders.columns.filter(({ name: each }) => each !== 'Photo') }

  it('have types alone that a bulk load takes as a server sends them, and a key that can be asked for again', () => {
    expect(travelsRaw(orders)).toBe(true)
    expect(travelsRaw({ ...orders, columns: [...orders.columns, column('Page', 'xml')] })).toBe(false)
    expect(travelsRaw({ ...orders, key: ['Customer'] })).toBe(false)
    expect(travelsRaw({ ...lines, key: [] })).toBe(true)
  })

  it('are declared in their own types, text with its collation, decimals of 38 digits, NULL where the column allows it', () => {
    const { batch } = split(bytes(METADATA, FULL, DONE), 1000, false)
    const columns = [
      ...plain.columns,
      column('Odd ] name', 'decimal(10,3)', { nullable: false }),
      column('Words', 'nvarchar(20)', { collation: 'Latin1_General_CI_AS', nullable: false }),
    ]
    expect(
      rawTargets({ ...plain, columns }, batch?.columns ?? []).map(
        ({ name: each, declaration, nullable }) => `${each} ${declaration}${nullable ? '' : ' NOT NULL'}`,
      ),
    ).toEqual([
      'OrderID int NOT NULL',
      'Customer varchar(20) COLLATE Latin1_General_CI_AS',
      'Total money',
      'Odd ]] name decimal(38,3) NOT NULL',
      'Words nvarchar(20) COLLATE Latin1_General_CI_AS NOT NULL',
    ])
  })

  it('are known to be refused by what the server says of a bulk load, whatever the driver wraps it in', () => {
    const said = (number: number) => Object.assign(new Error('Invalid column type from bcp client for colid 1.'), { number })
    expect([4815, 4816, 4863].map((number) => refusesBulk(said(number)))).toEqual([true, true, true])
    expect(refusesBulk(new MigrateError('database-statement-failed', 'x', { cause: said(4816) }))).toBe(true)
    expect(refusesBulk(new AggregateError([said(3621), said(4816)]))).toBe(true)
    // No right to it; a duplicate key; not the server at all.
    expect([refusesBulk(said(4834)), refusesBulk(said(2627)), refusesBulk(new Error('gone'))]).toEqual([false, false, false])
  })
})
