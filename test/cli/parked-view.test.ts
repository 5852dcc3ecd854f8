import { describe, expect, it } from 'vitest'
import { parkedView } from '../../src/cli/display/parked-view.ts'
import type { ParkedRow } from '../../src/reconcile/parked.ts'

const parked = (change: Partial<ParkedRow> = {}): ParkedRow => ({
  table: 'public.Orders',
  key: '["10499"]',
  targetKey: '["10499"]',
  reason: 'Changed on both hosts',
  refused: false,
  born: false,
  collision: null,
  sourceRow: { OrderID: '10499', Status: 'paid', Note: 'a\nb', Total: '19.9900' },
  targetRow: { OrderID: '10499', Status: 'sent', Note: 'a\nb', Total: '19.9900' },
  baseRow: { OrderID: '10499', Status: 'open', Note: 'a\nb', Total: '19.9900' },
  baseNote: null,
  source: 'a',
  target: 'b',
  ...change,
})
const view = (row: ParkedRow, more: object = {}): readonly string[] =>
  parkedView(row, { columns: 100, paint: (_colour, text) => text, number: 2, total: 5, from: 'old', ...more })

describe('a parked row on the screen', () => {
  it('stands side by side as the old host has it, as both last had it, and as the new host has it, what differs marked', () => {
    const lines = view(parked())
    expect(lines[0]).toBe('public.Orders 10499   2 of 5')
    expect(lines[1]).toBe('Changed on both hosts')
    expect(lines[3]?.trim().split(/ {2,}/)).toEqual(['old host', 'both last had', 'new host'])
    expect(lines.filter((line) => line.includes('≠')).map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['≠ Status', 'paid', 'open', 'sent'],
    ])
    expect(lines.find((line) => line.includes('Note'))).toContain('a⏎b')
  })

  it('leaves out columns that are alike when there are many, and counts them', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`c${index}`, 'x']))
    const row = parked({ sourceRow: { ...many, z: '1' }, targetRow: { ...many, z: '2' }, baseRow: null, baseNote: 'gone' })
    const lines = view(row)
    expect(lines).toHaveLength(4 + 7 + 1 + 2)
    expect(lines.join('\n')).toMatch(/≠ z +1 +2\n/)
    expect(lines.join('\n')).toContain('… and 24 more columns that are alike')
    expect(lines.at(-1)).toBe('gone')
  })

  it('shows no row, NULL and an empty text apart', () => {
    const text = view(parked({ targetRow: null, sourceRow: { a: null, b: '' }, baseRow: null })).join('\n')
    expect(text).toMatch(/ a +NULL +\(no row\)/)
    expect(text).toMatch(/ b +'' +\(no row\)/)
  })

  it('shows the row that is in the way of one that has none of its own there', () => {
    const row = parked({ targetRow: null, baseRow: null, collision: { unique: 'Email', key: '["77"]' } })
    const text = view(row, { collided: { OrderID: '77', Status: 'paid' } }).join('\n')
    expect(text).toContain('in its way: 77')
    expect(text).toMatch(/≠ OrderID +10499 +77/)
  })

  it('has the hosts in their places on the way back too', () => {
    const [, , , heads, ...rows] = view(parked(), { from: 'new' })
    expect(heads?.trim().split(/ {2,}/)).toEqual(['old host', 'both last had', 'new host'])
    expect(
      rows
        .find((line) => line.includes('Status'))
        ?.trim()
        .split(/ {2,}/),
    ).toEqual(['≠ Status', 'sent', 'open', 'paid'])
  })

  it.each([60, 80, 100, 200])('fits a terminal of %i columns, long values broken, nothing moves the cursor', (columns) => {
    const long = `${'x'.repeat(900)}\u001b[2Jend`
    const lines = view(parked({ sourceRow: { a: long, b: 'ok' }, targetRow: { a: `${long}!`, b: 'ok' }, baseRow: null }), {
      columns,
    })
    expect(lines.filter((line) => [...line].length > columns)).toEqual([])
    expect(lines.join('')).toContain('…')
    expect(lines.join('').includes('\u001b')).toBe(false)
  })
})
