import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { HostWatch } from '../../src/steps/guard-host.ts'
import { guardOptionsSchema } from '../../src/steps/guard-options.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'
import { startWeb, type WebServer } from '../servers/web.ts'

describe('looking at a host’s pages', () => {
  let web: WebServer
  let hosts: (string | undefined)[]
  let page: { status: number; body: string } | 'hangs'
  const run = new TestRun('/nowhere')

  beforeAll(async () => {
    web = await startWeb((request, response) => {
      hosts.push(request.headers.host)
      if (page !== 'hangs') response.writeHead(page.status, { 'content-type': 'text/html' }).end(page.body)
    })
  })
  afterAll(() => web?.close())
  beforeEach(() => {
    hosts = []
    page = { status: 200, body: '<h1>Shop</h1>' }
  })

  const look = (options: object = {}, anyPage = false, site = web.url) => {
    const world = { ...testWorld({}), site: new URL('http://shop.example') }
    const host = { side: 'new' as const, connections: 1, site }
    return new HostWatch(host, world, guardOptionsSchema.parse({ answer: '60s', ...options })).look(run, anyPage)
  }
  const messages = async (...args: Parameters<typeof look>): Promise<readonly string[]> =>
    (await look(...args)).faults.map(({ message }) => message)

  it('asks by the address, with the customers’ name', async () => {
    expect(await look({ paths: ['/', '/cart'] })).toEqual({ faults: [], answered: true, numbers: undefined })
    expect(hosts).toEqual(['shop.example', 'shop.example'])
  })

  it.each([200, 204, 301, 302])('takes status %i for well', async (status) => {
    page = { status, body: '' }
    expect(await messages()).toEqual([])
  })

  it.each([403, 404, 500, 503])('takes status %i for a fault that was answered', async (status) => {
    page = { status, body: '' }
    expect(await look()).toMatchObject({ answered: true, faults: [{ what: 'site', silent: false }] })
    expect(await messages()).toEqual([`/ answers with status ${status}`])
    // Of a site that relays, what it answers is another host's.
    expect(await messages({}, true)).toEqual([])
  })

  it('misses what a page must contain', async () => {
    expect(await messages({ contains: '<h1>Shop</h1>' })).toEqual([])
    page = { status: 200, body: 'Database error' }
    expect(await messages({ contains: '<h1>Shop</h1>' })).toEqual(['/ no longer contains "<h1>Shop</h1>"'])
  })

  it('knows no answer from a bad one', async () => {
    page = 'hangs'
    expect(await look({ answer: '200ms' })).toMatchObject({ answered: false, faults: [{ what: 'site', silent: true }] })
    const closed = await startWeb(() => undefined)
    await closed.close()
    expect(await look({}, true, closed.url)).toMatchObject({ answered: false, faults: [{ silent: true }] })
    expect(await messages({}, false, closed.url)).toEqual([expect.stringMatching(/^\/ gives no answer \(.*ECONNREFUSED/)])
  })
})
