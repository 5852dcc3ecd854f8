import { describe, expect, it } from 'vitest'
import { measureRate } from '../../src/steps/smoke-rate.ts'
import { smokeTestKind } from '../../src/steps/smoke-test.ts'
import type { Host } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, TestRun, testWorld } from '../fakes/step-run.ts'
import { combined, type Hit } from '../logs/shop-log.ts'
import { startWeb } from '../servers/web.ts'
import { stepOf } from './dns-world.ts'

const START = Date.UTC(2009, 7, 26, 3, 30)
const PAGE = '<title>Shirts</title>shirts'

function logOf(hits: readonly Hit[]): Pick<Host, 'logs'> {
  const files = new MemoryFiles()
  files.put('logs/access.log', hits.map(combined).join(''), 0o644, START / 1000)
  return { logs: [{ files, folder: 'logs', pattern: 'access.log', written: 'logs/access.log' }] }
}

/** So many pages in each of the seconds, one after the other. */
const waves = (perSecond: readonly number[], more: Partial<Hit> = {}): readonly Hit[] =>
  perSecond.flatMap((count, second) => Array.from({ length: count }, () => ({ at: START + second * 1000, ...more })))

class LostFiles extends MemoryFiles {
  override list(): never {
    throw new Error('no route')
  }
}

const rateOf = (old: Partial<Host>) => measureRate(testWorld({ old }), new TestRun('/nowhere', new FakeClock()))

describe('the load of the old host', () => {
  it('is what its access log tells of the busiest ten seconds: pages, by whomever, but not ours', async () => {
    const quiet = Array.from({ length: 60 }, () => 1)
    const hits = [...quiet.slice(0, 20), ...Array.from({ length: 10 }, () => 7), ...quiet]
    const assets = waves(
      Array.from({ length: 90 }, () => 5),
      { path: '/images/shirt.png?v=2' },
    )
    const ours = waves(
      Array.from({ length: 90 }, () => 5),
      { agent: 'live-host-migration' },
    )

    expect(await rateOf(logOf([...waves(hits), ...assets, ...ours]))).toMatchObject({
      rate: 7,
      how: expect.stringContaining('access log'),
    })
  })

  it('is that of the whole log when it is shorter, and at least one a second', async () => {
    expect(await rateOf(logOf(waves([30, 30])))).toMatchObject({ rate: 30 })
    expect(await rateOf(logOf(waves([1])))).toMatchObject({ rate: 1 })
  })

  it('is bounded, which is said', async () => {
    expect(await rateOf(logOf(waves([1200])))).toMatchObject({
      rate: 1000,
      finding: { severity: 'info', code: 'load-bounded', message: expect.stringContaining('1,200 pages a second') },
    })
  })

  it('is guessed from the orders where there is no log', async () => {
    const clock = new FakeClock()
    const shop = new MemoryShop()
    await shop.createShop()
    const run = new TestRun('/nowhere', clock)
    void clock.sleep(5000).then(async () => {
      await shop.insert('customers', { email: 'a@example.com' })
      for (let order = 0; order < 2; order += 1)
        await shop.insert('orders', { customer_id: '1', placed: '2009-08-26 03:30:00', status: 'open' })
    })

    expect(await measureRate(testWorld({ old: { database: shop.open() } }), run)).toMatchObject({
      rate: 30,
      how: expect.stringContaining('720 orders an hour'),
    })
  })

  it('is not known where nothing tells of it, or the log can’t be read: nothing is put on the new host then', async () => {
    expect(await rateOf({})).toMatchObject({ rate: undefined, finding: { severity: 'warning', code: 'load-unmeasured' } })
    expect(await rateOf({ logs: [{ files: new LostFiles(), folder: 'logs', pattern: '*', written: 'logs/*' }] })).toMatchObject({
      rate: undefined,
      finding: { message: expect.stringContaining("its access log can't be read (no route)") },
    })
  })

  it('is put on the new host by load: auto', async () => {
    const asked: string[] = []
    const [old, fresh] = await Promise.all([
      startWeb((_request, response) => response.end(PAGE)),
      startWeb((request, response) => {
        asked.push(request.url ?? '')
        response.end(PAGE)
      }),
    ])
    const world = {
      ...testWorld({ old: { site: old.url, ...logOf(waves([20, 20])) }, new: { site: fresh.url } }),
      site: new URL('http://shop.example'),
    }
    const run = new TestRun('/nowhere')

    await perform(stepOf(smokeTestKind, world, { load: { rate: 'auto', for: '1s' } }), run)
    await Promise.all([old.close(), fresh.close()])

    expect(run.events).toContainEqual(
      expect.objectContaining({ event: 'note', message: expect.stringContaining('for 20 pages a second') }),
    )
    expect(run.events).toContainEqual(expect.objectContaining({ code: 'load-borne' }))
    expect(asked.length).toBeGreaterThan(10)
  })

  it('is written as one word, or with what else there is to say', () => {
    const parse = (load: unknown) => smokeTestKind.options.parse({ load })
    expect(parse('auto')).toMatchObject({ load: { rate: 'auto', for: 10_000, connections: 20, slowest: 2000 } })
    expect(parse({ for: '20s' })).toMatchObject({ load: { rate: 'auto', for: 20_000 } })
    expect(() => parse({ rate: 5000 })).toThrow(/expected number to be <=1000/)
  })
})
