import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Row } from '../../src/databases/port.ts'
import { type Column, ORDINARY, type Table } from '../../src/databases/schema.ts'
import type { RowState } from '../../src/reconcile/difference.ts'
import { mergeRows } from '../../src/reconcile/merge.ts'
import { compareDecimals, DecimalTotal, sumOf } from '../../src/reconcile/merge-decimal.ts'
import { compareAge } from '../../src/reconcile/merge-newest.ts'
import { PARKING, type SourceSide, type TablePolicy } from '../../src/reconcile/policy.ts'

/** A decimal text of so many digits and decimals. */
const decimal = fc
  .record({ negative: fc.boolean(), units: fc.bigInt({ min: 0n, max: 10n ** 38n }), scale: fc.nat(12) })
  .map(({ negative, units, scale }) => {
    const digits = String(units).padStart(scale + 1, '0')
    const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
    return { text: negative ? `-${text}` : text, units: negative ? -units : units, scale }
  })

describe('sums of decimals', () => {
  it('are exact, with as many decimals as the most exact of them', () => {
    expect(
      sumOf([
        ['0.1', 1],
        ['0.2', 1],
      ]),
    ).toBe('0.3')
    expect(
      sumOf([
        ['19.9900', 1],
        ['20.0000', 1],
        ['19.9900', -1],
      ]),
    ).toBe('20.0000')
    expect(
      sumOf([
        ['99999999999999999999.999999', 1],
        ['0.000001', 1],
      ]),
    ).toBe('100000000000000000000.000000')
    expect(
      sumOf([
        ['1e3', 1],
        ['-.5', 1],
      ]),
    ).toBe('999.5')
    expect(
      sumOf([
        ['-0.05', 1],
        ['0.01', 1],
      ]),
    ).toBe('-0.04')
    expect(sumOf([])).toBe('0')
  })

  it.each(['NaN', 'Infinity', '', '.', '$1.00', '1,000', '0x10', 'e5'])('refuse %s, which is no decimal number', (text) => {
    expect(
      sumOf([
        ['1', 1],
        [text, 1],
      ]),
    ).toBeUndefined()
    expect(compareDecimals('1', text)).toBeUndefined()
  })

  it('are what whole numbers of the smallest unit add up to', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(decimal, fc.constantFrom<1 | -1>(1, -1)), { minLength: 1, maxLength: 6 }), (terms) => {
        const scale = Math.max(...terms.map(([each]) => each.scale))
        const units = terms.reduce((sum, [each, sign]) => sum + BigInt(sign) * each.units * 10n ** BigInt(scale - each.scale), 0n)
        const text = sumOf(terms.map(([each, sign]) => [each.text, sign])) ?? ''
        expect(text.split('.')[1]?.length ?? 0).toBe(scale)
        expect(BigInt(text.replace('.', ''))).toBe(units)
        const total = new DecimalTotal()
        for (const [each, sign] of terms) total.add(each.text, sign === 1 ? 1n : -1n)
        expect(total.text).toBe(text)
      }),
    )
  })

  it('compare by value, whatever the decimals', () => {
    fc.assert(
      fc.property(decimal, decimal, (one, other) => {
        const [a, b] = [one.units * 10n ** BigInt(other.scale), other.units * 10n ** BigInt(one.scale)]
        expect(compareDecimals(one.text, other.text)).toBe(a === b ? 0 : a < b ? -1 : 1)
      }),
    )
  })
})

describe('which of two is newer', () => {
  it.each([
    ['2026-11-20 07:00:00', '2026-11-20 07:00:00.000001', -1],
    ['2026-11-20 07:00:00.5', '2026-11-20 07:00:00.50000', 0],
    ['2026-11-20 07:00:00+01', '2026-11-20 06:30:00+00', -1],
    ['2026-11-20T07:00:00.1234567 +05:30', '2026-11-20T01:30:00.1234567 +00:00', 0],
    ['2026-11-20 07:00:00-08', '2026-11-20 07:00:00+14', 1],
    ['2024-02-29', '2024-03-01', -1],
    ['1999-12-31 23:59:59.999', '2000-01-01 00:00:00', -1],
    ['0044-03-15 BC', '0044-03-15', -1],
    ['9', '10', -1],
    ['1.50', '1.5', 0],
    [null, '1753-01-01', -1],
    [null, null, 0],
    ['same', 'same', 0],
    ['apple', 'pear', undefined],
    ['2026-11-20', 'yesterday', undefined],
  ] as const)('%s and %s', (one, other, expected) => {
    expect(compareAge(one, other)).toBe(expected)
    const back = compareAge(other, one)
    expect(back === undefined ? undefined : back + 0).toBe(expected === undefined ? undefined : 0 - expected)
  })

  it('goes by the instant, as the machine’s own calendar has it', () => {
    const instant = fc.record({
      ms: fc.integer({ min: -62_000_000_000_000, max: 200_000_000_000_000 }),
      offset: fc.integer({ min: -14, max: 14 }),
    })
    const spelt = ({ ms, offset }: { ms: number; offset: number }): string => {
      const local = new Date(ms + offset * 3_600_000).toISOString().slice(0, -1)
      return `${local}${offset < 0 ? '-' : '+'}${String(Math.abs(offset)).padStart(2, '0')}:00`
    }
    fc.assert(
      fc.property(instant, instant, (one, other) => {
        expect(compareAge(spelt(one), spelt(other))).toBe(Math.sign(one.ms - other.ms) + 0)
      }),
    )
  })
})

const column = (name: string): Column => ({
  name,
  type: 'text',
  codec: 'text',
  ...ORDINARY,
})
const table: Table = {
  name: { schema: '', name: 'Products' },
  columns: ['Id', 'Title', 'Note', 'Stock', 'Price', 'Seen'].map(column),
  primaryKey: { name: 'pk', columns: ['Id'], sql: '' },
  uniqueKeys: [],
  key: ['Id'],
  triggers: [],
}
const apart = ['Stock', 'Price'] as const

const stateOf = (row: Row): RowState => ({
  print: JSON.stringify(row.slice(0, 5)),
  rest: JSON.stringify(row.slice(0, 3)),
  apart: row.slice(3, 5),
})

interface Three {
  readonly base: Row
  readonly source: Row
  readonly target: Row
}

const merged = ({ base, source, target }: Three, policy: Partial<TablePolicy>, sourceSide: SourceSide = 'old') =>
  mergeRows({
    table,
    policy: { ...PARKING, add: ['stock'], columns: { Price: 'new' }, ignore: ['SEEN'], ...policy },
    sourceSide,
    apart,
    source: { base: stateOf(base), now: stateOf(source), row: source },
    target: { base: stateOf(base), now: stateOf(target), row: target },
    diverged: false,
  })

describe('one row made of two', () => {
  const cell = fc.constantFrom(null, '', 'a', 'b')
  const number = fc.integer({ min: -5, max: 105 }).map(String)
  const row = fc.tuple(fc.constant('1'), cell, cell, number, number, cell)
  const three = fc.record({ base: row, source: row, target: row })

  it('counts what both hosts counted, and takes each other column from the host that changed it', () => {
    fc.assert(
      fc.property(three, ({ base, source, target }) => {
        const given = { base, source: source.with(1, base[1]).with(2, base[2]), target }
        const result = merged(given, {})
        if ('park' in result) throw new Error(result.park)
        expect(result.row.slice(0, 3)).toEqual(target.slice(0, 3))
        expect(result.row[3]).toBe(String(Number(target[3]) + Number(source[3]) - Number(base[3])))
        const bothPriced = source[4] !== base[4] && target[4] !== base[4]
        expect(result.row[4]).toBe(bothPriced ? target[4] : source[4] === base[4] ? target[4] : source[4])
        expect(result.row[5]).toBe(target[5])
      }),
    )
  })

  it('parks exactly where both changed the rest, and the playbook leaves it to a person', () => {
    fc.assert(
      fc.property(three, (given) => {
        const rest = (row: Row): string => JSON.stringify(row.slice(0, 3))
        const moved = (now: Row): boolean => rest(now) !== rest(given.base)
        const differ = rest(given.source) !== rest(given.target)
        expect('park' in merged(given, {})).toBe(moved(given.source) && moved(given.target) && differ)
        for (const conflict of ['old', 'new'] as const) expect('park' in merged(given, { conflict })).toBe(false)
      }),
    )
  })

  it('lets the same host win in both directions', () => {
    fc.assert(
      fc.property(three, fc.constantFrom('old', 'new'), ({ base, source, target }, conflict) => {
        const there = merged({ base, source, target }, { conflict }, 'old')
        const back = merged({ base, source: target, target: source }, { conflict }, 'new')
        if ('park' in there || 'park' in back) throw new Error('parked')
        expect(there.row.slice(0, 5)).toEqual(back.row.slice(0, 5))
      }),
    )
  })

  it('never takes a counter that is no number for one', () => {
    const base: Row = ['1', 'a', 'b', null, '1', null]
    expect(merged({ base, source: base.with(3, '5'), target: base.with(3, '7') }, {})).toHaveProperty('park')
    expect(merged({ base, source: base.with(3, '5'), target: base.with(4, '2') }, {})).toEqual({
      row: base.with(3, '5').with(4, '2'),
    })
  })
})
