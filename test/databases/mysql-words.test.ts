import { describe, expect, it } from 'vitest'
import { sameRow } from '../../src/databases/mysql/find.ts'
import { isOfComputed } from '../../src/databases/mysql/insert.ts'
import { statementOf } from '../../src/databases/mysql/triggers.ts'
import { type Column, ORDINARY } from '../../src/databases/schema.ts'

const column = (name: string, of: Partial<Column>): Column => ({
  name,
  type: 'int(11)',
  codec: 'number',
  ...ORDINARY,
  ...of,
})

describe('a word of MySQL’s, as 9.7 says it,', () => {
  it('of a trigger that was made among other statements is read without the semicolon of theirs, with our guard or without', () => {
    const guard = (body: string): string =>
      `BEGIN /* migrate: silent in its own sessions */ IF @migrate_carries_rows IS NULL THEN\n${body}\n; END IF; END`
    for (const [kept, body] of [
      ['SET NEW.total = NEW.total + 1;', 'SET NEW.total = NEW.total + 1'],
      ['BEGIN SET @a = 1; END ;\n', 'BEGIN SET @a = 1; END'],
      ["SET @a = ';'", "SET @a = ';'"],
      ['SET @a = 1 -- the end', 'SET @a = 1 -- the end'],
    ]) {
      expect(statementOf(kept ?? '')).toEqual({ body, guarded: false })
      expect(statementOf(guard(kept ?? ''))).toEqual({ body, guarded: true })
    }
  })

  it('of a double is found by its number, which it prints in two ways, and 0 and -0 apart', () => {
    const columns = ['a', 'b', 'c'].map((name) => column(name, { type: 'double(20,5)', codec: 'double' }))
    const table = { name: { schema: '', name: 't' }, columns, primaryKey: null, uniqueKeys: [], key: [], triggers: [] }
    expect(sameRow(table, ['-0.00000999999999995449', '1.5e-30', '-0'])).toBe(
      "`a` * 1e0 = -0.00000999999999995449e0 AND `b` * 1e0 = 1.5e-30 AND `c` * 1e0 = -0e0 AND CAST(`c` * 1e0 AS CHAR) = '-0'",
    )
  })

  it('of JSON that it can’t compute a value of is told from what it says of a value of the shop’s', () => {
    const computed = column('size', { computed: { sql: "json_value(`data`, '$.size')", stored: true } })
    const table = {
      name: { schema: '', name: 't' },
      columns: [computed],
      primaryKey: null,
      uniqueKeys: [],
      key: [],
      triggers: [],
    }
    for (const [number, words] of [
      [3141, 'Invalid JSON text in argument 1 to function json_value: "Invalid value." at position 0.'],
      [4038, "Syntax error in JSON text in argument 1 to function 'json_value' at position 1"],
    ] as const) {
      expect(isOfComputed(table, number, words)).toBe(true)
      expect(isOfComputed({ ...table, columns: [] }, number, words)).toBe(false)
    }
    expect(isOfComputed(table, 3140, `Invalid JSON text: "Invalid value." at position 0 in value for column 't.data'.`)).toBe(
      false,
    )
  })
})
