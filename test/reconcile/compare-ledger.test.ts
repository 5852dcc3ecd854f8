import { describe, expect, it } from 'vitest'
import type { LedgerAction, LedgerEntry, Row } from '../../src/databases/port.ts'
import { stateText } from '../../src/reconcile/difference.ts'
import { copiesKey, copiesState } from '../../src/reconcile/multiset.ts'
import { Printer, printingFor } from '../../src/reconcile/printing.ts'
import { MemoryDatabase } from '../fakes/memory-database.ts'
import type { MemoryServer } from '../fakes/memory-server.ts'
import {
  add,
  change,
  column,
  compared,
  type Found,
  type Meeting,
  noted,
  remove,
  serverWith,
  tableOf,
  withBaseline,
} from './compare-kit.ts'

const orders = tableOf(['id'], [column('id', 'integer'), column('note')])
const rows: readonly Row[] = Array.from({ length: 40 }, (_, at) => [String(at + 1), `note ${at + 1}`])
const printer = new Printer('memory-sha256-1')
const AT = '2026-11-20T08:00:00.000Z'

interface Shop extends Meeting {
  readonly old: MemoryServer
  readonly fresh: MemoryServer
}

async function shop<T>(work: (shop: Shop) => Promise<T>): Promise<T> {
  const [old, fresh] = [await serverWith(orders, rows), await serverWith(orders, rows)]
  const hosts = { source: new MemoryDatabase(old), target: new MemoryDatabase(fresh), table: orders }
  return await withBaseline(hosts, (directory) => work({ ...hosts, old, fresh, directory }))
}

/** How a row stands on a server now, as the ledger keeps it. */
async function stateNow(server: MemoryServer, id: string): Promise<string> {
  const [row] = await printer.rows(new MemoryDatabase(server), orders, printingFor(orders, { ignore: [] }), [[id]])
  return stateText(row === undefined ? null : { print: row.print, rest: row.rest, apart: row.apart })
}

const keyOf = (id: string): string => JSON.stringify([id])

/** What a pass would write after it carried a row from `from` to `to`. */
async function carried(
  [from, id]: readonly [MemoryServer, string],
  [to, other]: readonly [MemoryServer, string],
  action: LedgerAction,
  at = AT,
): Promise<LedgerEntry> {
  return {
    run: 'run-1',
    table: 'things',
    sourceKey: keyOf(id),
    targetKey: keyOf(other),
    action,
    sourceState: await stateNow(from, id),
    targetState: await stateNow(to, other),
    at,
  }
}

const keysOf = (result: Found): Readonly<Record<string, string>> =>
  Object.fromEntries(result.rows.map(({ key, difference }) => [key, difference]))

const backwards = (each: Shop): Shop => ({ ...each, source: each.target, target: each.source })

const expectWhole = (result: Found): void => {
  const inStep = Object.values(result.inStep).reduce((sum, count) => sum + count, 0)
  const different = result.rows.filter((row) => row.source.now !== null).length
  expect(result.same + inStep + different).toBe(result.sourceRows)
}

describe('comparing after rows were carried', () => {
  it('counts what stands as it was carried by what was done with it, and finds nothing to do', () =>
    shop(async (each) => {
      await add(each.old, orders, [['100', 'stray']])
      await add(each.fresh, orders, [['100', 'stray']])
      await change(each.old, orders, ['1', 'paid'])
      await change(each.fresh, orders, ['1', 'paid'])
      await remove(each.old, orders, ['2', ''])
      await remove(each.fresh, orders, ['2', ''])
      const [old, fresh] = [each.old, each.fresh]
      await noted(fresh, [
        await carried([old, '100'], [fresh, '100'], 'inserted'),
        await carried([old, '1'], [fresh, '1'], 'updated'),
        await carried([old, '2'], [fresh, '2'], 'deleted'),
      ])
      const result = await compared(each)
      expect(result).toMatchObject({ rows: [], same: 38, inStep: { inserted: 1, updated: 1 } })
      expectWhole(result)
    }))

  it('takes what was carried for the common ground: changed afterwards on one host, it is no conflict', () =>
    shop(async (each) => {
      await add(each.old, orders, [
        ['100', 'stray'],
        ['101', 'stray'],
        ['102', 'stray'],
      ])
      await add(each.fresh, orders, [
        ['100', 'stray'],
        ['101', 'stray'],
        ['102', 'stray'],
      ])
      const ids = ['100', '101', '102']
      await noted(each.fresh, await Promise.all(ids.map((id) => carried([each.old, id], [each.fresh, id], 'inserted'))))
      await change(each.old, orders, ['100', 'paid'])
      await change(each.fresh, orders, ['101', 'sent'])
      await change(each.old, orders, ['102', 'paid'])
      await change(each.fresh, orders, ['102', 'sent'])
      const result = await compared(each)
      expect(keysOf(result)).toEqual({ '["100"]': 'update', '["101"]': 'kept', '["102"]': 'both-changed' })
      expectWhole(result)
    }))

  it('pairs a remapped row with its other self, and takes what is native under its key for another row', () =>
    shop(async (each) => {
      await add(each.old, orders, [['41', 'customer of the old host']])
      await add(each.fresh, orders, [
        ['41', 'customer of the new host'],
        ['1041', 'customer of the old host'],
      ])
      await noted(each.fresh, [await carried([each.old, '41'], [each.fresh, '1041'], 'remapped')])
      const before = await compared(each)
      expect(before).toMatchObject({
        inStep: { remapped: 1 },
        rows: [{ key: '["41"]', difference: 'kept', source: { key: null, now: null } }],
      })
      expectWhole(before)
      await change(each.old, orders, ['41', 'moved house'])
      const after = await compared(each)
      const update = after.rows.find((row) => row.difference === 'update')
      expect(update).toMatchObject({ source: { key: '["41"]' }, target: { key: '["1041"]' } })
      expectWhole(after)
      await remove(each.old, orders, ['41', ''])
      const gone = await compared(each)
      expect(gone.rows.find((row) => row.target.key === '["1041"]')).toMatchObject({
        difference: 'delete',
        source: { now: null },
      })
    }))

  it('never lets a later row of the old host overwrite the one that was remapped to its number', () =>
    shop(async (each) => {
      await add(each.old, orders, [
        ['41', 'customer of the old host'],
        ['1041', 'a later one'],
      ])
      await add(each.fresh, orders, [
        ['41', 'customer of the new host'],
        ['1041', 'customer of the old host'],
      ])
      await noted(each.fresh, [await carried([each.old, '41'], [each.fresh, '1041'], 'remapped')])
      const result = await compared(each)
      expect(result.rows.find((row) => row.source.key === '["1041"]')).toMatchObject({ difference: 'same-key' })
      expectWhole(result)
    }))

  it('a merged row is one with the other host’s, which stays a row of its own right', () =>
    shop(async (each) => {
      await add(each.old, orders, [['41', 'ada']])
      await noted(each.fresh, [await carried([each.old, '41'], [each.fresh, '5'], 'merged')])
      const result = await compared(each)
      expect(result).toMatchObject({ rows: [], same: 40, inStep: { merged: 1 } })
      expectWhole(result)
      await change(each.old, orders, ['41', 'ada has moved'])
      const changed = await compared(each)
      expect(changed.rows).toMatchObject([{ difference: 'both-changed', source: { key: '["41"]' }, target: { key: '["5"]' } }])
      expectWhole(changed)
    }))

  it('asks no second time about what a person decided, until the row changes again', () =>
    shop(async (each) => {
      await change(each.old, orders, ['3', 'old wins not'])
      await change(each.fresh, orders, ['3', 'stays'])
      await noted(each.fresh, [await carried([each.old, '3'], [each.fresh, '3'], 'skipped')])
      expect(await compared(each)).toMatchObject({ rows: [], same: 39, inStep: { skipped: 1 } })
      await change(each.old, orders, ['3', 'once more'])
      expect(keysOf(await compared(each))).toEqual({ '["3"]': 'both-changed' })
    }))

  it('knows rows that went back to what they were before they were carried', () =>
    shop(async (each) => {
      await change(each.old, orders, ['3', 'paid'])
      await change(each.fresh, orders, ['3', 'paid'])
      await noted(each.fresh, [await carried([each.old, '3'], [each.fresh, '3'], 'updated')])
      await change(each.old, orders, ['3', 'note 3'])
      expect(keysOf(await compared(each))).toEqual({ '["3"]': 'update' })
      await change(each.fresh, orders, ['3', 'note 3'])
      const result = await compared(each)
      expect(result).toMatchObject({ rows: [], same: 40 })
      expectWhole(result)
    }))

  it('goes by the newest entry of a row, whichever host keeps it', () =>
    shop(async (each) => {
      await add(each.old, orders, [['100', 'stray']])
      await add(each.fresh, orders, [['100', 'stray']])
      const first = await carried([each.old, '100'], [each.fresh, '100'], 'inserted')
      await change(each.fresh, orders, ['100', 'sent'])
      await change(each.old, orders, ['100', 'sent'])
      // Carried back: the old host was the target of that pass, and keeps the entry.
      const later = await carried([each.fresh, '100'], [each.old, '100'], 'updated', '2026-11-20T09:00:00.000Z')
      await noted(each.fresh, [first])
      await noted(each.old, [later])
      expect(await compared(each)).toMatchObject({ rows: [], inStep: { updated: 1, inserted: 0 } })
      expect(await compared(backwards(each))).toMatchObject({ rows: [], inStep: { updated: 1, inserted: 0 } })
      await change(each.old, orders, ['100', 'paid'])
      expect(keysOf(await compared(each))).toEqual({ '["100"]': 'update' })
      expect(keysOf(await compared(backwards(each)))).toEqual({ '["100"]': 'kept' })
    }))

  it('sees a remapped row from the other side, too', () =>
    shop(async (each) => {
      await add(each.old, orders, [['41', 'customer of the old host']])
      await add(each.fresh, orders, [
        ['41', 'customer of the new host'],
        ['1041', 'customer of the old host'],
      ])
      await noted(each.fresh, [await carried([each.old, '41'], [each.fresh, '1041'], 'remapped')])
      const result = await compared(backwards(each))
      expect(result.inStep.remapped).toBe(1)
      expect(result.rows).toMatchObject([{ difference: 'same-key', source: { key: '["41"]' }, target: { key: '["41"]' } }])
      expectWhole(result)
    }))

  it('takes the source’s copies as they were when they were carried for the common ground of a table without a key', async () => {
    const visits = tableOf([], [column('page')])
    const [old, fresh] = [await serverWith(visits, [['/'], ['/']]), await serverWith(visits, [['/'], ['/']])]
    const hosts = { source: new MemoryDatabase(old), target: new MemoryDatabase(fresh), table: visits }
    await withBaseline(hosts, async (directory) => {
      const each = { ...hosts, directory }
      await add(old, visits, [['/']])
      await add(fresh, visits, [['/'], ['/']])
      const [first] = (await compared(each)).copies
      expect(first).toMatchObject({ base: 2, source: 3, target: 4 })
      await add(fresh, visits, [['/']])
      const key = copiesKey(first?.print ?? '')
      const [sourceState, targetState] = [copiesState(3), copiesState(5)]
      await noted(fresh, [
        { run: 'run-1', table: 'things', sourceKey: key, targetKey: key, action: 'inserted', sourceState, targetState, at: AT },
      ])
      expect((await compared(each)).copies).toMatchObject([{ base: 3, source: 3, target: 5 }])
      expect((await compared({ ...each, source: hosts.target, target: hosts.source })).copies).toMatchObject([
        { base: 5, source: 5, target: 3 },
      ])
    })
  })
})
