// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what a founder may write in a key
import { describe, expect, it } from 'vitest'
import { parseDecisions } from '../../src/playbook/decisions.ts'
import { PlaybookError } from '../../src/playbook/problems.ts'

function mistakesOf(text: string): readonly string[] {
  try {
    parseDecisions(text, 'decide.yml')
  } catch (error) {
    if (!(error instanceof PlaybookError)) throw error
    expect(error).toMatchObject({ code: 'decisions-invalid', ending: 'usage' })
    return error.problems.map(({ line, column, message, hint }) => `${line}:${column} ${message} → ${hint}`)
  }
  return []
}

describe('a file of decisions', () => {
  it('is a list of rows, each with what to take', () => {
    const text =
      '# the founder’s\n- { table: Orders, key: 10499, take: old }\n- table: shop.OrderItems\n  key: [10, 1]\n  take: merge\n'
    expect(parseDecisions(text, 'decide.yml')).toEqual([
      { table: 'Orders', key: '10499', take: 'old', line: 2, column: 3 },
      { table: 'shop.OrderItems', key: ['10', '1'], take: 'merge', line: 3, column: 3 },
    ])
  })

  it.each([
    ['12345678901234567890123', '12345678901234567890123'],
    ['007', '007'],
    ['1e3', '1e3'],
    ['true', 'true'],
    ['"10,1"', '10,1'],
    ['null', 'null'],
    ['"${NOT_SET}"', '${NOT_SET}'],
  ])('keeps the key %s as it is written', (written, key) => {
    expect(parseDecisions(`- { table: T, key: ${written}, take: new }`, 'decide.yml')).toMatchObject([{ key }])
  })

  it.each([
    ['', '1:1 No decision stands here. → Write it like  - { table: Orders, key: 10499, take: old }.'],
    ['table: Orders', '1:1 Decisions are a list. → Write it like  - { table: Orders'],
    ['- Orders 10499', '1:3 decision 1 is no decision. → Write it like  - { table: Orders'],
    ['- { table: Orders, key: 10499, take: mine }', '1:38 decision 1.take must be old, new, merge or skip. →'],
    ['- { table: Orders, key: 1, tak: old }', '1:28 decision 1 has no key "tak". → Did you mean "take"?'],
    ['- { table: Orders, take: old }', '1:3 decision 1.key must be the key of a row, as in 10499 or [10, 1]. →'],
    ['- { key: 1, take: old }', '1:3 decision 1.table is missing. → Add it.'],
    ['- { table: "", key: 1, take: old }', '1:12 decision 1.table may not be empty. →'],
    ['- { table: Orders, key: [], take: old }', '1:25 decision 1.key'],
    [
      '- { table: Orders, key: 7, take: old }\n- { table: orders, key: [7], take: new }',
      '2:3 The same row is decided twice, first in line 1. → Keep one of the two.',
    ],
    ['- { table: Orders', '1:'],
  ])('with the mistake %j says where and what to do', (text, expected) => {
    expect(mistakesOf(text)).toContainEqual(expect.stringContaining(expected))
  })

  it('has all its mistakes told at once, and nothing of it is used', () => {
    expect(mistakesOf('- { table: Orders, key: 1, take: mine }\n- 7\n- { table: Orders, key: 2, take: old }')).toHaveLength(2)
  })
})
