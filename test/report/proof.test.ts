import { describe, expect, it } from 'vitest'
import type { Proven } from '../../src/report/proof.ts'
import { provenLines } from '../../src/report/proof-markdown.ts'

const tally = (change: Partial<Proven['tables'][string]> = {}): Proven['tables'][string] => ({
  ...{
    rows: 0,
    same: 0,
    inserted: 0,
    updated: 0,
    merged: 0,
    remapped: 0,
    skipped: 0,
    kept: 0,
    parked: 0,
    unaccounted: 0,
    deleted: 0,
  },
  target: { rows: 0, same: 0, carried: 0, changed: 0, born: 0, conflicts: 0, unaccounted: 0 },
  sums: [],
  ...change,
})

const proven = (change: Partial<Proven> = {}): Proven => ({
  ...{ pass: 2, source: 'old', rows: 0, accounted: 0, unaccounted: 0, remapped: [], remappedRows: 0, merged: [], mergedRows: 0 },
  ...{ parked: [], parkedRows: 0, parkedFile: '/run/parked.json' },
  tables: {
    'dbo.Orders': tally({
      ...{
        rows: 1500,
        same: 100,
        inserted: 1393,
        updated: 1,
        merged: 1,
        remapped: 2,
        parked: 1,
        skipped: 1,
        kept: 1,
        deleted: 3,
      },
      target: { rows: 1600, same: 100, carried: 1397, changed: 1, born: 100, conflicts: 2, unaccounted: 0 },
    }),
    'dbo.Products|': tally({ rows: 7, same: 7, target: { ...tally().target, rows: 7, same: 7 } }),
  },
  ...change,
})

/** The cells of each table's lines under a heading, numbers as numbers. */
function tableUnder(lines: readonly string[], heading: string): readonly (readonly string[])[] {
  const at = lines.indexOf(heading)
  const rest = lines.slice(at + 1)
  const begin = rest.findIndex((line) => line.startsWith('|'))
  const end = rest.findIndex((line, index) => index > begin && !line.startsWith('|'))
  return rest.slice(begin, end).map((line) => line.slice(2, -2).split(' | '))
}

const numbers = (cells: readonly string[]): readonly number[] => cells.slice(1).map((text) => Number(text.replaceAll(',', '')))

describe('the proof in the report', () => {
  it('adds up in every line of both hosts, and in the last one over all tables', () => {
    const lines = provenLines(proven())
    const old = tableUnder(lines, '### Where every row of the old host is')
    expect(old[0]).toEqual([
      ...['table', 'rows on old', 'same', 'carried', 'updated', 'merged', 'remapped', 'parked', 'skipped', 'changed on new'],
      ...['not accounted for', '(deletions carried)'],
    ])
    const fresh = tableUnder(lines, '### Where every row of the new host is from')
    for (const [table, without] of [
      [old, 1],
      [fresh, 0],
    ] as const) {
      for (const row of table.slice(2)) {
        const [rows, ...parts] = numbers(row)
        expect(
          parts.slice(0, parts.length - without).reduce((sum, part) => sum + part, 0),
          row.join(' '),
        ).toBe(rows)
      }
    }
    expect(old.map((row) => row[0])).toEqual(['table', '---', 'dbo.Orders', 'dbo.Products\\|', '**all**'])
    expect(numbers(old.at(-1) ?? [])[0]).toBe(1507)
  })

  it('says what explains a difference of sums, and what nothing explains', () => {
    const because = { born: '12.5000', changed: '0', carried: '-1.0000', setAside: '0.0000' }
    const sums = [
      { column: 'Total', source: '99.9900', target: '111.4900', because, unexplained: '0' },
      {
        column: 'Tax',
        source: '1',
        target: '3',
        because: { born: '0', changed: '0', carried: '0', setAside: '0' },
        unexplained: '2',
      },
      {
        column: 'Fee',
        source: '1',
        target: '1',
        because: { born: '0', changed: '0', carried: '0', setAside: '0' },
        unexplained: '0',
      },
    ]
    const strange = { column: 'Cash', source: '?', target: '?', because, unexplained: '0' }
    const lines = provenLines(proven({ tables: { Orders: tally({ sums: [...sums, strange] }) } }))
    expect(lines).toContain('| Orders.Cash | ? | ? | not known: it holds what is no plain decimal number |')
    expect(lines).toContain('| Orders.Total | 99.9900 | 111.4900 | +12.5000 born on new, −1.0000 merged by rule |')
    expect(lines).toContain('| Orders.Tax | 1 | 3 | **+2 not explained** |')
    expect(lines).toContain('| Orders.Fee | 1 | 1 | equal |')
  })

  it('names every number that changed up to a bound, counts the rest, and says where they are', () => {
    const remapped = Array.from({ length: 120 }, (_, index) => ({
      table: 'Orders',
      from: String(index),
      to: String(index + 5000),
    }))
    const lines = provenLines(proven({ remapped, remappedRows: 1393 }))
    expect(lines).toContain('| table | number on the old host | number on the new host |')
    expect(lines).toContain('| Orders | 99 | 5099 |')
    expect(lines).not.toContain('| Orders | 100 | 5100 |')
    expect(lines).toContainEqual(expect.stringMatching(/^… and 1,293 more\. .*migrate_ledger/))
  })

  it('names what is parked with the reason, and how to go on', () => {
    const lines = provenLines(proven({ parked: [{ table: 'Users', key: '7', reason: 'Changed | on both' }], parkedRows: 3 }))
    expect(lines).toContain('| Users | 7 | Changed \\| on both |')
    expect(lines).toContain('… and 2 more. All of them are in /run/parked.json.')
    expect(lines.join('\n')).toContain('--resolve')
    expect(lines.join('\n')).toContain('--lookup TABLE KEY')
  })

  it('has the hosts the other way round for a way back', () => {
    const lines = provenLines(proven({ source: 'new', remapped: [{ table: 'Orders', from: '7', to: '9' }], remappedRows: 1 }))
    expect(lines).toContain('### Where every row of the new host is')
    expect(lines).toContain('| table | number on the new host | number on the old host |')
  })
})
