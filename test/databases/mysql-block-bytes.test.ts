import { describe, expect, it } from 'vitest'
import { escaped } from '../../src/databases/mysql/block-bytes.ts'

/** What a block is to hold of a value. */
const wanted = (value: string): string => value.replaceAll(/[\\\t\n]/g, (special) => `\\${special}`)

function made(value: string): string {
  const from = Buffer.from(`\\\t${value}\n\\`, 'latin1')
  const to = Buffer.alloc(2 * from.length + 6, '?')
  const end = escaped(from, 2, 2 + value.length, to, 3)
  expect([to.toString('latin1', 0, 3), to.toString('latin1', end, end + 3)]).toEqual(['???', '???'])
  return to.toString('latin1', 3, end)
}

describe('a value in a block of LOAD DATA’s text', () => {
  it.each([0, 1, 95, 96, 97, 200, 5000])(
    'of %d bytes has a backslash before each that needs one, wherever they stand',
    (length) => {
      const plain = 'x'.repeat(length)
      const specials = '\\\t\n'
      const values = [plain, specials.repeat(length / 3), `\n${plain.slice(1)}`, `${plain.slice(1)}\\`.slice(0, length)]
      for (const apart of [2, 7, 23, 24, 25, 60, 130])
        values.push(Array.from({ length }, (_none, at) => (at % apart === 0 ? specials[(at / apart) % 3] : 'é')).join(''))
      // Thick at the start, thin at the end, and the other way.
      values.push(specials.repeat(30).slice(0, length) + plain, plain + specials.repeat(30).slice(0, length))
      for (const value of values) expect(made(value)).toBe(wanted(value))
    },
  )
})
