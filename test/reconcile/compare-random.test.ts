import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Cell, Database, Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { MemoryDatabase } from '../fakes/memory-database.ts'
import type { MemoryServer } from '../fakes/memory-server.ts'
import { column, compared, type Found, fill, serverWith, tableOf, withBaseline } from './compare-kit.ts'
import { OrderedDatabase } from './ordered-database.ts'

/** Texts that collations sort, or call alike, each in its own way. */
const traps = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  'ä',
  'Ä',
  'ae',
  'b',
  'B',
  'ß',
  'ss',
  'z',
  'Z',
  '-1',
  '10',
  '9',
  '_',
  '👕',
  '\u0000x',
  "'",
  '"',
  '\\',
]
const guid = fc.integer({ min: 0, max: 400 }).map((n) => `${(n * 2654435761) % 4294967296}-${n}`)
const whole = fc.integer({ min: -60, max: 60 }).map(String)
const trap = fc.tuple(fc.constantFrom(...traps), fc.constantFrom('', 'a', 'B', '9')).map(([a, b]) => a + b)

const shapes: Readonly<Record<string, { readonly table: Table; readonly key: fc.Arbitrary<Row> }>> = {
  'whole numbers, some of them below 1': {
    table: tableOf(['id'], [column('id', 'integer'), column('a'), column('b')]),
    key: whole.map((id) => [id]),
  },
  'texts with traps': { table: tableOf(['id'], [column('id'), column('a'), column('b')]), key: trap.map((id) => [id]) },
  'numbers like GUIDs': { table: tableOf(['id'], [column('id'), column('a'), column('b')]), key: guid.map((id) => [id]) },
  'two columns': {
    table: tableOf(['id', 'line'], [column('id', 'integer'), column('line'), column('a'), column('b')]),
    key: fc.tuple(whole, trap),
  },
  none: { table: tableOf([], [column('a'), column('b')]), key: fc.constant([]) },
}

const content = fc.tuple(
  fc.option(fc.constantFrom('', 'x', 'y', 'a|b', '0'), { nil: null }),
  fc.option(fc.constantFrom('', 'x', '1', '0'), { nil: null }),
)

type Deed = { readonly what: 'insert' | 'update' | 'delete'; readonly at: number; readonly row: Row }

/** What a host's rows have become: changes are few beside the rows, or many. */
function afterDeeds(table: Table, rows: readonly Row[], deeds: readonly Deed[]): readonly Row[] {
  const width = table.key.length
  const keyOf = (row: Row): string => JSON.stringify(row.slice(0, width))
  let left = [...rows]
  for (const { what, at, row } of deeds) {
    const place = left.length === 0 ? 0 : at % left.length
    if (what === 'delete') left.splice(place, 1)
    else if (what === 'update')
      left = left.map((old, index) => (index === place ? [...old.slice(0, width), ...row.slice(width)] : old))
    else if (width === 0 || !left.some((old) => keyOf(old) === keyOf(row))) left.push(row)
  }
  return left
}

interface Naive {
  readonly differences: ReadonlyMap<string, string>
  readonly same: number
}

/** The same question answered with three maps. */
function naive(table: Table, base: readonly Row[], source: readonly Row[], target: readonly Row[]): Naive {
  const width = table.key.length
  const map = (rows: readonly Row[]) => new Map(rows.map((row) => [JSON.stringify(row.slice(0, width)), JSON.stringify(row)]))
  const [b, s, t] = [map(base), map(source), map(target)]
  const differences = new Map<string, string>()
  let same = 0
  for (const key of new Set([...b.keys(), ...s.keys(), ...t.keys()])) {
    const [was, old, fresh] = [b.get(key), s.get(key), t.get(key)]
    if (old === fresh) {
      // Born on both: whether they are one thing isn't for a comparison to say.
      if (old !== undefined && was === undefined) differences.set(key, 'alike')
      else if (old !== undefined) same += 1
    } else if (old === was) differences.set(key, 'kept')
    else if (fresh === was) differences.set(key, old === undefined ? 'delete' : fresh === undefined ? 'insert' : 'update')
    else if (was === undefined) differences.set(key, 'same-key')
    else
      differences.set(
        key,
        old === undefined ? 'deleted-and-changed' : fresh === undefined ? 'changed-and-deleted' : 'both-changed',
      )
  }
  return { differences, same }
}

/** Copies of each row that aren't as many as before, on either host. */
function naiveCopies(base: readonly Row[], source: readonly Row[], target: readonly Row[]): readonly string[] {
  const count = (rows: readonly Row[], text: string): number => rows.filter((row) => JSON.stringify(row) === text).length
  const texts = new Set([...base, ...source, ...target].map((row) => JSON.stringify(row)))
  return [...texts]
    .map((text) => [count(base, text), count(source, text), count(target, text)] as const)
    .filter(([b, s, t]) => s !== b || t !== b)
    .map((counts) => JSON.stringify(counts))
    .sort()
}

const byCase = (a: Cell, b: Cell): number => {
  const [x, y] = [(a ?? '').toLowerCase(), (b ?? '').toLowerCase()]
  if (x !== y) return x < y ? -1 : 1
  return (a ?? '') < (b ?? '') ? -1 : a === b ? 0 : 1
}

/** How the source is read: by its own sums and prints, in another order than the target's, or as rows alone. */
const ways: Readonly<Record<string, (server: MemoryServer) => Database>> = {
  'sums and fingerprints': (server) => new MemoryDatabase(server),
  'another order of keys': (server) => new OrderedDatabase(server, {}, byCase, 'other'),
  'rows alone': (server) => new MemoryDatabase(server, { fingerprints: false }),
  'fingerprints of another kind': (server) => new MemoryDatabase(server, { fingerprints: 'other-1' }),
}

function expectNaive(table: Table, base: readonly Row[], source: readonly Row[], target: readonly Row[], got: Found): void {
  expect([got.sourceRows, got.targetRows]).toEqual([source.length, target.length])
  if (table.key.length === 0) {
    const counts = got.copies.map((each) => JSON.stringify([each.base, each.source, each.target])).sort()
    expect(counts).toEqual(naiveCopies(base, source, target))
    return
  }
  const expected = naive(table, base, source, target)
  expect(new Map(got.rows.map(({ key, difference }) => [key, difference]))).toEqual(expected.differences)
  expect(got.rows).toHaveLength(expected.differences.size)
  expect(got.same).toBe(expected.same)
  expect(got.same + got.rows.filter((row) => row.source.now !== null).length).toBe(source.length)
}

describe.each(Object.keys(ways))('a comparison with a source read by %s', (way) => {
  it.each(Object.keys(shapes))('finds what a naive one finds, keyed by %s', async (shape) => {
    const { table, key } = shapes[shape] ?? { table: tableOf([], []), key: fc.constant<Row>([]) }
    const row = fc.tuple(key, content).map(([cells, more]): Row => [...cells, ...more])
    const deeds = fc.array(
      fc.record({ what: fc.constantFrom<Deed['what']>('insert', 'update', 'delete'), at: fc.nat(1000), row }),
      {
        maxLength: 12,
      },
    )
    const rows = fc.array(row, { maxLength: 60 }).map((all) =>
      afterDeeds(
        table,
        [],
        all.map((each) => ({ what: 'insert', at: 0, row: each })),
      ),
    )
    await fc.assert(
      fc.asyncProperty(rows, deeds, deeds, fc.integer({ min: 1, max: 9 }), async (base, onSource, onTarget, leafRows) => {
        const [old, fresh] = [await serverWith(table, base), await serverWith(table, base, { batchRows: 5 })]
        const [source, target] = [ways[way]?.(old) ?? new MemoryDatabase(old), new MemoryDatabase(fresh)]
        await withBaseline({ source, target, table, leafRows }, async (directory) => {
          const [now, there] = [afterDeeds(table, base, onSource), afterDeeds(table, base, onTarget)]
          await fill(old, table, now)
          await fill(fresh, table, there)
          expectNaive(table, base, now, there, await compared({ source, target, table, directory }))
          // And the other way round, as a rollback would.
          expectNaive(table, base, there, now, await compared({ source: target, target: source, table, directory }))
        })
      }),
      { numRuns: 40 },
    )
  })
})
