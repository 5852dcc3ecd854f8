import { afterEach, describe, expect, it } from 'vitest'
import { provenSchema } from '../../src/report/proof.ts'
import { carryBack } from '../../src/steps/carry-back.ts'
import { memoryHost } from '../fakes/memory-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'

const placed = '2026-11-21 00:00:00.000000'

describe('carrying the new host’s rows back', () => {
  let shop: MovingShop
  afterEach(() => shop?.close())

  it('takes the playbook’s rules the other way round, and says both numbers of what got another one', async () => {
    shop = await movingShop(await memoryHost(), { tables: { customers: { conflict: 'new' } } })
    await fill(shop.old)
    for (const step of [shop.snapshot, shop.restore]) await perform(step, shop.run)
    // Nobody raised an identity: both hosts gave the same number to two different orders.
    const [onOld, onNew] = [
      await shop.old.insert('orders', { customer_id: '1', placed, status: 'open' }),
      await shop.new.insert('orders', { customer_id: '2', placed, status: 'paid' }),
    ]
    expect(onOld).toBe(onNew)
    await shop.old.update('customers', { id: '1' }, { name: 'from old' })
    await shop.new.update('customers', { id: '1' }, { name: 'from new' })
    const fresh = await contents(shop.new)

    const step = carryBack(shop.world)
    expect((await step.check(shop.run)).filter((finding) => finding.severity === 'error')).toEqual([])
    await perform(step, shop.run)
    const findings = await step.verify(shop.run)

    const orders = await shop.old.rows('orders')
    const carried = orders.find((row) => row.status === 'paid')
    expect(orders.find((row) => row.id === onOld)).toMatchObject({ customer_id: '1', status: 'open' })
    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'rows-remapped',
        message: expect.stringMatching(
          new RegExp(`^1 row of the new host has another number on the old one: \\S*orders ${onNew} is now ${carried?.id}\\.$`),
        ),
      }),
    )
    expect(findings).toContainEqual(expect.objectContaining({ code: 'new-host-kept' }))
    expect((await shop.old.rows('customers')).find((row) => row.id === '1')).toMatchObject({ name: 'from new' })
    expect(await contents(shop.new)).toEqual(fresh)
    expect(provenSchema.parse(shop.run.recall('proof'))).toMatchObject({
      source: 'new',
      remapped: [{ from: onNew, to: carried?.id }],
      unaccounted: 0,
    })
    expect(await carryBack(shop.world).plan(shop.run)).toEqual([])
  })
})
