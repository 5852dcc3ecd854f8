import { describe, expect, it } from 'vitest'
import type { Row } from '../../src/databases/port.ts'
import { jsonLines } from '../../src/databases/snapshot/json-lines.ts'

const LARGE = 2 ** 20 + 1

describe('rows as lines of JSON', () => {
  it.each([
    ['hexadecimal digits', 'ab'.repeat(LARGE)],
    ['a quote', `${'a'.repeat(LARGE)}"`],
    ['a backslash', `\\${'a'.repeat(LARGE)}`],
    ['a control character', `${'a'.repeat(LARGE)}\u0001`],
    ['other alphabets and half a character', `${'ж😀'.repeat(LARGE)}\ud83d`],
  ])('are the same bytes with a large cell of %s as JSON spells them', (_what, large) => {
    const rows: readonly Row[] = [
      ['1', large, null],
      ['2', null, ''],
      [large, '"', 'ö'],
    ]
    const lines = jsonLines(rows)
    if (Buffer.isBuffer(lines)) throw new Error('all of it at once')
    const pieces = [...lines.pieces()]
    expect(Buffer.concat(pieces).equals(Buffer.from(rows.map((row) => JSON.stringify(row)).join('\n')))).toBe(true)
    expect(lines.length).toBe(pieces.reduce((sum, piece) => sum + piece.length, 0))
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(8 * LARGE)
  })
})
