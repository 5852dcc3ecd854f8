import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Redactor, Secret } from '../../src/base/secret.ts'
import { runSequence } from '../../src/run/runner.ts'
import { httpKind } from '../../src/steps/http.ts'
import type { World } from '../../src/steps/world.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { runOver, storyOf } from '../run/shelf.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function serve(answer: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<URL> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    answer(request, response, body)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

async function asked(written: Record<string, unknown>, world: Partial<World> = {}) {
  const whole = { ...testWorld({}), ...world }
  return await runOver([[httpKind.create(httpKind.options.parse(written), testContext(whole, 'http'))]], { clock: systemClock })
}

const messageIn = (events: Awaited<ReturnType<typeof asked>>['events']): string =>
  events.flatMap((event) => (event.event === 'failed' ? [event.message] : [])).join()

describe('an http step', () => {
  it('asks the new host under the customers’ name, whatever DNS says', async () => {
    const seen: unknown[] = []
    const at = await serve((request, response) => {
      seen.push([request.method, request.url, request.headers.host, request.headers.accept])
      response.setHeader('x-shop', 'open').end('Welcome to the shop')
    })
    const { options } = await asked(
      {
        path: '/checkout?x=1',
        on: 'new',
        headers: { accept: 'text/html' },
        expect: { status: 200, contains: 'Welcome', headers: { 'X-Shop': 'open' } },
      },
      { site: new URL('http://shop.example'), new: { side: 'new', connections: 1, site: at } },
    )

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(seen).toEqual([['GET', '/checkout?x=1', 'shop.example', 'text/html']])
  })

  it.each([
    [{ expect: { status: [200, 204] } }, 'answered 418, not 200 or 204'],
    [{}, 'answered 418, not 200 to 299'],
    [{ expect: { status: 418, contains: 'coffee' } }, 'answered without "coffee"'],
    [{ expect: { status: 418, headers: { 'x-kind': 'pot' } } }, 'answered with x-kind: kettle, not x-kind: pot'],
    [{ expect: { status: 418, headers: { 'x-none': 'pot' } } }, 'answered with no header x-none, not x-none: pot'],
  ])('with %j says what was not as expected', async (more, words) => {
    const at = await serve((_request, response) => response.writeHead(418, { 'x-kind': 'kettle' }).end('tea'))
    const { options, events } = await asked({ url: at.href, ...more })

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(messageIn(events)).toContain(words)
  })

  it('asks again as often as it was told to', async () => {
    let count = 0
    const at = await serve((_request, response) => {
      count += 1
      response.writeHead(count < 3 ? 503 : 200).end()
    })
    const { options } = await asked({ url: at.href, retries: 2, pause: '1ms' })

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(count).toBe(3)
  })

  it('says that nobody answers, and that an answer takes too long', async () => {
    const closed = await serve(() => undefined)
    servers.pop()?.close()
    const nobody = await asked({ url: closed.href })
    expect(await runSequence(nobody.options)).toMatchObject({ outcome: 'failed' })
    expect(messageIn(nobody.events)).toContain('got no answer: connect ECONNREFUSED')

    const silent = await serve(() => undefined)
    const slow = await asked({ url: silent.href, timeout: '100ms' })
    expect(await runSequence(slow.options)).toMatchObject({ outcome: 'failed' })
    expect(storyOf(slow.events)).toContain('failed http http-unreachable')
    servers.at(-1)?.closeAllConnections()
  })

  it('does not send what may have taken effect again without asking', async () => {
    const bodies: string[] = []
    const at = await serve((_request, response, body) => {
      bodies.push(body)
      response.writeHead(500).end()
    })
    const { options, events } = await asked({ url: at.href, method: 'POST', body: '{"cache":"clear"}' })

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed' })
    expect(await runSequence(options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(await runSequence({ ...options, ask: async () => false })).toMatchObject({ outcome: 'ok' })
    expect(bodies).toEqual(['{"cache":"clear"}'])
    expect(events.some((event) => event.event === 'finding' && event.code === 'no-way-back')).toBe(true)
  })

  it('keeps headers and queries out of all that is shown', async () => {
    const at = await serve((_request, response) => response.end('ok'))
    const redactor = new Redactor()
    redactor.add(new Secret('tok3n-secret'))
    const { options, events } = await asked({
      url: `${at.href}?key=tok3n-secret`,
      headers: { authorization: 'Bearer tok3n-secret' },
    })

    expect(await runSequence({ ...options, redactor })).toMatchObject({ outcome: 'ok' })
    expect(JSON.stringify(events)).not.toContain('tok3n')
  })

  it.each([
    [{}, 'give either url or path'],
    [{ url: 'https://a.example/', path: '/' }, 'give either url or path'],
    [{ url: 'ftp://a.example/' }, 'http:// or https://'],
    [{ path: 'checkout' }, 'must begin with /'],
  ])('refuses %j', (written, words) => {
    expect(JSON.stringify(httpKind.options.safeParse(written).error?.issues)).toContain(words)
  })
})
