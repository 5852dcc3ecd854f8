import { describe, expect, it } from 'vitest'
import type { Row, Transaction } from '../../src/databases/port.ts'
import { equalRows } from '../../src/reconcile/apply-find.ts'
import { Pace } from '../../src/reconcile/apply-pace.ts'
import { FakeClock } from '../fakes/clock.ts'
import { column, tableOf } from './compare-kit.ts'

/** Rows of each of some transactions that take so many milliseconds, and so many more for each row. */
async function paced(transactions: number, fixedMs: number, rowMs: number): Promise<readonly number[]> {
  const clock = new FakeClock()
  const pace = new Pace(clock)
  const rows: number[] = []
  for (let turn = 0; turn < transactions; turn += 1) {
    rows.push(pace.rows)
    await pace.timed(async () => clock.advance(fixedMs + pace.rows * rowMs))
  }
  return rows
}

describe('how many rows a transaction takes', () => {
  it('grows while they take no time, and shrinks where they take long', async () => {
    expect((await paced(8, 5, 0.01)).at(-1)).toBe(2000)
    expect((await paced(8, 5, 100)).at(-1)).toBe(10)
  })

  it('grows all the same where it isn’t the rows that take long', async () => {
    const rows = await paced(9, 2000, 0.05)
    expect(rows.slice(0, 3)).toEqual([100, 50, 100])
    expect(rows.at(-1)).toBe(2000)
  })
})

describe('rows that are the same by a natural key', () => {
  const people = tableOf(['id'], [column('id', 'integer'), column('mail')])
  const standing: readonly Row[] = [
    ['1', 'ada@example.com'],
    ['2', 'BOB@example.com'],
    ['3', 'cy@example.com'],
  ]
  /** Finds as a server does that passes over case. */
  const asked = async (wanted: Readonly<Record<string, string>>, there = standing) => {
    let questions = 0
    const find: Transaction['find'] = async (_table, _columns, values) => {
      questions += 1
      return there.filter(([, mail]) => values.some(([value]) => value?.toLowerCase() === mail?.toLowerCase()))
    }
    const rows = new Map(Object.entries(wanted).map(([name, mail]) => [name, ['0', mail]]))
    const found = await equalRows({ find } as Transaction, people, ['mail'], rows)
    return { questions, found: Object.fromEntries([...found].map(([name, own]) => [name, own.map(([id]) => id)])) }
  }

  it('are found by one question where they are spelt alike, however many they are', async () => {
    expect(await asked({ a: 'ada@example.com', c: 'cy@example.com', d: 'dee@example.com' })).toEqual({
      questions: 1,
      found: { a: ['1'], c: ['3'] },
    })
  })

  it('are asked about one by one where only the server takes them for the same', async () => {
    expect(await asked({ a: 'ada@example.com', b: 'bob@example.com' })).toEqual({ questions: 3, found: { a: ['1'], b: ['2'] } })
  })

  it('are all found where several spellings stand there, and every one of them is wanted', async () => {
    const twice: readonly Row[] = [...standing, ['4', 'ADA@example.com']]
    expect((await asked({ a: 'ada@example.com', A: 'ADA@example.com' }, twice)).found).toEqual({ a: ['1', '4'], A: ['1', '4'] })
  })
})
