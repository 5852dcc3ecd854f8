import type { Block, Database, KeyCells, Reader, ReadOptions, Row } from '../../src/databases/port.ts'
import { keyPositions, type Table } from '../../src/databases/schema.ts'
import type { ShopDatabase } from './database-host.ts'
import { fillShop } from './database-kit.ts'

export async function fillRanges(shop: ShopDatabase, words = 20): Promise<void> {
  const { customers } = await fillShop(shop)
  for (let at = 0; at < 9; at += 1)
    await shop.insert('orders', { customer_id: customers[at % 3] ?? null, placed: '2026-03-01 08:00:00.5' })
  for (let at = 0; at < 12; at += 1) await shop.insert('countdown', { note: `n${at}` })
  await shop.insertWords(words)
  for (const word of ['Zebra', 'apple', 'Äpfel', 'étude', 'a b', 'a-b', '_x', '9', '10', "o'hara", 'ß', '😀', '\\N', 'tab\t'])
    await shop.insert('words', { word, meaning: word.slice(0, 2) })
}

export const keyOf = (table: Table, row: Row): KeyCells => keyPositions(table).map((at) => row[at] ?? null)

/** Ranges of so many rows, from the first to the last. */
export async function rangesOf(reader: Reader, table: Table, rows: number): Promise<readonly ReadOptions[]> {
  const ranges: ReadOptions[] = []
  let after: KeyCells | undefined
  for (;;) {
    const upTo = await boundaryOf(reader)(table, rows, after)
    const from = after === undefined ? {} : { after }
    ranges.push(upTo === undefined ? from : { ...from, upTo })
    if (upTo === undefined) return ranges
    after = upTo
  }
}

export function boundaryOf(reader: Reader): NonNullable<Reader['boundary']> {
  if (reader.boundary === undefined) throw new Error('the reader has no boundary')
  return reader.boundary.bind(reader)
}

export function blocksFrom(reader: Reader): NonNullable<Reader['blocks']> {
  if (reader.blocks === undefined) throw new Error('the reader has no blocks')
  return reader.blocks.bind(reader)
}

export function loaderOf(database: Database): NonNullable<Database['loadBlocks']> {
  if (database.loadBlocks === undefined) throw new Error('the database loads no blocks')
  return database.loadBlocks.bind(database)
}

export async function collect(blocks: AsyncIterable<Block>): Promise<readonly Block[]> {
  const all: Block[] = []
  for await (const block of blocks) all.push(block)
  return all
}

export const blocksOf = (database: Database, table: Table): Promise<readonly Block[]> =>
  database.read(1, ([reader]) => collect(blocksFrom(reader)(table)))

export async function* buffers(...blocks: readonly Block[]): AsyncGenerator<Buffer> {
  for (const block of blocks) yield block.bytes
}

export const moveBlocks = async (from: Database, to: Database, table: Table): Promise<number> =>
  loaderOf(to)(table, buffers(...(await blocksOf(from, table))), { run: 'copy', name: table.name.name })
