import { MigrateError } from '../../base/errors.ts'
import { giveBack } from '../buffers.ts'
import { type Column, readableColumns, type Table } from '../schema.ts'
import { BACKSLASH, CAPITAL_N, NEWLINE, TAB } from './block-bytes.ts'
import { LENIENT_ROWS, miscount, refuseTooLarge, STATEMENT_LENGTH, write } from './insert.ts'
import { pieceOf } from './long-row.ts'
import { type Session, uncheckedPrefix } from './session.ts'
import { quoteNames, quoteTable } from './values.ts'

/**
 * Loads blocks by INSERT, for a server that lets no LOAD DATA LOCAL in; returns the rows. Their bytes go to the server as they are: what a
 * block has a backslash before has one in SQL's text as well ("String Literals"), and a value is of no character set until its column takes
 * it, as with LOAD DATA's "CHARACTER SET binary". Within the open transaction. A row in pieces is put together here: throws
 * `value-too-large` for one that is longer than what the server takes at once.
 */
export async function insertBlocks(session: Session, table: Table, blocks: AsyncIterable<Buffer>): Promise<number> {
  const statements = new BlockStatements(table, session.kind.maxPacket, uncheckedPrefix(session.kind))
  let count = 0
  const insert = async ({ bytes, rows, isLenient }: BlockStatement): Promise<void> => {
    const sql = bytes.toString('latin1')
    const result = await write(session, table, sql, isLenient, true)
    if (result.count !== rows) throw miscount(session, table, rows, result.count)
    count += rows
  }
  await session.inBytes(async () => {
    for await (const block of wholeRows(table, blocks, session.kind.maxPacket)) {
      for (const statement of statements.of(block)) await insert(statement)
      giveBack(block)
    }
    for (const statement of statements.rest()) await insert(statement)
  })
  return count
}

/** Blocks without pieces; a row that came in some is one of its own. */
async function* wholeRows(table: Table, blocks: AsyncIterable<Buffer>, maxPacket: number): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let bytes = 0
  for await (const block of blocks) {
    const piece = pieceOf(block)
    if (piece === undefined) {
      yield block
      continue
    }
    pieces.push(Buffer.from(piece.text))
    bytes += piece.text.length
    giveBack(block)
    refuseTooLarge(table, bytes, maxPacket)
    if (!piece.isLast) continue
    yield Buffer.concat(pieces)
    pieces = []
    bytes = 0
  }
}

const QUOTE = "'".charCodeAt(0)
const COMMA = ','.charCodeAt(0)
const OPEN = '('.charCodeAt(0)
const CLOSE = ')'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
const NINE = '9'.charCodeAt(0)
const NULL_WORD = Buffer.from('NULL')

/** Bytes that end a value of a block, or can't stand alone in SQL's text. */
const SPECIAL = new Uint8Array(256)
for (const byte of [TAB, NEWLINE, BACKSLASH, QUOTE]) SPECIAL[byte] = 1

/** How a value stands in a statement. */
type Form =
  /** In quotes, of no character set. */
  | 'bytes'
  /** In quotes, as UTF-8: some types take nothing without a character set ("The JSON Data Type"). */
  | 'text'
  /** An enum's number, without quotes: in them it would be taken for a member's name. */
  | 'member'

const TEXT_SET = Buffer.from('_utf8mb4')
/** What a value may take beyond its bytes: its character set, two quotes and a comma; what a row may: two brackets and a comma. */
const BESIDE_VALUE = TEXT_SET.length + 3
const BESIDE_ROW = 3
/** A byte of a block may be a whole value, or a quote that becomes two. */
const MOST_GROWTH = BESIDE_VALUE + BESIDE_ROW + 2

/** What stands before the statement in its packet, at most ("COM_QUERY"). */
const COMMAND_BYTES = 16

const formOf = ({ codec }: Column): Form => {
  if (codec === 'enum') return 'member'
  return codec === 'json' || codec === 'address' ? 'text' : 'bytes'
}

export interface BlockStatement {
  /** Good until the next statement is asked for. */
  readonly bytes: Buffer
  readonly rows: number
  /** True when an enum's error value is among them, which strict mode refuses. */
  readonly isLenient: boolean
}

/** Makes INSERTs of a table's blocks, each small enough for the server. Throws `value-too-large` for a row that isn't. */
export class BlockStatements {
  readonly #table: Table
  readonly #forms: readonly Form[]
  readonly #head: Buffer
  readonly #maxPacket: number
  readonly #limit: number
  #buffer: Buffer = Buffer.alloc(0)
  #used = 0
  #rows = 0
  #isLenient = false
  /** Of the row that was written last. */
  #hasEnumError = false

  /** `prefix`: stands before each. */
  constructor(table: Table, maxPacket: number, prefix = '') {
    const columns = readableColumns(table)
    this.#table = table
    this.#forms = columns.map(formOf)
    const names = quoteNames(columns.map(({ name }) => name))
    this.#head = Buffer.from(`${prefix}INSERT INTO ${quoteTable(table.name)} (${names}) VALUES `)
    this.#maxPacket = maxPacket
    this.#limit = Math.min(STATEMENT_LENGTH, maxPacket / 4)
  }

  /** Those that are full once a block of whole rows is added; its bytes are used no more. */
  *of(block: Buffer): Generator<BlockStatement> {
    this.#makeRoom(block.length)
    for (let at = 0; at < block.length; ) {
      const before = this.#used
      at = this.#row(block, at)
      if (this.#rows > 0 && this.#isApart()) {
        const end = this.#used
        yield this.#take(before)
        // Without the comma before it, the row follows the head that stands there still.
        this.#buffer.copyWithin(this.#head.length, before + 1, end)
        this.#used = this.#head.length + end - before - 1
      }
      refuseTooLarge(this.#table, this.#used, this.#maxPacket - COMMAND_BYTES)
      this.#rows += 1
      this.#isLenient ||= this.#hasEnumError
      if (this.#used > this.#limit) yield this.#take(this.#used)
    }
  }

  /** The last one, if there is any. */
  *rest(): Generator<BlockStatement> {
    if (this.#rows > 0) yield this.#take(this.#used)
  }

  /** True when the row that was written last belongs into a statement of its own, behind those before it. */
  #isApart(): boolean {
    if (this.#used > this.#limit) return true
    return this.#isLenient ? this.#rows >= LENIENT_ROWS : this.#hasEnumError
  }

  #take(end: number): BlockStatement {
    const statement = { bytes: this.#buffer.subarray(0, end), rows: this.#rows, isLenient: this.#isLenient }
    this.#rows = 0
    this.#used = 0
    this.#isLenient = false
    return statement
  }

  /** For a row of so many bytes at most behind what a statement holds at most. */
  #makeRoom(bytes: number): void {
    const held = Math.min(this.#limit, Math.max(this.#used, this.#head.length) + MOST_GROWTH * bytes)
    const needed = this.#head.length + held + 2 * bytes + BESIDE_VALUE * this.#forms.length + BESIDE_ROW
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.ceil(needed))
    this.#buffer.copy(larger, 0, 0, this.#used)
    this.#buffer = larger
  }

  /** Adds the row that begins at `start`; returns where the next one begins. */
  #row(block: Buffer, start: number): number {
    const buffer = this.#buffer
    this.#hasEnumError = false
    if (this.#used === 0) this.#used = this.#head.copy(buffer, 0)
    else this.#byte(COMMA)
    this.#byte(OPEN)
    let at = start
    for (let column = 0; column < this.#forms.length; column += 1) {
      if (column > 0) this.#byte(COMMA)
      if (block[at] === BACKSLASH && block[at + 1] === CAPITAL_N) {
        this.#used += NULL_WORD.copy(buffer, this.#used)
        at += 2
      } else at = this.#value(block, at, this.#forms[column] ?? 'bytes')
      at += 1
    }
    this.#byte(CLOSE)
    return at
  }

  #value(block: Buffer, start: number, form: Form): number {
    if (form === 'member') return this.#member(block, start)
    const buffer = this.#buffer
    if (form === 'text') this.#used += TEXT_SET.copy(buffer, this.#used)
    let to = this.#used
    buffer[to] = QUOTE
    to += 1
    let at = start
    for (;;) {
      const byte = block[at] ?? NEWLINE
      if (SPECIAL[byte] === 1) {
        if (byte === TAB || byte === NEWLINE) break
        // A backslash goes with what it stands before, and a quote becomes two.
        buffer[to] = byte
        to += 1
        if (byte === BACKSLASH) at += 1
        buffer[to] = block[at] ?? QUOTE
      } else buffer[to] = byte
      to += 1
      at += 1
    }
    buffer[to] = QUOTE
    this.#used = to + 1
    return at
  }

  /** What goes into SQL without quotes must be nothing but digits. */
  #member(block: Buffer, start: number): number {
    let at = start
    for (; at < block.length && block[at] !== TAB && block[at] !== NEWLINE; at += 1) {
      const byte = block[at] ?? 0
      if (byte < ZERO || byte > NINE)
        throw new MigrateError('fault', "A value of an enum column isn't its number in a block. This is a fault in migrate.")
      this.#byte(byte)
    }
    if (at === start + 1 && block[start] === ZERO) this.#hasEnumError = true
    return at
  }

  #byte(byte: number): void {
    this.#buffer[this.#used] = byte
    this.#used += 1
  }
}
