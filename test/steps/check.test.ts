import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { checkSequence } from '../../src/run/runner.ts'
import { checkKind } from '../../src/steps/check.ts'
import type { World } from '../../src/steps/world.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { runOver, storyOf } from '../run/shelf.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function checked(world: World) {
  const { options, events } = await runOver([[checkKind.create({}, testContext(world, 'check'))]])
  const result = await checkSequence(options)
  const found = events.flatMap((event) => (event.event === 'finding' ? [event] : []))
  return { result, found, story: storyOf(events) }
}

async function shops() {
  const [old, target] = [new MemoryShop(), new MemoryShop()]
  await old.createShop()
  return { old, target }
}

function folders() {
  const [old, target] = [new MemoryFiles('memory://old'), new MemoryFiles('memory://new')]
  old.put('index.html', 'x'.repeat(1000))
  return { old, target }
}

describe('the check', () => {
  it('says what it found on both hosts when all is well', async () => {
    const { old, target } = await shops()
    const files = folders()
    const { result, found } = await checked(
      testWorld({ old: { database: old.open(), files: files.old }, new: { database: target.open(), files: files.target } }),
    )

    expect(result).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(found.map((finding) => finding.message)).toEqual([
      'old database: Memory 1.0, shop (size unknown), as owner.',
      'new database: Memory 1.0, shop (size unknown), as owner.',
      'old files: 1 files, 1000 B.',
    ])
  })

  it('reports every problem at once; none hides another', async () => {
    const { old } = await shops()
    const target = new MemoryShop({ engine: 'other' })
    const files = folders()
    files.target.readOnly = true
    files.target.capacity = 500
    const unreachable = {
      manual: false,
      label: 'cloudflare',
      check: async () => {
        throw new MigrateError('dns-token-rejected', 'token rejected', { hint: 'Make a new one.' })
      },
      records: async () => [],
      apply: async () => undefined,
      close: async () => undefined,
    }
    const world: World = {
      ...testWorld({
        old: { database: old.open(), files: files.old },
        new: { database: target.open({ readOnly: true }), files: files.target },
        tables: { Ordres: {} },
      }),
      references: [
        { table: 'orders', column: 'custmer', parent: 'customers', parentColumn: 'id' },
        { table: 'nowhere', column: 'id', parent: 'customers', parentColumn: 'id' },
      ],
      dns: { provider: unreachable, zone: 'shop.example', records: [], authoritative: async () => [] },
    }

    const { result, found } = await checked(world)

    expect(result).toMatchObject({ outcome: 'failed', exit: 1 })
    const errors = found.filter((finding) => finding.severity === 'error').map((finding) => finding.code)
    expect(errors.sort()).toEqual(
      [
        'database-rights-missing',
        'dns-token-rejected',
        'engines-differ',
        'files-not-writable',
        'no-room',
        'unknown-reference',
        'unknown-reference',
        'unknown-table',
      ].sort(),
    )
    expect(found.every((finding) => finding.severity === 'info' || finding.hint !== undefined)).toBe(true)
  })

  it('notices a host whose clock is wrong, and minds no host that is silent', async () => {
    const server = createServer((_request, response) => response.end())
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const site = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const silent = new URL('http://127.0.0.1:1')

    const { result, found } = await checked(testWorld({ old: { site }, new: { site: silent } }))

    expect(result).toMatchObject({ outcome: 'ok' })
    expect(found.map((finding) => finding.code)).toEqual(['clock-skew'])
    expect(found[0]?.message).toContain('The clock of the old host')
  })
})
