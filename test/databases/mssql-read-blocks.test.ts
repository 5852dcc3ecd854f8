import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { configuration, type MssqlOptions } from '../../src/databases/mssql/connection.ts'
import { type RawRows, RowConnection } from '../../src/databases/mssql/raw-rows.ts'
import { readerOn } from '../../src/databases/mssql/read.ts'
import { readBlocks } from '../../src/databases/mssql/read-blocks.ts'
import { Session } from '../../src/databases/mssql/session.ts'
import type { ReadOptions } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { blocksFrom, collect } from '../contract/database-blocks-kit.ts'
import { failureOf } from '../contract/database-kit.ts'
import { column, orders } from './mssql-tables.ts'

const OPTIONS: MssqlOptions = {
  host: 'localhost',
  user: 'shop',
  password: undefined,
  database: 'shop',
  connections: 1,
  label: 'old database shop',
}

/** int NOT NULL, varchar(20): [MS-TDS] 2.2.7.4. */
const METADATA = Buffer.from(
  ['810200', '000000000800', '38', '016900', '000000000900', 'a71400', '0904d00034', '017400'].join(''),
  'hex',
)
const ROW = Buffer.from('d1070000000400636166e9', 'hex')
const DONE = Buffer.from('fd1000c1000200000000000000', 'hex')

const words: Table = { ...orders, columns: [column('i', 'int', { nullable: false }), column('t', 'varchar(20)')], key: ['i'] }

/** Not connected: every question has the same answer, in packets. */
class Answering extends RowConnection {
  isCancelled = false
  readonly asked: string[] = []
  /** Bytes that came, and what of them wasn't rows. */
  readonly seen = { bytes: 0, rest: Buffer.alloc(0) }
  readonly #answer: Buffer

  constructor(...answer: readonly Buffer[]) {
    super(configuration(OPTIONS))
    this.#answer = Buffer.concat(answer)
  }

  override execRaw(raw: RawRows): void {
    this.asked.push(raw.request.sqlTextOrProcedure ?? '')
    const { promise: cancelled, resolve } = Promise.withResolvers<void>()
    raw.request.on('cancel', () => {
      this.isCancelled = true
      resolve()
    })
    const answered = (async () => {
      for await (const rest of raw.without(this.packets(cancelled))) this.seen.rest = Buffer.concat([this.seen.rest, rest])
    })()
    answered.then(
      () => raw.request.callback(this.isCancelled ? new Error('Canceled.') : null),
      (error: Error) => raw.request.callback(error),
    )
  }

  protected async *packets(_cancelled: Promise<void>): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.#answer.length; at += 16_360) {
      const packet = this.#answer.subarray(at, at + 16_360)
      this.seen.bytes += packet.length
      yield packet
    }
  }
}

/** Gives nothing after its answer until it is cancelled, or `goesOn`. */
class Stalling extends Answering {
  goesOn: Promise<Buffer> | undefined

  protected override async *packets(cancelled: Promise<void>): AsyncGenerator<Buffer> {
    yield* super.packets(cancelled)
    const rest = await Promise.race([cancelled, this.goesOn ?? new Promise<Buffer>(() => undefined)])
    if (rest !== undefined) yield rest
  }
}

const sessionOn = (connection: RowConnection): Session =>
  new Session(connection, { label: OPTIONS.label, user: 'shop', database: 'shop' }, 1000)
const reading = (connection: RowConnection, table: Table, options: ReadOptions = {}) =>
  readBlocks(sessionOn(connection), table, options)

describe('rows that are read as bytes', () => {
  it('may hold text that nobody here reads: only their keys are looked at', async () => {
    const rows: number[] = []
    for await (const block of reading(new Answering(METADATA, ROW, ROW, DONE), words, { upTo: ['9'] })) rows.push(block.rows)
    expect(rows).toEqual([2])
  })

  it.each([
    ['of a whole table are cancelled when they are left midway', { ...words, key: [] }, {}, true],
    ['of a page are read to their end when they are left midway', words, { upTo: ['9'] }, false],
  ])('%s', async (_what, table, options, isCancelled) => {
    const connection = new Answering(METADATA, Buffer.concat(Array.from({ length: 100_000 }, () => ROW)), DONE)
    for await (const block of reading(connection, table, options)) {
      expect(block.rows).toBeGreaterThan(0)
      expect(connection.seen.bytes).toBeLessThan(500_000)
      break
    }
    expect(connection.isCancelled).toBe(isCancelled)
    expect(connection.seen.rest.equals(Buffer.concat([METADATA, DONE]))).toBe(true)
  })

  it('of a next range are asked for in pages as large as those before were found to fit', async () => {
    const connection = new Answering(METADATA, Buffer.concat(Array.from({ length: 1000 }, () => ROW)), DONE)
    const blocks = blocksFrom(readerOn(sessionOn(connection), true))
    for (const upTo of ['5000', '9000']) await collect(blocks(words, { upTo: [upTo] }))
    expect(connection.asked.map((sql) => /TOP \((\d+)\)/.exec(sql)?.[1])).toEqual(['1000', '4000', '4000'])
  })

  it('are asked for no longer where none comes for as long as they are given, after those that came', async () => {
    const connection = new Stalling(METADATA, ROW, ROW)
    const rows: number[] = []
    const read = (async () => {
      for await (const block of reading(connection, words, { upTo: ['9'], quietMs: 20 })) rows.push(block.rows)
    })()
    expect(await failureOf(read)).toMatchObject({ code: 'database-too-slow', retrySafe: true })
    expect([rows, connection.isCancelled]).toEqual([[2], true])
  })

  it('of a snapshot are waited for: it would end with a query that is cancelled', async () => {
    const connection = new Stalling(METADATA, ROW)
    connection.goesOn = (async () => {
      for (let turns = 0; turns < 5000; turns += 1) await turn()
      return Buffer.concat([ROW, DONE])
    })()
    const reader = readerOn(sessionOn(connection), true)
    const blocks = await collect(blocksFrom(reader)(words, { upTo: ['9'], quietMs: 1 }))
    expect([blocks.map((block) => block.rows), connection.isCancelled]).toEqual([[2], false])
  })

  it('are never lost in silence behind a token that isn’t known', async () => {
    class Passing extends Answering {
      override execRaw(raw: RawRows): void {
        super.execRaw(raw)
        raw.request.emit('row', [])
      }
    }
    const failure = failureOf(collect(reading(new Passing(METADATA, ROW, DONE), words, { upTo: ['9'] })))
    expect(await failure).toMatchObject({ code: 'fault', message: expect.stringContaining('a token of the answer') })
  })
})
