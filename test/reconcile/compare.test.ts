import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Row } from '../../src/databases/port.ts'
import { compareTables } from '../../src/reconcile/compare.ts'
import { printingFor } from '../../src/reconcile/printing.ts'
import { MemoryDatabase } from '../fakes/memory-database.ts'
import type { MemoryDatabaseOptions } from '../fakes/memory-options.ts'
import type { MemoryServer } from '../fakes/memory-server.ts'
import {
  add,
  change,
  column,
  compared,
  type Found,
  fill,
  type Meeting,
  remove,
  serverWith,
  tableOf,
  withBaseline,
} from './compare-kit.ts'

const orders = tableOf(['id'], [column('id', 'integer'), column('note'), column('stock')])
const COUNT = 5000
const rows: readonly Row[] = Array.from({ length: COUNT }, (_, at) => [String(at - 9), `note ${at}`, String(at % 7)])
const visits = tableOf([], [column('page'), column('visitor')])
const seen: readonly Row[] = Array.from({ length: 3000 }, (_, at) => [`/${at % 100}`, at % 3 === 0 ? null : 'ada'])

interface Shop extends Meeting {
  readonly old: MemoryServer
  readonly fresh: MemoryServer
  readonly calls: Record<'old' | 'new', Record<string, number>>
}

/** Two hosts alike, their baseline, and what each is asked afterwards. */
async function shop<T>(
  work: (shop: Shop) => Promise<T>,
  {
    table = orders,
    content = rows,
    leafRows = 64,
    ...more
  }: Partial<Pick<Meeting, 'table' | 'rules'>> & { content?: readonly Row[]; leafRows?: number } = {},
): Promise<T> {
  const [old, fresh] = [await serverWith(table, content), await serverWith(table, content)]
  const calls: Shop['calls'] = { old: {}, new: {} }
  const counting = (side: 'old' | 'new'): MemoryDatabaseOptions => ({
    onCall: (operation, when) => {
      if (when === 'before') calls[side][operation] = (calls[side][operation] ?? 0) + 1
    },
  })
  const hosts = { source: new MemoryDatabase(old), target: new MemoryDatabase(fresh), table, ...more }
  return await withBaseline({ ...hosts, leafRows }, (directory) =>
    work({
      ...hosts,
      source: new MemoryDatabase(old, counting('old')),
      target: new MemoryDatabase(fresh, counting('new')),
      directory,
      old,
      fresh,
      calls,
    }),
  )
}

const keysOf = (result: Found): Readonly<Record<string, string>> =>
  Object.fromEntries(result.rows.map(({ key, difference }) => [key, difference]))

describe('comparing two hosts with their baseline', () => {
  it('reads nothing but sums of a table that nobody changed', () =>
    shop(async (each) => {
      const result = await compared(each)
      expect(result).toMatchObject({ sourceRows: COUNT, targetRows: COUNT, same: COUNT, rows: [] })
      expect(result.read).toEqual({ source: { rows: 0, bytes: 0 }, target: { rows: 0, bytes: 0 } })
      for (const side of ['old', 'new'] as const) {
        const { read, info, ledgerEntries, fingerprintMethod, sum, ...others } = each.calls[side]
        expect(others).toEqual({})
        expect(sum).toBeGreaterThan(0)
        expect([read, info, ledgerEntries, fingerprintMethod].every((count) => (count ?? 0) <= 2)).toBe(true)
      }
    }))

  it('reads no more than the leaf in which a row differs', () =>
    shop(async (each) => {
      await change(each.old, orders, ['2000', 'paid', '1'])
      const result = await compared(each)
      expect(keysOf(result)).toEqual({ '["2000"]': 'update' })
      expect(result.read.source.rows).toBe(64)
      expect(result.read.source.bytes).toBeGreaterThan(64 * 16)
      expect(result.read.target).toEqual({ rows: 0, bytes: 0 })
      expect(result.same).toBe(COUNT - 1)
    }))

  it('asks for all leaves that differ at once, however strewn they are, and names rows that are gone likewise', () =>
    shop(async (each) => {
      const changed = Array.from({ length: 9 }, (_, at) => String(100 + at * 500))
      for (const id of changed) await change(each.old, orders, [id, 'paid', '1'])
      const gone = changed.map((id) => String(Number(id) + 1))
      for (const id of gone) await remove(each.old, orders, [id, '', ''])
      const result = await compared(each)
      const expected = [...changed.map((id) => [id, 'update']), ...gone.map((id) => [id, 'delete'])]
      expect(keysOf(result)).toEqual(Object.fromEntries(expected.map(([id, what]) => [JSON.stringify([id]), what])))
      expect(result.read.source.rows).toBeLessThanOrEqual(18 * 64)
      const { old, new: fresh } = each.calls
      expect((old.prints ?? 0) + (old.printsWithin ?? 0)).toBeLessThan(10)
      expect(fresh).toMatchObject({ printsWithin: 1 })
      expect(fresh.prints).toBeUndefined()
    }))

  describe.each(['old', 'fresh'] as const)('a fault on the %s host', (host) => {
    const changed = host === 'old' ? 'update' : 'kept'
    it.each([
      ['a flipped byte', async (server: MemoryServer) => change(server, orders, ['77', 'note 86', '3']), { '["77"]': changed }],
      [
        'a space at the end',
        async (server: MemoryServer) => change(server, orders, ['77', 'note 86 ', '2']),
        { '["77"]': changed },
      ],
      [
        'NULL for an empty text',
        async (server: MemoryServer) => change(server, orders, ['-9', null, '0']),
        { '["-9"]': changed },
      ],
      [
        'a dropped row',
        async (server: MemoryServer) => remove(server, orders, ['77', '', '']),
        { '["77"]': host === 'old' ? 'delete' : 'kept' },
      ],
      [
        'two rows that have swapped their contents',
        async (server: MemoryServer) => {
          await change(server, orders, ['0', 'note 10', '3'])
          await change(server, orders, ['1', 'note 9', '2'])
        },
        { '["0"]': changed, '["1"]': changed },
      ],
      [
        'rows before the first and after the last',
        async (server: MemoryServer) =>
          add(server, orders, [
            ['-10', 'early', '0'],
            ['100000', 'late', '0'],
          ]),
        { '["-10"]': host === 'old' ? 'insert' : 'kept', '["100000"]': host === 'old' ? 'insert' : 'kept' },
      ],
    ])('%s is found', (_what, fault, expected) =>
      shop(async (each) => {
        await fault(each[host])
        expect(keysOf(await compared(each))).toEqual(expected)
      }),
    )

    it('a duplicated row, a dropped one and a changed one are found where there is no key', () =>
      shop(
        async (each) => {
          const more = [...seen, seen[0] ?? []]
          await fill(each[host], visits, more)
          expect((await compared(each)).copies).toMatchObject([
            host === 'old' ? { base: 10, source: 11, target: 10 } : { base: 10, source: 10, target: 11 },
          ])
          await fill(each[host], visits, seen.slice(1))
          expect((await compared(each)).copies).toMatchObject([
            host === 'old' ? { base: 10, source: 9, target: 10 } : { base: 10, source: 10, target: 9 },
          ])
          await fill(each[host], visits, [['/0', ''], ...seen.slice(1)])
          expect((await compared(each)).copies).toHaveLength(2)
        },
        { table: visits, content: seen },
      ))
  })

  it('reads only sums of a table without a key that nobody changed', () =>
    shop(
      async (each) => {
        const result = await compared(each)
        expect(result).toMatchObject({ sourceRows: seen.length, targetRows: seen.length, same: seen.length, copies: [] })
        expect([each.calls.old.prints, each.calls.new.prints, each.calls.old.rows]).toEqual([undefined, undefined, undefined])
      },
      { table: visits, content: seen },
    ))

  it('gives the cells of columns apart, then and now, and whether the rest has changed', () =>
    shop(
      async (each) => {
        await change(each.old, orders, ['7', 'note 16', '99'])
        await change(each.fresh, orders, ['7', 'note 16', '55'])
        const [row, ...others] = (await compared(each)).rows
        expect(others).toEqual([])
        expect(row).toMatchObject({ difference: 'both-changed', source: { base: { apart: ['2'] }, now: { apart: ['99'] } } })
        expect(row?.target).toMatchObject({ base: { apart: ['2'] }, now: { apart: ['55'] } })
        expect(new Set([row?.source.base, row?.source.now, row?.target.now].map((state) => state?.rest)).size).toBe(1)
      },
      { rules: { ignore: [], add: ['stock'] } },
    ))

  it('says so when columns became apart after the baseline: their cells of then are unknown', () =>
    shop(async (each) => {
      await change(each.old, orders, ['7', 'note 16', '99'])
      const result = await compared({ ...each, rules: { ignore: [], add: ['stock'] } })
      expect(result.rows).toMatchObject([
        {
          difference: 'update',
          source: { base: { rest: '', apart: [] }, now: { apart: ['99'] } },
          target: { now: { rest: '', apart: [] } },
        },
      ])
    }))

  it('refuses to compare other columns than were fingerprinted', () =>
    shop(async (each) => {
      await expect(compared({ ...each, rules: { ignore: ['note'] } })).rejects.toMatchObject({ code: 'baseline-columns-differ' })
    }))

  it('refuses a host that fingerprints in another way than its baseline', () =>
    shop(async (each) => {
      const source = new MemoryDatabase(each.old, { fingerprints: 'memory-sha256-2' })
      await expect(compared({ ...each, source })).rejects.toMatchObject({ code: 'fingerprint-method-changed' })
    }))

  it('compares columns that the playbook leaves out never', () =>
    shop(
      async (each) => {
        await change(each.old, orders, ['7', 'another note', '2'])
        expect(await compared(each)).toMatchObject({ rows: [], same: COUNT })
      },
      { rules: { ignore: ['note'] } },
    ))

  it('ends so that it can be tried again when a connection is lost, at whatever question', () =>
    shop(async (each) => {
      await change(each.old, orders, ['2000', 'paid', '1'])
      await change(each.fresh, orders, ['3000', 'sent', '1'])
      const asked = Object.values((await compared(each).then(() => each.calls)).old).reduce((sum, count) => sum + count, 0)
      for (let at = 1; at <= asked; at += 1) {
        let calls = 0
        const onCall = (_operation: string, when: 'before' | 'after'): void => {
          if (when === 'before') calls += 1
          if (calls === at) throw new MigrateError('database-connection-lost', 'gone', { retrySafe: true })
        }
        const broken = { ...each, source: new MemoryDatabase(each.old, { onCall }) }
        await expect(compared(broken), `question ${at}`).rejects.toMatchObject({
          code: 'database-connection-lost',
          retrySafe: true,
        })
      }
      expect(keysOf(await compared(each))).toEqual({ '["2000"]': 'update', '["3000"]': 'kept' })
    }))

  it('heeds a stop while a long table without a key is made ready, before either host is asked', async () => {
    const many = Array.from({ length: 22_000 }, (_, at): Row => [`/${at}`, null])
    await shop(
      async ({ source, target, table, directory, calls }) => {
        const [stop, reason] = [new AbortController(), new Error('stopped, as asked')]
        const before = [calls.old.read, calls.new.read]
        const options = { directory, run: 'run-1', source, target, printingOf: () => printingFor(table, { ignore: [] }) }
        const carried = () => {
          setImmediate(() => stop.abort(reason))
          return []
        }
        const comparing = compareTables({ ...options, signal: stop.signal, carried }, [[table, table]], () => undefined)
        await expect(comparing).rejects.toBe(reason)
        expect([calls.old.read, calls.new.read]).toEqual(before)
      },
      { table: visits, content: many, leafRows: 5000 },
    )
  })
})
