import type { Column } from '../schema.ts'
import { parseType, selectExpression } from './values.ts'
import { VARIANT_PRINT_WIDTH, variantPrint } from './variants.ts'

/**
 * What of a column's value goes into its row's fingerprint: nvarchar text that ends where it says it ends, so that any two rows of
 * different cells have different texts. Text, because a type's bytes "are not guaranteed to be the same between versions" ("binary and
 * varbinary (Transact-SQL)", Converting) and CONVERT's styles are.
 *
 * | value | text |
 * | --- | --- |
 * | NULL | `N,` |
 * | numbers, dates, GUIDs: text without a comma or an N | the text and `,` |
 * | sql_variant | its cell (variants.ts), but of text and bytes their hashes, and `,` |
 * | up to 1,000 characters of text | the bytes that they take as Unicode, `:` and the characters |
 * | longer text, and bytes | the bytes that they take, `:`, 64 bits of their hash as a number, and `,` |
 *
 * HASHBYTES takes 8,000 bytes at most before SQL Server 2016 ("HASHBYTES (Transact-SQL)", Arguments). Longer values are therefore
 * hashed piece by piece, on newer servers too, so that an old host and a new one have the same fingerprints: the hash of each piece is
 * hashed again together with the piece's number, and these are added up. Two values of equal length whose pieces differ anywhere add
 * up to the same number with a chance of 2^-64.
 */
export interface Piece {
  /** Expression of nvarchar, never NULL. */
  readonly sql: string
  /** Characters that it takes at most. */
  readonly width: number
}

/** Text that is longer is hashed by itself. */
const MOST_INLINE = 1000

/** 64 bits of the hash of at most 8,000 bytes of text or bytes, as a number. */
export const hash64 = (value: string): string => `CONVERT(bigint, SUBSTRING(HASHBYTES('SHA2_256', ${value}), 1, 8))`

const plain = (text: string, width: number): Piece => ({ sql: `ISNULL(${text} + N',', N'N,')`, width: Math.max(width + 1, 2) })

const inline = (text: string, length: number): Piece => ({
  sql: `ISNULL(CONVERT(nvarchar(5), DATALENGTH(${text})) + N':' + ${text} COLLATE Latin1_General_BIN2, N'N,')`,
  width: length + 6,
})

/** `hash`: nvarchar; NULL where the value is. */
const hashed = (length: string, hash: string): Piece => ({
  sql: `ISNULL(CONVERT(nvarchar(20), ${length}) + N':' + ${hash} + N',', N'N,')`,
  width: 62,
})

/** A number as nvarchar. */
const asText = (number: string): string => `CONVERT(nvarchar(40), ${number})`

/** Numbers from 0 on, fewer than a million; nothing that can be read has more pieces (oversize.ts). */
const DIGITS = Array.from({ length: 32 }, () => '(1)').join(', ')
const numbers = (count: string): string =>
  `SELECT TOP (${count}) ROW_NUMBER() OVER (ORDER BY (SELECT 1)) - 1 AS n FROM ${['a', 'b', 'c', 'd'].map((name) => `(VALUES ${DIGITS}) AS ${name}(n)`).join(' CROSS JOIN ')}`

interface Pieces {
  /** The column. */
  readonly column: string
  /** The piece that begins at `start` (from 1). */
  readonly piece: (start: string) => string
  /** How many characters or bytes a piece has. */
  readonly size: number
  /** The value as long as it is short enough to be hashed whole, and how many bytes that is. */
  readonly whole: string
  readonly most: number
}

/**
 * The sum stands over a derived table, because an aggregate's argument may hold no column of the outer query beside its own (error
 * 8124). A text of n bytes has at most n characters; pieces beyond its end are empty.
 */
function longHash({ column, piece, size, whole, most }: Pieces): string {
  const length = `ISNULL(CONVERT(bigint, DATALENGTH(${column})), 0)`
  const part = hash64(`${asText('k.n')} + N':' + ${asText(hash64(piece(`k.n * ${size} + 1`)))}`)
  const sum = `SELECT ${asText('SUM(h.part)')} FROM (SELECT CONVERT(decimal(38,0), ${part}) AS part FROM (${numbers(`${length} / ${size} + 1`)}) AS k) AS h`
  return `CASE WHEN DATALENGTH(${column}) > ${most} THEN (${sum}) ELSE ${asText(hash64(whole))} END`
}

/** 2,000 characters are at most 8,000 bytes of Unicode, and 4,000 bytes of any text at most 4,000 UTF-16 units. */
function longText(column: string, characters: string): Piece {
  const hash = longHash({
    column,
    piece: (start) => `CONVERT(nvarchar(4000), SUBSTRING(${characters}, ${start}, 2000))`,
    size: 2000,
    whole: `CONVERT(nvarchar(4000), ${column})`,
    most: 4000,
  })
  return hashed(`DATALENGTH(${column})`, hash)
}

function longBytes(column: string): Piece {
  const hash = longHash({
    column,
    piece: (start) => `SUBSTRING(${column}, ${start}, 8000)`,
    size: 8000,
    whole: `CONVERT(varbinary(8000), ${column})`,
    most: 8000,
  })
  return hashed(`DATALENGTH(${column})`, hash)
}

/** Of as many bytes as there are: SQL Server 2016. */
const wholeHash = (value: string): Piece => hashed(`DATALENGTH(${value})`, asText(hash64(value)))

/**
 * Types whose values must be converted whole before a piece can be taken of them, which would be done for every piece anew: they are
 * hashed whole.
 */
export const isHashedWhole = (column: Column): boolean =>
  ['xml', 'hierarchyid', 'geometry', 'geography'].includes(parseType(column.codec).name)

/** Whether the fingerprint of a column depends on its collation: on how many characters and bytes a text has there. */
export const hangsOnCollation = (column: Column): boolean => {
  const { name, sizes } = parseType(column.codec)
  return name === 'text' || (['char', 'varchar'].includes(name) && isLong(sizes[0]))
}

const isLong = (size = 1): boolean => size === -1 || size > MOST_INLINE

/** The piece of a column's value; `reference` is the quoted column with its table's alias, which nothing in between may have. */
export function pieceOf(column: Column, reference: string): Piece {
  const { name, sizes } = parseType(column.codec)
  const [size = 1] = sizes
  const styled = (length: number, style: number): Piece => plain(`CONVERT(nvarchar(${length}), ${reference}, ${style})`, length)
  switch (name) {
    // CONVERT's own styles show fewer digits; these are the numbers' bytes, IEEE 754, which tell -0 from 0.
    case 'float':
      return plain(`CONVERT(nvarchar(20), CONVERT(bigint, CONVERT(binary(8), ${reference})))`, 20)
    case 'real':
      return plain(`CONVERT(nvarchar(11), CONVERT(int, CONVERT(binary(4), ${reference})))`, 11)
    case 'date':
      return styled(10, 23)
    case 'time':
      return styled(16, 121)
    case 'smalldatetime':
      return styled(19, 120)
    case 'datetime':
      return styled(23, 121)
    case 'datetime2':
      return styled(27, 121)
    case 'datetimeoffset':
      return styled(34, 121)
    case 'char':
    case 'varchar':
    case 'nchar':
    case 'nvarchar':
    case 'text':
    case 'ntext':
      return textPiece(name, size, column, reference)
    case 'binary':
    case 'varbinary':
    case 'image':
      return longBytes(reference)
    case 'xml':
      return wholeHash(`CONVERT(nvarchar(max), ${reference})`)
    case 'hierarchyid':
    case 'geometry':
    case 'geography':
      return wholeHash(`CONVERT(varbinary(max), ${reference})`)
    case 'sql_variant':
      return plain(variantPrint(reference, hash64), VARIANT_PRINT_WIDTH)
    case 'money':
    case 'smallmoney':
      return plain(selectExpression(column, reference), 24)
    case 'decimal':
    case 'numeric':
      return plain(`CONVERT(nvarchar(41), ${reference})`, 41)
    case 'uniqueidentifier':
      return plain(`CONVERT(nvarchar(36), ${reference})`, 36)
    default:
      return plain(`CONVERT(nvarchar(20), ${reference})`, 20)
  }
}

function textPiece(name: string, size: number, column: Column, reference: string): Piece {
  switch (name) {
    // Characters are counted as UTF-16 units whatever the column's collation ("Collation and Unicode support", supplementary characters).
    case 'nchar':
    case 'nvarchar':
      return isLong(size) ? longText(reference, `${reference} COLLATE Latin1_General_BIN2`) : inline(reference, size)
    case 'ntext':
      return longText(reference, `CONVERT(nvarchar(max), ${reference}) COLLATE Latin1_General_BIN2`)
    case 'text':
      return longText(reference, reference)
    default:
      return isLong(size) ? longText(reference, reference) : inline(selectExpression(column, reference), size)
  }
}
