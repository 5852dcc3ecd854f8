import { describe, expect, it } from 'vitest'
import {
  endBlock,
  isLargeRow,
  isRaw,
  largeBlock,
  pieceBlock,
  rowsBlock,
  rowsOfBlock,
  unpack,
} from '../../src/databases/mssql/blocks.ts'
import { cellsOf } from '../../src/databases/mssql/raw-cells.ts'
import { clippedShape, largeRowSql } from '../../src/databases/mssql/read-blocks.ts'
import type { Block, Row } from '../../src/databases/port.ts'
import { failureOf } from '../contract/database-kit.ts'
import { lines, orders } from './mssql-tables.ts'

async function* sent(...blocks: readonly Block[]): AsyncGenerator<Buffer> {
  for (const { bytes } of blocks) yield bytes
}

/** What blocks hold: rows as they are, of a large one its values joined. */
async function held(blocks: AsyncIterable<Buffer>): Promise<readonly unknown[]> {
  const all: unknown[] = []
  for await (const rows of unpack(blocks)) {
    if (isRaw(rows)) all.push(...cellsOf(rows.columns, rows.codePages, rows.bytes))
    else if (!isLargeRow(rows)) all.push(...rows)
    else {
      const values = new Map<number, Buffer>(rows.columns.map((at) => [at, Buffer.alloc(0)]))
      for (let piece = await rows.pieces.next(); piece.done !== true; piece = await rows.pieces.next())
        values.set(piece.value.column, Buffer.concat([values.get(piece.value.column) ?? Buffer.alloc(0), piece.value.bytes]))
      all.push({ row: rows.row, values })
    }
  }
  return all
}

const HALF = '\ud83d'
const ROWS: readonly Row[] = [
  ['1', null, '', 'tab\tand\nline "quoted" \\'],
  ['2', '東京 ', HALF, '0'],
]

describe('blocks of SQL Server', () => {
  it('hold rows to the letter, halves of characters too', async () => {
    expect(rowsOfBlock(rowsBlock(ROWS).bytes)).toEqual(ROWS)
    expect(await held(sent(rowsBlock(ROWS), rowsBlock(ROWS.slice(1))))).toEqual([...ROWS, ...ROWS.slice(1)])
  })

  it('hold a large row in pieces that belong together, between others', async () => {
    const row = ['7', '', null, '']
    const blocks = [
      rowsBlock(ROWS),
      largeBlock(row, [1, 3]),
      pieceBlock(1, Buffer.from('ab')),
      pieceBlock(1, Buffer.from('c')),
      pieceBlock(3, `é${HALF}`),
      endBlock(),
      rowsBlock(ROWS),
    ]
    expect(blocks.map(({ rows, continues }) => [rows, continues])).toEqual([
      [2, undefined],
      [1, true],
      [0, true],
      [0, true],
      [0, true],
      [0, false],
      [2, undefined],
    ])
    const values = new Map([
      [1, Buffer.from('abc')],
      [3, Buffer.from(`é${HALF}`, 'utf16le')],
    ])
    expect(await held(sent(...blocks))).toEqual([...ROWS, { row, values }, ...ROWS])
    expect(blocks.flatMap(({ bytes }) => rowsOfBlock(bytes))).toEqual([...ROWS, ...ROWS])
  })

  it.each([
    ['end in the middle of a row', [largeBlock(['7'], [0]), pieceBlock(0, Buffer.from('a'))]],
    ['begin in the middle of a row', [pieceBlock(0, Buffer.from('a')), endBlock()]],
    ['have other rows among the pieces of one', [largeBlock(['7'], [0]), rowsBlock(ROWS)]],
  ])('that %s are refused', async (_what, blocks) => {
    expect((await failureOf(held(sent(...blocks)))).code).toBe('snapshot-damaged')
  })

  it('whose reader leaves pieces behind are refused', async () => {
    const blocks = unpack(sent(largeBlock(['7'], [0]), pieceBlock(0, Buffer.from('a')), endBlock()))
    await blocks.next()
    expect((await failureOf(blocks.next())).code).toBe('snapshot-damaged')
  })
})

describe('large rows of SQL Server', () => {
  it('are told by the length of their values of unlimited length, which stay behind', () => {
    const { list, join } = clippedShape(orders, 1000)
    expect(list).toBe(
      't.[OrderID], CONVERT(nvarchar(20), t.[Customer]), CONVERT(nvarchar(24), CONVERT(decimal(19,4), t.[Total])), CASE WHEN s.migrate_bytes > 1000 THEN NULL ELSE t.[Photo] END, CASE WHEN s.migrate_bytes > 1000 THEN s.migrate_bytes END',
    )
    expect(join).toBe(' CROSS APPLY (SELECT ISNULL(CONVERT(bigint, DATALENGTH(t.[Photo])), 0) AS migrate_bytes) AS s')
  })

  it('are read by their key at one moment, then piece by piece', () => {
    const sql = largeRowSql(lines, ['7', '6F9619FF-8B86-D011-B42D-00C04FC964FF'])
    expect(sql).toContain('@v0 int, @v1 nvarchar(36), @v2 nvarchar(max);')
    expect(sql).toContain('SELECT @found = 1, @v0 = t.[OrderID], @v1 = CONVERT(nvarchar(36), t.[Line]), @v2 = t.[Note] FROM')
    expect(sql).toContain("SELECT @v0, @v1, CASE WHEN @v2 IS NOT NULL THEN N'' END;")
    expect(sql).toContain('SET @text = SUBSTRING(@v2 COLLATE Latin1_General_BIN2, @at, 262144);\nWHILE DATALENGTH(@text) > 0')
  })
})
